"""Make golden vectors: a few images and what each artifact answers, for the unit tests of apps."""

from mbexport.errors import StageError
from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stages.export import form_options
from mbexport.pipeline.stages.verify import subjects_of


def golden_options(run: Context) -> Options:
    """What decides the images and the answers."""
    return {
        "images": run.images.golden_fingerprint or run.images.fingerprints,
        "artifacts": sorted(run.artifacts),
        "seed": run.plan.seed,
        **form_options(run),
    }


def golden_vectors(run: Context) -> Files:
    """What each artifact gives for a few images, fed what it says itself that it expects.

    Does not load TensorFlow. No files if there is no image that all artifacts answer: their gates tell why.
    """
    from mbexport.golden.make import golden_files

    facts, subjects = run.float.facts, subjects_of(run)
    try:
        return golden_files(
            stem=run.plan.name,
            licence=run.plan.licence,
            preprocess=facts.preprocess,
            labels=run.labels,
            subjects=subjects,
            images=run.images.golden,
            is_labelled=run.images.is_golden_labelled,
            seed=run.plan.seed,
        )
    except StageError:
        return {}
