"""Turns the artifacts of a run and its images into the files of golden vectors, as a stage of the pipeline."""

from collections.abc import Sequence
from pathlib import Path

from mbexport.errors import StageError
from mbexport.golden import Files, golden_files
from mbexport.handoff import Float
from mbexport.models.imageset import ImageSet
from mbexport.plan import BuildPlan
from mbexport.runtimes.matching import match
from mbexport.runtimes.opening import open_runner


def golden_stage(
    plan: BuildPlan,
    source: Float,
    artifacts: Sequence[Path],
    images: ImageSet,
    *,
    labels: Sequence[str],
    is_labelled: bool,
) -> Files:
    """What each artifact gives for a few of `images`, fed what it says itself that it expects.

    Does not load TensorFlow. No files if there is no image that all artifacts answer: their gates tell why.
    """
    facts = source.facts
    subjects = [
        match(open_runner(path), pixels=facts.preprocess, given=None, classes=facts.classes, background=False)
        for path in artifacts
    ]
    try:
        return golden_files(
            stem=plan.name,
            licence=plan.licence,
            preprocess=facts.preprocess,
            labels=labels,
            subjects=subjects,
            images=images,
            is_labelled=is_labelled,
            seed=plan.seed,
        )
    except StageError:
        return {}
