"""Measure every artifact beside the float network, on the test images."""

import json
from typing import TYPE_CHECKING, Final

from mbexport.models.task import Task
from mbexport.pipeline.context import Context
from mbexport.pipeline.plan import Foreign
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import INPUT, MEASURED, PICTURES, TRIED

if TYPE_CHECKING:
    from mbexport.formats.subject import Subject

_EVALUATION_BATCH: Final = 32
_FLOAT_NAME: Final = "Keras, float"


def is_classifier_judged(run: Context) -> bool:
    """Whether anything is found out about a classifier's artifacts."""
    return run.plan.is_judged and run.plan.task is Task.CLASSIFY


def verify_options(run: Context) -> Options:
    """What decides the answers and how they are measured."""
    return {
        "images": run.images.fingerprints,
        "latency": run.plan.latency,
        "threads": run.plan.threads,
        "artifacts": sorted(run.artifacts),
        "seed": run.plan.seed,
    }


def verify(run: Context) -> Files:
    """Every artifact against the float network, or the model that was imported, as Keras computes it.

    Each is fed what it says itself that it expects.
    """
    from mbexport.models.facts import Output
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.networks import reference_scores
    from mbexport.report.content import to_bytes
    from mbexport.verification.classification.baseline import Baseline
    from mbexport.verification.classification.measure import MeasureOptions, measure_all
    from mbexport.verification.pictures import pictures_to_json

    plan, facts = run.plan, run.float.facts
    make_deterministic(plan.seed)
    found = measure_all(
        subjects_of(run),
        run.images.test,
        facts.preprocess,
        Baseline(
            name=_FLOAT_NAME,
            kind=Output.LOGITS if plan.logits else facts.output,
            scores=reference_scores(run),
        ),
        MeasureOptions(
            labels=run.labels,
            threads=plan.threads,
            is_timed=plan.latency,
            is_labelled=run.images.is_labelled,
            seed=plan.seed,
        ),
        progress=run.progress,
    )
    return {MEASURED: to_bytes(found.measured), PICTURES: pictures_to_json(found.pictures)}


def subjects_of(run: Context) -> "list[Subject]":
    """The artifacts that the user asked for, opened, each fed what it says itself that it expects."""
    from mbexport.formats.matching import match
    from mbexport.formats.registry import open_runner

    facts = run.float.facts
    return [
        match(open_runner(path), pixels=facts.preprocess, given=None, classes=facts.classes, background=False)
        for path in run.artifacts.values()
    ]


def is_assumed(run: Context) -> bool:
    """Whether nobody says what numbers somebody's model expects, and labelled images can tell."""
    plan = run.plan
    is_judgeable = is_classifier_judged(run) and isinstance(plan.origin, Foreign) and run.images.is_labelled
    return is_judgeable and plan.normalization is None


def normalization_options(run: Context) -> Options:
    """What decides the images that conventions are tried on."""
    return {"images": run.images.fingerprints, "seed": run.plan.seed}


def try_normalizations(run: Context) -> Files:
    """How often the float network is right with each convention of normalization, on a few images.

    What the network does to its input itself comes behind each.
    """
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.conventions import tried_conventions
    from mbexport.pipeline.networks import float_network

    make_deterministic(run.plan.seed)
    network, own = float_network(run.float), run.read(INPUT)
    tried = tried_conventions(
        lambda fed, pixels: network.predict(fed.normalize(pixels), batch_size=_EVALUATION_BATCH, verbose=0),
        run.images.test,
        run.float.facts.preprocess,
        rescaling=(tuple(own["scale"]), tuple(own["offset"])),
        assumed=own["assumed"],
        seed=run.plan.seed,
    )
    return {TRIED: json.dumps(tried).encode()}
