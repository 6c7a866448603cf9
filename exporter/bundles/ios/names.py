"""Names of Swift modules and of the files in them: legal ones for any name of a model."""

import re
import unicodedata
from typing import Final

from mbexport.models.task import Task

# A module cannot have these names: Swift's own words, and modules and types that the bundle's sources name.
_TAKEN: Final = frozenset(
    {"Any", "AnyObject", "Classifier", "Element", "Encoding", "Engine", "Foundation", "Protocol", "Resources", "Score"}
    | {"Self", "Settings", "Swift", "Type", "XCTest", "Accelerate", "CoreGraphics", "CoreVideo", "Darwin", "ImageIO"}
    | {"LiteRT", "PackageDescription", "Pixels", "Preprocess", "TensorFlowLiteC", "Testing", "UIKit", "Orientation"}
)
# Nor these, which the sources of a detector name in the place of a classifier's.
_TAKEN_BY_DETECTORS: Final = frozenset({"Answer", "Detection", "Detector", "DetectorError"})


def module_name(stem: str, task: Task = Task.CLASSIFY) -> str:
    """`stem` in UpperCamelCase, of ASCII letters and digits, with `_` between numbers: legal in Swift and in Ruby."""
    taken = _TAKEN | (_TAKEN_BY_DETECTORS if task is Task.DETECT else set())
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    words = [word[0].upper() + word[1:] for word in re.findall("[A-Za-z0-9]+", plain)]
    name = re.sub(r"(?<=\d) (?=\d)", "_", " ".join(words)).replace(" ", "")
    if not name[:1].isalpha():
        name = f"Model{name}"
    return f"{name}Model" if name in taken else name


def file_name(file: str, *, name: str) -> str:
    """`file` if no tool on the way to an app reads its characters as syntax, else a name after the module."""
    return file if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", file) else f"{name}.tflite"
