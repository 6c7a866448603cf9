"""Make golden vectors: a few images and what each artifact answers, for the unit tests of apps."""

from typing import Final

from mbexport.errors import StageError
from mbexport.models.task import Task
from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stages import verify, verify_detector
from mbexport.pipeline.stages.export import form_options


def golden_options(run: Context) -> Options:
    """What decides the images and the answers."""
    return {
        "images": run.images.golden_fingerprint or run.images.fingerprints,
        "artifacts": sorted(run.app_artifacts),
        "seed": run.plan.seed,
        **form_options(run),
    }


def golden_vectors(run: Context) -> Files:
    """What each artifact that apps have code for gives for a few images, fed what it says itself that it expects.

    Does not load TensorFlow. No files if there is no image that all artifacts answer: their gates tell why.
    """
    try:
        return _MADE[run.plan.task](run)
    except StageError:
        return {}


def _of_classifiers(run: Context) -> Files:
    from mbexport.golden.make import golden_files

    return golden_files(
        stem=run.plan.name,
        licence=run.plan.licence,
        preprocess=run.float.facts.preprocess,
        labels=run.labels,
        subjects=verify.subjects_of(run),
        images=run.images.golden,
        is_labelled=run.images.is_golden_labelled,
        seed=run.plan.seed,
    )


def _of_detectors(run: Context) -> Files:
    from mbexport.golden.detection.make import detector_golden_files

    return detector_golden_files(
        stem=run.plan.name,
        licence=run.plan.licence,
        preprocess=run.float.facts.preprocess,
        labels=run.labels,
        detectors=verify_detector.subjects_of(run, run.app_artifacts.values()),
        images=run.images.golden,
        seed=run.plan.seed,
    )


_MADE: Final = {Task.CLASSIFY: _of_classifiers, Task.DETECT: _of_detectors}
