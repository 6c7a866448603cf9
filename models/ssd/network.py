"""Build an SSD on MobileNet v1 in tf_keras, whose backbone has the layer names and weights of Keras' MobileNet."""

import math
from typing import Final

import tf_keras

from mbexport.models.facts import INPUT_NAME
from mbexport.models.layers import Tensor
from mbexport.models.mobilenet_v1.network import Normalizer, body_maps
from mbexport.models.mobilenet_v1.spec import KERNEL_PX
from mbexport.models.ssd.spec import ANCHORS_PER_PLACE, FEATURE_BLOCKS, ExtraStage, SsdSpec

CODES: Final = "codes"
LOGITS: Final = "logits"

_layers = tf_keras.layers


def build(spec: SsdSpec, *, batch_norm_momentum: float = 0.99) -> tf_keras.Model:
    """Build the core network: (batch, height, width, 3) float32, normalized, to two outputs a map, finest first.

    `boxes_0` is (batch, rows, columns, anchors * 4) float32 of codes, `classes_0` (batch, rows, columns, anchors *
    classes) float32 of logits, whose sigmoid is the score; then `boxes_1`, `classes_1` and so on. Each is a 1x1
    convolution with a bias. `batch_norm_momentum`, the decay of the moving statistics, is for training only.
    """
    normalize = Normalizer(momentum=batch_norm_momentum)
    image = _layers.Input((*spec.resolution.sides_px, 3), name=INPUT_NAME)
    _, *blocks = body_maps(image, spec, normalize, has_pads=False)
    maps = [blocks[number - 1] for number in FEATURE_BLOCKS]
    for number, stage in enumerate(spec.extras, start=1):
        maps.append(_extra_stage(maps[-1], stage, normalize, name=f"extra_{number}"))
    outputs = []
    for level, (x, each) in enumerate(zip(maps, ANCHORS_PER_PLACE, strict=True)):
        outputs.append(_layers.Conv2D(each * 4, 1, name=f"boxes_{level}")(x))
        outputs.append(_layers.Conv2D(each * spec.classes, 1, name=f"classes_{level}")(x))
    return tf_keras.Model(image, outputs, name=spec.architecture)


def _extra_stage(x: Tensor, stage: ExtraStage, normalize: Normalizer, *, name: str) -> Tensor:
    reduce = _layers.Conv2D(stage.reduced, 1, use_bias=False, name=f"{name}_reduce")
    spread = _layers.Conv2D(stage.channels, KERNEL_PX, strides=2, padding="same", use_bias=False, name=name)
    return normalize(spread(normalize(reduce(x), reduce.name)), name)


def with_joined_maps(core: tf_keras.Model) -> tf_keras.Model:
    """The core network, folded or not, with the outputs of all maps as two: `codes` and `logits`.

    They are (batch, anchors, 4) and (batch, anchors, classes) float32, in the order of `anchors_of`. The weights are
    shared with `core`.
    """
    boxes, classes = core.outputs[0::2], core.outputs[1::2]
    codes = _joined(boxes, [4] * len(boxes), name=CODES)
    columns = [x.shape[-1] // each for x, each in zip(classes, ANCHORS_PER_PLACE, strict=True)]
    return tf_keras.Model(core.input, [codes, _joined(classes, columns, name=LOGITS)], name=f"{core.name}_joined")


def _joined(maps: list[Tensor], columns: list[int], *, name: str) -> Tensor:
    """Maps (batch, rows, columns, anchors * n) as one tensor (batch, anchors of all places and maps, n)."""
    rows = [
        _layers.Reshape((math.prod(x.shape[1:]) // n, n), name=f"{name}_{level}")(x)
        for level, (x, n) in enumerate(zip(maps, columns, strict=True))
    ]
    return _layers.Concatenate(axis=1, name=name)(rows)
