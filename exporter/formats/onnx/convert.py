"""Convert a .tflite file to .onnx: the same network, and for int8 the same integers."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import onnx
import onnx.version_converter
from onnx import TensorProto

from mbexport import __version__
from mbexport.artifact import OnnxForm, Precision
from mbexport.errors import StageError
from mbexport.formats.description import onnx_properties
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.file_format import Conversion
from mbexport.formats.onnx.passes.order import passes_for
from mbexport.formats.tflite.detection_core import without_detection_tail
from mbexport.formats.tflite.metadata import input_of

IR_VERSION: Final = 8  # onnxruntime 1.12 (2022) reads it; opsets from 19 on need a newer one
_WITH_WEIGHTS: Final = frozenset({"Conv", "Gemm", "MatMul"})
_NOT_LOADED: Final = "Error loading model"  # shapes are then guessed
_LAST_WRITTEN: Final = 18  # the newest opset that tf2onnx 1.17 writes


def onnx_file(conversion: Conversion) -> bytes:
    """The .onnx made from the .tflite in `conversion.source`, which says of itself what it takes of a byte."""
    description = conversion.description.as_fed_to(input_of(conversion.source))
    properties = onnx_properties(description, layout=conversion.layout.value.upper(), versions=conversion.versions)
    if conversion.tail is not None:
        properties |= conversion.tail.properties
    form = OnnxForm(
        layout=conversion.layout,
        opset=conversion.opset,
        properties=properties,
        graph_name=conversion.architecture,
    )
    kept = len(conversion.networks.kept())
    return onnx_from_tflite(conversion.source, conversion.precision, form, tail=conversion.tail, floats=kept)


def onnx_from_tflite(
    tflite: bytes, precision: Precision, form: OnnxForm, *, tail: DetectionTail | None = None, floats: int = 0
) -> bytes:
    """The .onnx of a .tflite: input `image` and output `scores`, of the same types and with the same batch.

    The input is (n, h, w, channels), or (n, channels, h, w) in the layout NCHW; the output is (n, classes). A file
    that ends in a detection tail gets `tail` in its place, and the outputs of that. fp16 is made of the fp32 .tflite.
    Raises `StageError` if the result is not valid ONNX, stores weights of other layers of an int8 network as floats
    than of the number `floats` that were kept so, or would store weights as float16 that are too large for it, and if a
    step of tf2onnx failed.
    """
    import tf2onnx  # slow: it loads TensorFlow

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"  # tf2onnx reads files only
        source.write_bytes(tflite if tail is None else without_detection_tail(tflite))
        with _no_step_skipped():
            model, _ = tf2onnx.convert.from_tflite(str(source), opset=min(form.opset, _LAST_WRITTEN))
    if form.opset > _LAST_WRITTEN:
        model = onnx.version_converter.convert_version(model, form.opset)
    for transform in passes_for(precision, form.layout, tail):
        transform(model)
    _set_header(model, form)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise StageError(f"the ONNX graph must be valid, got: {error}") from None
    if precision is Precision.INT8:
        _require_int8_weights(model, floats=floats)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextmanager
def _no_step_skipped() -> Iterator[None]:
    """Raise `StageError` for what tf2onnx only logs: it goes on without a step that failed, to another graph."""
    failures = _Failures(logging.WARNING)
    log = logging.getLogger("tf2onnx")
    log.addHandler(failures)
    try:
        yield
    finally:
        log.removeHandler(failures)
    if failures.found:
        raise StageError(f"tf2onnx must apply all of its steps, got: {failures.found[0]}")


class _Failures(logging.Handler):
    """Keeps in `found` what is said of exceptions that were caught, in a line each."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None or record.msg.startswith(_NOT_LOADED):
            reason = "" if error is None else f": {type(error).__name__} {error}"
            self.found.append(f"{record.getMessage()}{reason}")


def _set_header(model: onnx.ModelProto, form: OnnxForm) -> None:
    model.producer_name, model.producer_version = "mbexport", __version__
    model.graph.name = form.graph_name
    model.doc_string = model.graph.doc_string = ""
    del model.opset_import[:]  # tf2onnx adds domains that nothing uses
    model.opset_import.append(onnx.helper.make_opsetid("", form.opset))
    model.ir_version = max(IR_VERSION, onnx.helper.find_min_ir_version_for(model.opset_import))
    onnx.helper.set_model_props(model, dict(sorted(form.properties.items())))


def _require_int8_weights(model: onnx.ModelProto, *, floats: int) -> None:
    stored = {
        each.name for each in model.graph.initializer if each.data_type == TensorProto.FLOAT and len(each.dims) > 1
    }
    names = [
        name for node in model.graph.node if node.op_type in _WITH_WEIGHTS for name in stored.intersection(node.input)
    ]
    if len(names) != floats:
        raise StageError(
            f"weights of an int8 network must be int8 in all layers but {floats}, got float32 in {len(names)}"
        )
