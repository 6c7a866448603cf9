"""Check what a file says of a detector's outputs in words against what it gives.

Apps that read the words take the boxes, classes and scores from where these say that they are: MediaPipe draws boxes
whose sides are named in another order with x and y in each other's place, without a word.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from mbexport.formats.detection_tail import LOCATION, OUTPUTS, DetectionTail
from mbexport.formats.detector import Detector

THRESHOLDS: Final = "detection."  # how the properties begin in which an .onnx says its own thresholds
# How the metadata of a .tflite name the sides of boxes in the order in which a detector's outputs have them.
SIDES: Final = "top, left, bottom, right in fractions"


def detections_conflict(words: Mapping[str, str], detector: Detector, tail: DetectionTail | None) -> str | None:
    """What the `metadata()` of a file and the file itself say, if both cannot be right; None without such words.

    `tail` is what our converter appended to it, None for a file that ends otherwise.
    """
    wrong = [*_outputs(words, detector), *([] if tail is None else _thresholds(words, tail))]
    return f"its words are not what it has: {', '.join(wrong)}" if wrong else None


def _outputs(words: Mapping[str, str], detector: Detector) -> Iterator[str]:
    """The outputs that are called as another one, and boxes with other sides."""
    for number, name in enumerate(detector.names, start=1):
        said = words.get(f"output {number}", "").partition(":")[0]
        if said in OUTPUTS and said != name:
            yield f"output {number} as {said} beside {name}"
        sides = words.get(f"output {number} box")
        if name == LOCATION and sides not in (None, SIDES):
            yield f"boxes of {sides} beside {SIDES}"


def _thresholds(words: Mapping[str, str], tail: DetectionTail) -> Iterator[str]:
    for name, text in words.items():
        if name.startswith(THRESHOLDS) and text != tail.properties.get(name):
            yield f"{name} {text} beside {tail.properties.get(name)}"
