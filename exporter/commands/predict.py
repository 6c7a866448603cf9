"""`mbexport predict`: the classes of images, or the objects in them, by any artifact."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from mbexport.commands import options
from mbexport.commands.config import config
from mbexport.commands.options import Group
from mbexport.errors import DataError, require_within
from mbexport.escaping.terminal import json_text, visible_lines
from mbexport.formats.registry import format_of
from mbexport.formats.trial import warm_up

if TYPE_CHECKING:
    from mbexport.pipeline.predict_files import Question
    from mbexport.report.content import Json

_NOTHING: Final = "  nothing with a score of at least 0.3 (--top K shows less certain ones)"

_EXAMPLES = """\b
Examples:
  mbexport predict dist/mobilenet_v1_0.75_64/*_int8.tflite cat.jpg dog.jpg
  mbexport predict net.keras --preprocess mobilenet --classes names.txt *.png
  mbexport predict cells_int8.onnx photo.jpg --json
"""


@options.command("predict", epilog=_EXAMPLES)
@click.argument("file", type=options.PATH)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=options.PATH)
@options.option(
    "--top",
    group=Group.COMMON,
    type=int,
    metavar="K",
    help="Classes to show of each image, the likeliest first; 5 if absent. Of a detector, objects; those with a score "
    "of at least 0.3 if absent.",
)
@options.as_json
@options.classes_file
@options.option(
    "--crop-fraction",
    group=Group.DATA,
    type=float,
    metavar="F",
    help="Side of the central crop, as a fraction of the image's; if absent 0.875, the usual one of photos.",
)
@options.preprocess
@options.mean
@options.scale
@options.background
@config
def command(**given: Any) -> None:
    """Show the likeliest classes of images, by any .tflite, .onnx or Keras file.

    The file is fed as it says itself; for a file that does not say what its input expects, give --preprocess, or
    --mean and --scale. Classes have the labels of --classes, or those in the file, or else numbers. Scores are
    probabilities from 0 to 1; logits go through a softmax.

    Of a detector, the objects in each image are shown, with a score and a box in the image's own pixels.
    """
    question = question_of(given)
    warm_up([question.file])
    from mbexport.pipeline.predict_files import predict_files
    from mbexport.quiet import quiet_libraries

    with quiet_libraries() as streams:
        predicted = predict_files(question)
        is_json = given["as_json"]
        text = json_text(predicted) if is_json else visible_lines(_lines(predicted))
        streams.out.write(text + "\n")


def question_of(given: Mapping[str, Any]) -> "Question":
    """The question that these values of the options ask; all of them are checked, no file is opened."""
    require_within("--top", 1 if given["top"] is None else given["top"], 1)
    normalization = options.normalization(given["preprocess"], given["mean"], given["scale"])
    format_of(given["file"])
    missing = next((image for image in given["images"] if not image.is_file()), None)
    if missing is not None:
        raise DataError(f"no such file: {missing}")
    options.require_files(classes=given["classes_file"])
    from mbexport.models.data.classes_file import read_labels
    from mbexport.pipeline.predict_files import Question

    return Question(
        file=given["file"],
        images=given["images"],
        top=given["top"],
        labels=None if given["classes_file"] is None else read_labels(given["classes_file"]),
        crop_fraction=given["crop_fraction"],
        normalization=normalization,
        background=given["background"],
    )


def _lines(predicted: "Json") -> list[str]:
    """Each image, and below it a line for each class, or for each object."""
    lines = []
    for entry in predicted["images"]:
        lines += _lines_of_objects(entry) if "objects" in entry else _lines_of_classes(entry)
    return lines


def _lines_of_classes(entry: "Json") -> list[str]:
    """The image, and a line for each class: its probability and its label."""
    return [entry["image"], *(f"  {each['score']:8.2%}  {each['label']}" for each in entry["top"])]


def _lines_of_objects(entry: "Json") -> list[str]:
    """The image with its size, and a line for each object: its score, its class, and its edges in pixels."""
    head = f"{entry['image']} ({entry['width_px']} x {entry['height_px']} px)"
    width = max((len(each["label"]) for each in entry["objects"]), default=0)
    rows = [
        f"  {each['score']:8.2%}  {each['label']:<{width}}  "
        + ", ".join(f"{edge} {place:.0f}" for edge, place in each["box_px"].items())
        for each in entry["objects"]
    ]
    return [head, *(rows or [_NOTHING])]
