"""Hold an imported network against the user's own model, before anything is calibrated."""

from typing import TYPE_CHECKING, Final

from mbexport.pipeline.context import Context
from mbexport.pipeline.plan import Foreign
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import AGREEMENT

if TYPE_CHECKING:
    from mbexport.models.preprocess import Pixels

_PHOTOS: Final = 32
_NOISE: Final = 4  # images of random bytes: photos may be dark in a corner, or all of one grey


def is_checked(run: Context) -> bool:
    """Whether the network was made elsewhere, and anything is found out about it."""
    return isinstance(run.plan.origin, Foreign) and run.plan.is_judged


def check_options(run: Context) -> Options:
    """What decides the images."""
    return {"images": run.images.fingerprints, "seed": run.plan.seed}


def check_import(run: Context) -> Files:
    """How near the imported network is to the model as its own library computes it.

    Raises `StageError` for an import that differs.
    """
    from dataclasses import asdict

    from mbexport.models.keras_import.agreement import require_agreement
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.networks import fed_to_source, float_network, source_of
    from mbexport.report.content import to_bytes

    make_deterministic(run.plan.seed)
    facts, pixels = run.float.facts, _pixels(run)
    found = require_agreement(
        source_of(run),
        float_network(run.float),
        fed_to_source(run).normalize(pixels),
        facts.preprocess.normalize(pixels),
        output=facts.output,
    )
    return {AGREEMENT: to_bytes(asdict(found))}


def _pixels(run: Context) -> "Pixels":
    """A few of the images that artifacts are verified on, and noise."""
    import numpy as np

    from mbexport.calibration.samples import balanced_samples
    from mbexport.models.data.imageset import iter_pixels

    preprocess, images, seed = run.float.facts.preprocess, run.images.test, run.plan.seed
    chosen = images.subset(balanced_samples(images.labels, _PHOTOS, seed=seed))
    noise = np.random.default_rng(seed).integers(0, 256, (_NOISE, *preprocess.shape), np.uint8)
    return np.concatenate([*iter_pixels(chosen, preprocess), noise])
