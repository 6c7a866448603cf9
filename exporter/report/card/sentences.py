"""Write the sentences of a model card: what is known of the network, and what is not."""

import math
from collections.abc import Sequence
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME, one_line
from mbexport.models.architectures import ARCHITECTURES, Architecture
from mbexport.models.channels import CHANNELS
from mbexport.models.published import Published
from mbexport.models.resolution import Resolution
from mbexport.report import formatting
from mbexport.report.formatting import Json

_FLOATS: Final = "float32"


def about(report: Json) -> list[str]:
    """What the network is: its architecture, input and size."""
    model = report["model"]
    lines = [f"{_architecture(report)} It gives a score for each of {model['classes']} classes."]
    if "mult_adds" in model:
        kind, resolution = CHANNELS[model["channels"]].title, Resolution.parse(model["resolution_px"])
        lines.append(
            f"It takes {kind} images of {resolution.extent} pixels, and has "
            f"{model['parameters']:,} parameters and {model['mult_adds'] / 1e6:,.0f} million multiply-adds an image."
        )
    return lines


def verdict(report: Json) -> str:
    """Whether the files may be used, in one sentence."""
    if report["passed"]:
        return f"{formatting.conclusion(report)}."
    return f"{formatting.conclusion(report)}. Do not ship these files before you know why."


def resizing(report: Json) -> str:
    """How a picture is cut and resized for every artifact."""
    data, resolution = report["data"], Resolution.parse(report["model"]["resolution_px"])
    kind = CHANNELS[report["model"].get("channels", 3)]
    grey = "made grey (ITU-R 601-2 luma, as Pillow's L), " if kind.is_grey else ""
    alpha = " Each channel is resized by itself, alpha too." if kind.has_alpha else ""
    return (
        f"A picture is {grey}cut to {_cut(resolution, 100 * data['crop_fraction'])}, and resized to "
        f"{resolution.extent} pixels as Pillow's BILINEAR does, which looks at all pixels when it reduces.{alpha}"
    )


def _cut(resolution: Resolution, percent: float) -> str:
    if resolution.is_square:
        return f"its central square, {percent:g} % of its shorter side"
    height_px, width_px = resolution.sides_px
    common = math.gcd(height_px, width_px)
    ratio = f"{width_px // common}:{height_px // common}"
    return f"its central part of width to height {ratio}, {percent:g} % of the side that limits it"


def fed(source: Json) -> str:
    """What an artifact's input takes for a byte of the image."""
    if source["dtype"] == "uint8" and not source["byte_distance"]:
        return "bytes as they are"
    if source["dtype"] == "int8" and not source["byte_distance"]:
        return "byte - 128"
    mean, std = (_numbers(source[name]) for name in ("mean", "std"))
    codes = "" if source["dtype"] == _FLOATS else ", as codes"
    return f"(byte - {mean}) / {std}{codes}"


def training(report: Json) -> list[str]:
    """Where weights and integers came from, as far as the report says."""
    if "options" not in report:
        return ["This report only compares files: how they were made is not known here."]
    return [*_origin(report), *_calibration(report), *_distillation(report.get("qat"))]


def limits(report: Json) -> list[str]:
    """What the figures do not say, and where the files are known to answer otherwise."""
    classes, reference = report["model"]["classes"], report["reference"]
    lines = [
        f"Every picture gets one of the {classes} classes, whatever it shows: there is no answer for none of them.",
        *_evaluation(report, classes=classes),
        "Other cameras, light, places and people may give other figures: such groups were not looked at one by one.",
    ]
    if report["data"]["unreadable"]:
        lines.append(f"{len(report['data']['unreadable'])} images could not be read and were left out.")
    for entry in report["artifacts"]:
        count = entry["disagreements"]["count"]
        if count:
            images = f"{count} of {entry['samples']} images"
            lines.append(f"On {images} {entry['file']} answered otherwise than {reference['name']}.")
    for file in report["paths"]:
        pairs = "; ".join(map(formatting.kernel_path, file["pairs"]))
        if pairs:
            lines.append(
                f"A phone may run {file['file']} through other kernels. How alike those of this machine answer: "
                f"{pairs} ({file['images']} images)."
            )
    return lines + _published(report)


def licence_line(licence: str | None) -> str:
    """The licence of the files, as whoever made the run stated it."""
    if licence is None:
        return "Not stated. Ask whoever trained the network before you use these files."
    said = one_line(licence, 10 * LONGEST_NAME)
    return f"As stated by whoever made this run: {said}. That of the data is not known."


def machine(report: Json) -> str:
    """Where latencies were measured."""
    found = report["machine"]
    flags = f" ({' '.join(found['flags'])})" if found["flags"] else ""
    return f"{found['system']}, {found['cpu']}{flags}, {found['cores'] or 'unknown'} logical cores"


