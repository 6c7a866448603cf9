"""A detector written by hand, whose boxes and scores are the bytes of its image; its end is LiteRT's own op."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from postprocess_op import op_options
from tflite_by_hand import end_of, model_of, tensor_of

from mbexport.calibration.affine import Affine
from mbexport.formats.runner import Runner
from mbexport.formats.tflite.file import packed
from mbexport.models.detection.boxes import Detections
from mbexport.models.detection.settings import PostProcess
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.models.resolution import Resolution

PX: Final = 6
LABELS: Final = ("cat", "dog", "tree")
MOST: Final = 10
SETTINGS: Final = PostProcess(score_threshold=0.1, iou_threshold=0.6, max_detections=MOST)
PREPROCESS: Final = Preprocess(resolution=Resolution.square(PX), crop_fraction=1.0, is_stretched=True)
OUTPUTS: Final = ("location", "category", "score", "number of detections")
_SIZE: Final = 4 + len(LABELS)
_ANCHORS: Final = PX * PX * 3 // _SIZE  # of as many bytes each, in the order of the image
_AFFINES: Final = {
    "uint8": Affine(scale=(1 / 255,), zero_point=(0,)),
    "int8": Affine(scale=(1 / 255,), zero_point=(-128,)),
    "float32": None,
}


def image_of(rows: Sequence[tuple[int, float]]) -> Pixels:
    """An image (PX, PX, 3) with an object in each of some places: its class, and its score from 0 to 1.

    The place of a row is that of its anchor: a quarter of the image wide, and side by side.
    """
    pixels = np.zeros((_ANCHORS, _SIZE), np.uint8)
    pixels[:, :4] = 128
    for place, (index, score) in enumerate(rows):
        pixels[place, 4 + index] = round(255 * score)
    flat = np.zeros(PX * PX * 3, np.uint8)
    flat[: pixels.size] = pixels.ravel()
    return flat.reshape(PX, PX, 3)


def detector_tflite(kind: str = "uint8", *, order: Sequence[str] = OUTPUTS) -> bytes:
    """The file whose input has the type `kind`; its outputs lie in the file in that order."""
    writer = _Writer(kind)
    flat = writer.bytes_as_floats()
    rows = writer.op(
        "RESHAPE",
        [
            writer.op("SLICE", [flat, *writer.part((0,), (_ANCHORS * _SIZE,))], (_ANCHORS * _SIZE,)),
            writer.constant(np.array((1, _ANCHORS, _SIZE), np.int32)),
        ],
        (1, _ANCHORS, _SIZE),
    )
    codes = writer.op("SLICE", [rows, *writer.part((0, 0, 0), (1, _ANCHORS, 4))], (1, _ANCHORS, 4))
    scores = writer.op("SLICE", [rows, *writer.part((0, 0, 4), (1, _ANCHORS, len(LABELS)))], (1, _ANCHORS, len(LABELS)))
    codes = writer.op("SUB", [codes, writer.constant(np.float32(128 / 255))], (1, _ANCHORS, 4))
    codes = writer.op("MUL", [codes, writer.constant(np.float32(16))], (1, _ANCHORS, 4))
    return writer.finished(codes, scores, order)


def _anchors() -> np.ndarray:
    """Side by side in rows of four, a little smaller than a quarter of the image."""
    places = np.arange(_ANCHORS)
    middle = np.stack([(places // 4 + 0.5) / 4, (places % 4 + 0.5) / 4], axis=1)
    return np.concatenate([middle, np.tile([0.2, 0.24], (_ANCHORS, 1))], axis=1).astype(np.float32)


class _Writer:
    """A graph in the making; a tensor is known by its number."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._kinds: list[str] = []
        self._contents: list[bytes | None] = [None]
        self._graph = schema.SubGraphT()
        self._graph.tensors = [tensor_of("image", kind, (1, PX, PX, 3), affine=_AFFINES[kind])]
        self._graph.operators = []

    def bytes_as_floats(self) -> int:
        """The bytes of the image / 255, flat."""
        if self._kind == "float32":
            half = self.constant(np.float32(0.5))
            image = self.op("ADD", [self.op("MUL", [0, half], (1, PX, PX, 3)), half], (1, PX, PX, 3))
        else:
            image = self.op("DEQUANTIZE", [0], (1, PX, PX, 3))
        return self.op("RESHAPE", [image, self.constant(np.array((PX * PX * 3,), np.int32))], (PX * PX * 3,))

    def part(self, start: Sequence[int], size: Sequence[int]) -> tuple[int, int]:
        """Where a part begins, and its size."""
        return self.constant(np.array(start, np.int32)), self.constant(np.array(size, np.int32))

    def constant(self, values: Any) -> int:
        """A stored tensor."""
        self._contents.append(values.tobytes())
        kind = "int32" if values.dtype == np.int32 else "float32"
        return self._tensor("stored", values.shape, kind=kind, buffer=len(self._contents) - 1)

    def op(self, kind: str, inputs: Sequence[int], shape: Sequence[int]) -> int:
        """What an op makes."""
        return self._op(kind, inputs, [("made", shape)])[0]

    def finished(self, codes: int, scores: int, order: Sequence[str]) -> bytes:
        """The file that ends in the op, with corners cut off at the border."""
        shapes = [(1, MOST, 4), (1, MOST), (1, MOST), (1,)]
        found = self._op(
            "CUSTOM",
            [codes, scores, self.constant(_anchors())],
            list(zip(("whole", *OUTPUTS[1:]), shapes, strict=True)),
        )
        self._graph.operators[-1].customOptions = np.frombuffer(op_options(len(LABELS), SETTINGS), np.uint8)
        raised = self.op("MAXIMUM", [found[0], self.constant(np.float32(0))], shapes[0])
        (location,) = self._op("MINIMUM", [raised, self.constant(np.float32(1))], [("location", shapes[0])])
        named = dict(zip(OUTPUTS, (location, *found[1:]), strict=True))
        self._graph.inputs = np.zeros(1, np.int32)
        self._graph.outputs = np.array([named[name] for name in order], np.int32)
        model = model_of(self._graph, self._kinds, self._contents)
        model.operatorCodes[self._kinds.index("CUSTOM")].customCode = b"TFLite_Detection_PostProcess"
        model.signatureDefs[0].outputs = [end_of(name.encode(), [named[name]]) for name in order]
        return packed(model)

    def _op(self, kind: str, inputs: Sequence[int], made: Sequence[tuple[str, Sequence[int]]]) -> list[int]:
        op = schema.OperatorT()
        if kind not in self._kinds:
            self._kinds.append(kind)
        op.opcodeIndex = self._kinds.index(kind)
        outputs = [self._tensor(name, shape) for name, shape in made]
        op.inputs, op.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        self._graph.operators.append(op)
        return outputs

    def _tensor(self, name: str, shape: Sequence[int], *, kind: str = "float32", buffer: int = 0) -> int:
        self._graph.tensors.append(tensor_of(name, kind, shape, buffer=buffer))
        return len(self._graph.tensors) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HandDetector:
    """An opened file of these, as golden vectors take it."""

    runner: Runner
    preprocess: Preprocess = PREPROCESS
    takes_bytes: bool = True

    @property
    def name(self) -> str:
        """The file's name."""
        return self.runner.name

    def detections(self, pixels: Pixels) -> tuple[Detections, ...]:
        """The rows that count of each image."""
        feeds = self.runner.prepare(pixels, self.preprocess, takes_bytes=self.takes_bytes)
        return tuple(self._of(feeds[place : place + 1]) for place in range(len(feeds)))

    def _of(self, feed: Any) -> Detections:
        outputs = zip(self.runner.outputs, self.runner.invoke(feed), strict=True)
        named = {target.name: values for target, values in outputs}
        count = int(named["number of detections"][0])
        return Detections.of(*(named[name][0, :count] for name in OUTPUTS[:3]))
