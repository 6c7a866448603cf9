"""Look at the images before any work: decode each once, and hash what was read for the manifest."""

import json

from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import CONTENTS, UNREADABLE


def has_files(run: Context) -> bool:
    """Whether any image is read from a file, which may be damaged."""
    return run.images.has_files


def check_options(run: Context) -> Options:
    """What decides the sets of images: findings name images by their place in a set."""
    return {"images": run.images.fingerprints, "seed": run.plan.seed, "origin": type(run.plan.origin).__name__}


def check_images(run: Context) -> Files:
    """Decode every image file: a damaged one must not end a run that is hours old."""
    return run.images.look()


def leave_out(run: Context) -> None:
    """Take the images that cannot be read out of every set."""
    run.images.leave_out(run.records["check-images"].files[UNREADABLE])


def is_hashed(run: Context) -> bool:
    """Whether a manifest has to say what maybe millions of files held."""
    return run.plan.recipe is not None and run.images.has_files


def hash_options(run: Context) -> Options:
    """What decides the content of the image files."""
    return {"images": run.images.fingerprints, "golden": run.images.golden_fingerprint}


def hash_images(run: Context) -> Files:
    """The hash of each kind of images, read once and kept."""
    return {CONTENTS: json.dumps(run.images.contents()).encode()}
