"""Write the sentences of a model card: what is known of the network, and what is not."""

from collections.abc import Sequence
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME, one_line
from mbexport.models.channels import CHANNELS
from mbexport.models.resolution import Resolution
from mbexport.report import formatting
from mbexport.report.card.images import named
from mbexport.report.card.task_card import TaskCard
from mbexport.report.formatting import Json, layers_in_float
from mbexport.report.tasks.registry import text_of

_FLOATS: Final = "float32"


def about(report: Json, card: TaskCard) -> list[str]:
    """What the network is: its architecture, input and size."""
    model = report["model"]
    lines = [card.about(report)]
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


def fed(source: Json) -> str:
    """What an artifact's input takes for a byte of the image."""
    if source["dtype"] == "uint8" and not source["byte_distance"]:
        return "bytes as they are"
    if source["dtype"] == "int8" and not source["byte_distance"]:
        return "byte - 128"
    mean, std = (_numbers(source[name]) for name in ("mean", "std"))
    codes = "" if source["dtype"] == _FLOATS else ", as codes"
    return f"(byte - {mean}) / {std}{codes}"


def training(report: Json, card: TaskCard) -> list[str]:
    """Where weights and integers came from, as far as the report says."""
    if "options" not in report:
        return ["This report only compares files: how they were made is not known here."]
    return [*_origin(report), *card.made(report), *_calibration(report), *_distillation(report.get("qat"))]


def limits(report: Json, card: TaskCard) -> list[str]:
    """What the figures do not say, and where the files are known to answer otherwise."""
    lines = [
        *card.scope(report),
        "Other cameras, light, places and people may give other figures: such groups were not looked at one by one.",
    ]
    if report["data"]["unreadable"]:
        lines.append(f"{len(report['data']['unreadable'])} images could not be read and were left out.")
    lines += card.differences(report)
    for file in report["paths"]:
        pairs = formatting.kernel_paths(file["pairs"], text_of(report).kernel_path)
        if pairs:
            lines.append(
                f"A phone may run {file['file']} through other kernels. How alike those of this machine answer: "
                f"{pairs} ({file['images']} images)."
            )
    lines += [f"The part of the graph that is taken: {line}." for line in formatting.shares(report)]
    lines += [f"Compiled for one chip, and emulated: {line}." for line in formatting.compiled_files(report)]
    lines += [f"For Core ML: {line}." for line in formatting.packages(report)]
    return lines + card.published(report)


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
    lines = [f"In this run it was {start}{length}, on {named(data)} (seed {options['seed']})."]
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
        f"(fingerprint {report['data']['calibration_fingerprint']}), {ranges}{corrections}.",
        *([f"{kept}."] if (kept := layers_in_float(report)) else []),
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


def _numbers(values: Sequence[float]) -> str:
    different = list(dict.fromkeys(values))
    return f"{different[0]:g}" if len(different) == 1 else "[" + ", ".join(f"{value:g}" for value in values) + "]"
