"""An SSD in small: two maps, two classes, and weights with which a few of its anchors see something."""

from typing import Any

import numpy as np
import tf_keras

from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.models.detection.heads import Heads
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

PX = 16
CLASSES = 2
PREPROCESS = Preprocess(resolution=Resolution.square(PX), crop_fraction=1.0)
DETECTOR = DetectorMeasure(heads=Heads(anchors=(2, 3)))
OUTPUTS = ("boxes_0", "classes_0", "boxes_1", "classes_1")
layers = tf_keras.layers


def network() -> tf_keras.Model:
    """The same network at each call, without batch normalization.

    Two heads and the next layer read its first map, two heads its second. Of 176 anchors a few see an object, and most
    see none.
    """
    image = layers.Input((PX, PX, 3), name="image")
    x = _convolved(image, 8, 3, "stem", stride=2)
    x = layers.ReLU(6.0, name="spatial_relu")(layers.DepthwiseConv2D(3, padding="same", name="spatial")(x))
    maps = [_convolved(x, 12, 1, "mixed")]
    maps.append(_convolved(_convolved(maps[0], 8, 1, "reduce"), 12, 3, "spread", stride=2))
    outputs = []
    for number, (x, each) in enumerate(zip(maps, DETECTOR.heads.anchors, strict=True)):
        outputs.append(layers.Conv2D(4 * each, 1, name=f"boxes_{number}")(x))
        outputs.append(layers.Conv2D(CLASSES * each, 1, name=f"classes_{number}")(x))
    made = tf_keras.Model(image, outputs, name="detector")
    rng = np.random.default_rng(0)
    for layer in made.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            gain, mean = (3, -6) if layer.name.startswith("classes") else (1, 0.2)
            deviation = gain * np.sqrt(2 * len(bias) / kernel.size)  # He et al. 2015, arXiv 1502.01852
            layer.set_weights([rng.normal(0, deviation, kernel.shape), rng.normal(mean, 0.3, bias.shape)])
    return made


def _convolved(x: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def pixels(count: int = 64) -> np.ndarray:
    """Noise, uint8 (count, PX, PX, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, PX, PX, 3)).astype(np.uint8)
