"""Compare what was compiled for an NPU with its source on the CPU: the emulator runs the compiled graph itself."""

from pathlib import Path
from typing import Any, Final

from mbexport.formats.npu.chips import Chip
from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.kernel_paths import CLASSIFIER_PATHS
from mbexport.verification.classification.serialize import pair_of_paths_json
from mbexport.verification.measure_paths import beside_default

Json = dict[str, Any]
_EMULATOR: Final = "qnn-htp"  # the kernel path of .onnx files


def compare_compiled(
    subject: Subject, chip: Chip, graph: Path, images: ImageSet, pixels: Preprocess, *, most: int
) -> Json:
    """The answers of a compiled graph beside those of `subject`, its source, on at most `most` images.

    `graph` is the .onnx file by which it is emulated, `chip` what it was compiled for. A graph that cannot be emulated,
    or that ends its process, is an entry with the reason.
    """
    path = f"{_EMULATOR}:{chip.hexagon}"
    found = beside_default(path, subject, CLASSIFIER_PATHS, images, pixels, most=most, file=graph)
    (pair,) = found.pairs
    return {"images": found.images, **pair_of_paths_json(pair)}
