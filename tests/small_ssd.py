"""A detector in small, with two outputs a map as SSD has them, and what a converter needs of it; made in seconds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
import tf_keras

from mbexport.artifact import OPSET, Io, Layout, Precision
from mbexport.calibration.affine import Range
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range, min_largest_by_layer
from mbexport.calibration.ranges.observe import observe
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.file_format import Conversion
from mbexport.formats.onnx.convert import onnx_file
from mbexport.formats.tflite.convert import tflite_file
from mbexport.formats.tflite.integers import Decided
from mbexport.models.detection.settings import PostProcess
from mbexport.models.facts import Output
from mbexport.models.folding import fold_batch_norm
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

PX: Final = 32
LABELS: Final = ("red", "white", "platelet")
PREPROCESS: Final = Preprocess(resolution=Resolution.square(PX), crop_fraction=1.0, is_stretched=True)
SIDES: Final = (4, 2, 1, 1, 1, 1)  # of the maps
PER_PLACE: Final = (3, 6, 6, 6, 6, 6)  # anchors in each place of a map
layers = tf_keras.layers


@cache
def small_ssd() -> tf_keras.Model:
    """Maps from two taps of a trunk and four stages behind it, each with a convolution for boxes and one for classes.

    `image` (1, 32, 32, 3) to float codes (1, h, w, anchors * 4) and logits (1, h, w, anchors * 3), map by map.
    """
    x = image = layers.Input((PX, PX, 3), name="image")
    x = _convolved(x, 16, 3, name="stem", stride=2)
    x = _separable(x, 24, name="first", stride=2)
    maps = [x := _separable(x, 32, name="second", stride=2)]
    maps.append(x := _separable(x, 48, name="third", stride=2))
    for number in range(4):
        x = _convolved(x, 16, 1, name=f"extra_{number}_narrow")
        maps.append(x := _convolved(x, 32, 3, name=f"extra_{number}_wide", stride=2))
    heads = []
    for number, (tap, anchors) in enumerate(zip(maps, PER_PLACE, strict=True)):
        heads.append(layers.Conv2D(anchors * 4, 1, name=f"boxes_{number}")(tap))
        heads.append(layers.Conv2D(anchors * len(LABELS), 1, name=f"classes_{number}")(tap))
    return _settled(tf_keras.Model(image, heads, name="small_ssd"))


def tail() -> DetectionTail:
    """Its tail. An anchor for each place and number in it; sizes are random."""
    rng, found = np.random.default_rng(0), []
    for side, each in zip(SIDES, PER_PLACE, strict=True):
        middle = (np.arange(side) + 0.5) / side
        places = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 1, 2).repeat(each, axis=1)
        sizes = rng.uniform(0.1, 0.9, (1, each, 2)).repeat(side * side, axis=0)
        found.append(np.concatenate([places, sizes], axis=-1).reshape(-1, 4))
    return DetectionTail(
        anchors=np.concatenate(found).astype(np.float32),
        code_scales=(10.0, 10.0, 5.0, 5.0),
        classes=len(LABELS),
        settings=PostProcess(score_threshold=0.3, max_detections=20),
        maps=len(SIDES),
    )


def pixels(count: int = 32) -> np.ndarray:
    """Coarse blocks of noise, uint8 (count, PX, PX, 3)."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3))
    return coarse.repeat(PX // 4, axis=1).repeat(PX // 4, axis=2).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is behind an artifact: `formats.file_format.Networks`."""

    model: tf_keras.Model
    found: Mapping[str, Range] = field(default_factory=dict)
    convolutions: Mapping[str, Decided] = field(default_factory=dict)

    def network(self) -> tf_keras.Model:
        """The network of the artifact's precision."""
        return self.model

    def kept(self) -> tuple[str, ...]:
        """No layer stays in float."""
        return ()

    def decided(self) -> Mapping[str, Decided]:
        """Each convolution's weights, whose integers are the nearest to them."""
        return self.convolutions

    def ranges(self) -> Mapping[str, Range]:
        """Those of `pixels()`."""
        return self.found

    def inputs(self) -> Iterator[np.ndarray]:
        """The images, one by one."""
        return iter(PREPROCESS.normalize(pixels())[:, None])


@cache
def made(precision: Precision) -> Made:
    """The network of that precision, calibrated on `pixels()`."""
    if precision in (Precision.FP32, Precision.FP16):
        return Made(model=fold_batch_norm(small_ssd()))
    ends = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}
    folded = fold_batch_norm(small_ssd(), preprocess=PREPROCESS)
    ranges = observe(folded, [PREPROCESS.dequantize(pixels())])
    least = min_largest_by_layer(folded, ranges, input_range(**ends))
    weights = {name: folded.get_layer(name).get_weights() for name in least}
    decided = {name: Decided(kernel=k, bias=b, least=least[name]) for name, (k, b) in weights.items()}
    network = fake_quantize(folded, ranges, **ends) if precision is Precision.INT8 else folded
    return Made(model=network, found=ranges, convolutions=decided)


def conversion(precision: Precision, **changes: Any) -> Conversion:
    """One artifact of the network to be made; with a `source` it is an .onnx."""
    description = Description(
        name="small_ssd",
        text="A detector in small.",
        labels=LABELS,
        resolution=PREPROCESS.resolution,
        channels=3,
        mean=PREPROCESS.normalization.mean,
        std=PREPROCESS.normalization.std,
        output=Output.SIGMOID,
    )
    given = {
        "precision": precision,
        "description": description,
        "architecture": "small_ssd",
        "versions": {},
        "networks": made(precision),
        "batch": 1,
        "io": Io.UINT8,
        "layout": Layout.NHWC,
        "opset": OPSET,
        "tail": tail(),
    }
    return Conversion(**(given | changes))


@cache
def tflite_of(precision: Precision) -> bytes:
    """The detector's .tflite, with uint8 input if that is int8."""
    return tflite_file(conversion(precision))


@cache
def onnx_of(precision: Precision, **changes: Any) -> bytes:
    """The .onnx of that precision."""
    source = Precision.FP32 if precision is Precision.FP16 else precision
    return onnx_file(conversion(precision, source=tflite_of(source), **changes))


def _convolved(x: Any, filters: int, kernel: int, *, name: str, stride: int = 1) -> Any:
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def _separable(x: Any, filters: int, *, name: str, stride: int) -> Any:
    x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(layers.BatchNormalization(name=f"{name}_depthwise_bn")(x))
    return _convolved(x, filters, 1, name=name)


def _settled(network: tf_keras.Model) -> tf_keras.Model:
    """The network with random weights, and batch normalization with the statistics of the images."""
    rng = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            values = np.asarray(tf_keras.Model(network.input, layer.input)(PREPROCESS.normalize(pixels())))
            gamma, beta, _, _ = layer.get_weights()
            layer.set_weights([gamma, beta + 0.5, values.mean((0, 1, 2)), values.var((0, 1, 2)) + 1e-3])
        elif layer.weights:
            layer.set_weights(list(_random(rng, layer)))
    return network


def _random(rng: np.random.Generator, layer: Any) -> Sequence[np.ndarray]:
    kernel, *bias = (weight.shape for weight in layer.get_weights())
    inputs = np.prod(kernel[:2]) * (1 if isinstance(layer, layers.DepthwiseConv2D) else kernel[2])
    is_class = layer.name.startswith("classes")  # scores differ, and few are high
    weights = rng.normal(0, (2 if is_class else 1) * np.sqrt(2 / inputs), kernel)  # He et al. 2015, arXiv 1502.01852
    return [weights, *(rng.normal(-7 if is_class else 0, 0.3, shape) for shape in bias)]
