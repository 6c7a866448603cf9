"""Export: from the networks that stages left to artifact files, one stage an artifact."""

from functools import partial
from typing import Final

from mbexport.artifact import Precision, Target
from mbexport.fingerprint import library_versions
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.file_format import Conversion
from mbexport.models.architectures import family_named
from mbexport.models.facts import Facts, Output
from mbexport.pipeline.context import NETWORK, Context
from mbexport.pipeline.exports import Export, needed
from mbexport.pipeline.plan import BuildPlan
from mbexport.pipeline.stage import Files, Options, Stage
from mbexport.pipeline.stages.calibrate import image_options

# The stages that leave the network of each precision.
_NETWORKS: Final = {
    Precision.FP32: NETWORK,
    Precision.FP16: NETWORK,
    Precision.INT8: ("calibrate", "quantize"),
    Precision.DYNAMIC: ("round-weights",),
    Precision.INT16X8: ("round-weights",),
}

# A detector's files give a score for each class by itself.
_SCORES: Final = {Output.DETECTIONS: Output.SIGMOID}


def export_stage(made: Export) -> Stage:
    """The stage that makes the artifact of that kind."""
    return Stage(
        name=made.stage,
        options=partial(_export_options, made=made),
        upstream=(*_NETWORKS[made.precision], *NETWORK) if made.source is None else (made.source.stage,),
        is_wanted=lambda run: made in needed(run.plan),
        work=partial(_export, made=made),
    )


def form_options(run: Context) -> Options:
    """The options that decide what every artifact takes, gives and says of itself."""
    plan = run.plan
    return {
        "name": plan.name,
        "batch": plan.batch,
        "logits": plan.logits,
        "labels": run.labels,
        "licence": plan.licence,
    }


def _export_options(run: Context, *, made: Export) -> Options:
    images = image_options(run) if made.source is None and made.precision is Precision.INT16X8 else {}
    own = {name: getattr(run.plan, name) for name in made.format.options(made.precision)}
    return {**form_options(run), **images, **own}


def _export(run: Context, *, made: Export) -> Files:
    """One artifact: from the file of another format, or from the network of its precision."""
    source = b"" if made.source is None else run.artifact(made.source).read_bytes()
    return {run.target(made).name: converted(run, made, source=source)}


def converted(run: Context, made: Export, *, source: bytes, keeps_floats: bool = True) -> bytes:
    """The content of an artifact, made of the content `source` of another where there is one.

    Unless it `keeps_floats`, the layers that were to stay in float are integers, too, rounded to the nearest.
    """
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.networks import StoredNetworks

    plan, target = run.plan, run.target(made)
    make_deterministic(plan.seed)
    assert made.format.convert is not None
    conversion = Conversion(
        precision=made.precision,
        description=described(plan, run.float.facts, target),
        architecture=family_named(run.float.facts.family).name,
        versions=library_versions(),
        networks=StoredNetworks(run, made.precision, keeps_floats=keeps_floats),
        batch=plan.batch,
        io=plan.io,
        layout=plan.layout,
        opset=plan.opset,
        source=source,
        tail=tail_of(run.float.facts),
        is_raw=made.is_raw,
    )
    return made.format.convert(conversion)


def tail_of(facts: Facts) -> DetectionTail | None:
    """What a detector's files do behind their network; None of a classifier."""
    detector = facts.detector
    if detector is None:
        return None
    return DetectionTail(
        anchors=detector.anchors,
        code_scales=detector.table.code_scales,
        classes=facts.classes,
        settings=detector.settings,
        maps=len(detector.maps),
    )


def described(plan: BuildPlan, facts: Facts, target: Target, *, precision: str | None = None) -> Description:
    """What an artifact says of itself in words; `precision` is said in the place of the target's."""
    preprocess, normalization = facts.preprocess, facts.preprocess.normalization
    title = family_named(facts.family).title
    width = "" if facts.alpha is None else f", alpha {facts.alpha:g}"
    kind = precision or target.precision.value
    return Description(
        name=plan.name,
        text=f"{title}{width}, {preprocess.resolution} px, {facts.classes} classes, {kind}.",
        labels=target.labels,
        resolution=preprocess.resolution,
        channels=preprocess.channels,
        mean=normalization.mean,
        std=normalization.std,
        is_bgr=normalization.is_bgr,
        output=Output.LOGITS if plan.logits else _SCORES.get(facts.output, facts.output),
        licence=plan.licence,
    )
