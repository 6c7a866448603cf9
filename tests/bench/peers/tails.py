"""Put our detection tail behind the network of a detector that a peer quantized, so that its file gives boxes too."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import onnx
from peers.making import Made

from mbexport.errors import StageError
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.onnx.detection_tail import append_detection_tail
from mbexport.formats.tflite.detection_tail import with_detection_tail


def _onnx_with_tail(content: bytes, tail: DetectionTail) -> bytes:
    model = onnx.ModelProto.FromString(content)
    append_detection_tail(model, tail)
    whole: bytes = model.SerializeToString(deterministic=True)
    return whole


_WITH_TAIL: Final = {"tflite": with_detection_tail, "onnx": _onnx_with_tail}


def with_our_tail(core: Made, tail: DetectionTail, to: Path) -> Made:
    """The same row, whose file is in the folder `to` and gives detections; without a file it stays as it is.

    A network whose outputs are not the heads of `tail` is a row with the reason.
    """
    if core.path is None:
        return core
    try:
        content = _WITH_TAIL[core.suffix](core.path.read_bytes(), tail)
    except StageError as error:
        return replace(core, path=None, reason=str(error))
    path = to / core.path.name
    path.write_bytes(content)
    return replace(core, path=path)
