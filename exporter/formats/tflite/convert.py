"""Convert a tf_keras network to .tflite in any precision.

int8 has the ranges and weights of its network's fake quantization; the weights that the converter rounds for itself in
the other reduced precisions are replaced afterwards (`integers.with_decided_weights`). The only module that calls
TFLiteConverter.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.artifact import Io, Precision
from mbexport.calibration.qat.fake_quant import PREFIX
from mbexport.errors import StageError
from mbexport.formats.file_format import Conversion
from mbexport.formats.tflite.batch import with_open_batch
from mbexport.formats.tflite.detection_tail import with_detection_tail
from mbexport.formats.tflite.float_layers import with_float_layers
from mbexport.formats.tflite.integers import require_decided_integers, with_decided_weights
from mbexport.formats.tflite.metadata import with_metadata
from mbexport.formats.tflite.raw_heads import with_raw_heads
from mbexport.models.activations import HardSwish
from mbexport.models.facts import INPUT_NAME

OUTPUT_NAME: Final = "scores"
# Ops of a dynamic batch: mobile delegates refuse a graph that holds one.
_DYNAMIC_OPS: Final = frozenset({"SHAPE", "STRIDED_SLICE", "PACK"})
_IO_TYPES: Final = {Io.UINT8: tf.uint8, Io.INT8: tf.int8, Io.FLOAT32: tf.float32}

Images = Iterable[NDArray[np.float32]]  # (1, h, w, channels) each


def tflite_file(conversion: Conversion) -> bytes:
    """The .tflite of that precision, with its metadata, proved to hold the integers that were decided.

    Raises `StageError` if the converter changed what was asked for, and for a detector of several images at a time.
    """
    precision, batch, networks, tail = conversion.precision, conversion.batch, conversion.networks, conversion.tail
    if tail is not None and batch != 1:
        raise StageError(f"a detector must take one image at a time, got a batch of {batch or 'any size'}")
    network = networks.network()
    match precision:
        case Precision.FP32:
            content = fp32_tflite(network, batch=batch)
        case Precision.FP16:
            content = fp16_tflite(network, batch=batch)
        case Precision.INT8:
            content = int8_tflite(network, conversion.io, batch=batch, outputs=Io.INT8 if tail else None)
            require_decided_integers(content, networks.decided(), networks.ranges())
            content = _checked(with_float_layers(content, networks.decided(), networks.kept()))
        case Precision.DYNAMIC:
            content = with_decided_weights(dynamic_tflite(network, batch=batch), networks.decided())
        case Precision.INT16X8:
            content = int16x8_tflite(network, networks.inputs(), batch=batch)
            content = with_decided_weights(content, networks.decided())
    if tail is not None and conversion.is_raw:
        return with_metadata(with_raw_heads(content, tail), conversion.description, raw=tail)
    if tail is not None:
        content = with_detection_tail(content, tail)
    return with_metadata(content, conversion.description)


def fp32_tflite(model: tf_keras.Model, *, batch: int | None = 1) -> bytes:
    """A float32 .tflite: input `image` (batch, h, w, channels), normalized; output `scores` (batch, classes).

    The outputs of a network with several have the names of its last layers, in the file's signature alone: their
    order is the converter's. A batch of None is decided when the file is run; it is 1 until then.
    """
    return _converted(model, batch, lambda _: None)


def fp16_tflite(model: tf_keras.Model, *, batch: int | None = 1) -> bytes:
    """The same with weights in half precision: half the size; they are computed with in float32."""

    def choose(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _converted(model, batch, choose)


def dynamic_tflite(model: tf_keras.Model, *, batch: int | None = 1) -> bytes:
    """A .tflite with 8-bit weights, float32 input and output, and activations that each op rounds as it sees fit.

    The weights are rounded to the nearest code.
    """

    def choose(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return _converted(model, batch, choose)


def int16x8_tflite(model: tf_keras.Model, images: Images, *, batch: int | None = 1) -> bytes:
    """A .tflite with 8-bit weights and 16-bit activations, whose ranges `images` decide; float32 input and output.

    The weights are rounded to the nearest code. A hard-swish, for which LiteRT has no kernel in 16 bits, stays float.
    """

    def representative() -> Iterator[dict[str, NDArray[np.float32]]]:
        return ({INPUT_NAME: np.repeat(image, batch or 1, axis=0)} for image in images)

    def choose(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        only_integers = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        has_float = any(isinstance(layer, HardSwish) for layer in model.layers)
        others = [tf.lite.OpsSet.TFLITE_BUILTINS] if has_float else []
        converter.target_spec.supported_ops = [only_integers, *others]

    return _converted(model, batch, choose)


def int8_tflite(quantized: tf_keras.Model, io: Io, *, batch: int | None = 1, outputs: Io | None = None) -> bytes:
    """An all-integer .tflite of a fake-quantized network; `io` is the type of its input and, without `outputs`, output.

    Raises `StageError` if the converter changed what the input's codes stand for.
    """

    def choose(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = _IO_TYPES[io]
        converter.inference_output_type = _IO_TYPES[outputs or io]

    return _converted(quantized, batch, choose)


def _converted(model: tf_keras.Model, batch: int | None, choose: Callable[[Any], None]) -> bytes:
    """What a converter makes of a concrete function: from_keras_model would bake ops of a dynamic batch in.

    What the function reads is tracked by a bare module: given the Keras model itself, the converter saves it
    whole first and traces every layer again, which takes twice as long as everything else. It saves and restores
    each variable that is tracked by ops of its own, so those that fake quantization keeps and never reads are not.
    """
    image = tf.TensorSpec((batch or 1, *model.input_shape[1:]), tf.float32, name=INPUT_NAME)
    names = _output_names(model)

    def named(image: Any) -> dict[str, Any]:
        return dict(zip(names, tf.nest.flatten(model(image, training=False)), strict=True))

    concrete = tf.function(named, input_signature=[image]).get_concrete_function()
    tracked = tf.Module()
    tracked.variables_read = concrete.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tracked)
    choose(converter)
    content = converter.convert()
    return _checked(with_open_batch(content) if batch is None else content)


def _output_names(model: tf_keras.Model) -> tuple[str, ...]:
    """What the signature calls the outputs: one is `scores`, several have the names of the float network's layers."""
    if len(model.outputs) == 1:
        return (OUTPUT_NAME,)
    return tuple(name.removeprefix(PREFIX) for name in model.output_names)


def _checked(content: bytes) -> bytes:
    """The same bytes, once they load, are static, and no quantized tensor has a range too narrow to be real."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    dynamic = sorted({op["op_name"] for op in interpreter._get_ops_details()} & _DYNAMIC_OPS)
    if dynamic:
        raise StageError(f"a .tflite file must be static, got the op {dynamic[0]}")
    for tensor in interpreter.get_tensor_details():
        scales = tensor["quantization_parameters"]["scales"]
        is_activation = tensor["dtype"] in (np.int8, np.uint8) and len(scales) == 1
        if is_activation and not scales[0] * 255 > 1e-5:
            raise StageError(f"tensor {tensor['name']} must have a calibrated range, got one of {scales[0] * 255:g}")
    return content