def _architecture(report: Json) -> str:
    """What the network is called, with its paper where it is one that is built here."""
    model, architecture = report["model"], _built(report)
    if architecture is None and model.get("conv") is None:
        return "An image classifier that was imported." if "name" in model else "An image classifier."
    width = "" if model["alpha"] is None else f" of width {model['alpha']:g}"
    kinds = [
        *(["with standard convolutions"] if model["conv"] == "standard" else []),
        *(["without the five blocks of 14 x 14"] if model["shallow"] else []),
        *(["without squeeze-and-excite, h-swish and 5x5 kernels"] if model.get("minimalistic") else []),
    ]
    shape = f", {' and '.join(kinds)}" if kinds else ""
    paper = "" if architecture is None else f" (arXiv {architecture.arxiv})"
    return f"A {formatting.network_title(report)}{width}{shape}: an image classifier for phones{paper}."


def _built(report: Json) -> Architecture | None:
    """The architecture of a network that is built here, by its title: reports of older versions have no `family`."""
    title = formatting.network_title(report)
    return next((each for each in ARCHITECTURES if each.title == title), None)


def _origin(report: Json) -> list[str]:
    model, options, data = report["model"], report["options"], report["data"]
    source = model["source"]
    weights = f"{source['file']} (sha256 {source['sha256']})" if source else None
    if not model["trained_here"]:
        return [
            f"This run did not train the network: its weights are those of {weights or 'a file that is not named'}. "
            "What they were trained on is not known here."
        ]
    length = "" if options["epochs"] is None else f", for {options['epochs']} epochs"
    start = f"fine-tuned from the weights of {weights}" if weights else "trained from random weights"
    lines = [f"In this run it was {start}{length}, on {_named(data)} (seed {options['seed']})."]
    if weights:
        lines.append("What those weights were trained on before is not known here.")
    if data.get("best_epoch_chosen_on_test"):
        lines.append("Its best epoch was chosen on the images that it was evaluated on: the accuracies flatter it.")
    return lines


def _calibration(report: Json) -> list[str]:
    found, options = report.get("calibration"), report["options"]
    if not found:
        return []
    ranges = f"by {found['observer']}" if found["observer"] else f"read from {options['ranges'] or 'a file'}"
    corrections = f"; corrected afterwards: {', '.join(found['corrections'])}" if found["corrections"] else ""
    return [
        f"Ranges of 8-bit activations were found on {found['samples']} calibration images "
        f"(fingerprint {report['data']['calibration_fingerprint']}), {ranges}{corrections}."
    ]


def _distillation(qat: Json | None) -> list[str]:
    if not qat:
        return []
    if not qat["steps"]:
        return [
            f"There was no quantization-aware training: on {qat['held_out']} images the calibrated integers were so "
            "near to float that no gain could have been told from chance."
        ]
    kept = "the calibrated integers were kept" if qat["kept"] == "calibrated" else "the trained integers were kept"
    return [
        f"Quantization-aware training took {qat['steps']} steps on {qat['images']} images; judged on {qat['held_out']} "
        f"held-out images, {kept}."
    ]


def _evaluation(report: Json, *, classes: int) -> list[str]:
    reference = report["reference"]
    images = f"{reference['samples']} images of {_named(report['data'])}"
    if not reference["labelled"]:
        return [f"It was compared on {images}, which have no labels: how often it is right is not known here."]
    unseen = classes - reference["classes_seen"]
    missing = f"; nothing is known of the other {unseen}" if unseen > 0 else ""
    return [f"Its accuracy is that on {images}, which show {reference['classes_seen']} of its classes{missing}."]


def _published(report: Json) -> list[str]:
    """What others lost with a network of these multipliers: for comparison, not measured here."""
    architecture = _built(report)
    found = None if architecture is None else _same_network(architecture, report["model"])
    if architecture is None or found is None:
        return []
    return [
        f"For comparison, not measured here: quantizing the published network of this size took its top-1 on ImageNet "
        f"from {found.top1_float:.1%} to {found.top1_int8:.1%} ({architecture.quantized_source})."
    ]


def _same_network(architecture: Architecture, model: Json) -> Published | None:
    """The quantized checkpoint of a network with the same width, resolution and options."""
    for row in architecture.published:
        same = {"alpha": row.alpha, "resolution_px": row.spec.resolution.json, **row.spec.variant}
        if row.top1_int8 is not None and all(model.get(name) == value for name, value in same.items()):
            return row
    return None


def _named(data: Json) -> str:
    name = "images without a name" if data["name"] is None else one_line(data["name"], LONGEST_NAME)
    return f"{name} (fingerprint {data['fingerprint']})" if data["fingerprint"] else name


def _numbers(values: Sequence[float]) -> str:
    different = list(dict.fromkeys(values))
    return f"{different[0]:g}" if len(different) == 1 else "[" + ", ".join(f"{value:g}" for value in values) + "]"
