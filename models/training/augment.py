"""Augment batches of images: rotation, zoom, shift and, for photos, mirroring and changes of light."""

import math
from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

from mbexport.models.channels import CHANNELS
from mbexport.models.resolution import Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """The largest changes of an image: degrees, a factor of zoom, a fraction of a side; and how its border is filled.

    `zoom` goes both ways, `zoom_in` is added to it in one. `light` is how far contrast, brightness (of 255) and the
    balance of the channels (half as far) change, as a factor. With `mixes` each image is then blended with another one
    of its batch (Zhang et al. 2018, arXiv 1710.09412) by a share from none to all (Beyer et al. 2022,
    arXiv 2106.05237, section 3): only a teacher has scores for such a mix.
    """

    rotation_deg: float
    zoom: float
    shift: float
    mirror: bool
    fill_mode: str  # of ImageProjectiveTransformV3: CONSTANT (black) or REFLECT
    zoom_in: float = 0.0
    light: float = 0.0
    mixes: bool = False

    def moved(self, pixels: Any, targets: Any, *, seed: Any, output: Resolution | None) -> tuple[Any, Any]:
        """The batch of `augment`, and its targets, which no change of an image changes."""
        return augment(pixels, self, seed=seed, output=output), targets


DIGITS_AUGMENTATION: Final = Augmentation(rotation_deg=10, zoom=0.12, shift=0.12, mirror=False, fill_mode="CONSTANT")
PHOTO_AUGMENTATION: Final = Augmentation(
    rotation_deg=15, zoom=0.14, zoom_in=0.36, shift=0.1, mirror=True, fill_mode="REFLECT", light=0.2
)


def augment(pixels: Any, how: Augmentation, *, seed: Any, output: Resolution | None = None) -> Any:
    """Augment a batch (n, h, w, channels) of bytes: float32 0..255. `seed` (2 integers) decides everything.

    With `output` the result has that size: the centre of the image at the same scale.
    """

    def draw(stream: int, low: float, high: float, channels: int | None = None) -> Any:
        shape = [tf.shape(pixels)[0]] if channels is None else [tf.shape(pixels)[0], 1, 1, channels]
        return tf.random.stateless_uniform(shape, [seed[0] + stream, seed[1]], low, high)

    moved = _moved(pixels, how, draw, output=output)
    shone = lit(moved, how.light, draw) if how.light else moved
    return _mixed(shone, draw) if how.mixes else shone


def _moved(pixels: Any, how: Augmentation, draw: Any, *, output: Resolution | None) -> Any:
    shape = tf.shape(pixels)
    count, height, width = shape[0], tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    size = shape[1:3] if output is None else tf.constant(output.sides_px)
    turn = how.rotation_deg * math.pi / 180
    angle = draw(0, -turn, turn)
    scale = 1 + draw(1, -how.zoom - how.zoom_in, how.zoom)
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    flip = tf.where(draw(2, -1.0, 1.0) < 0, -1.0, 1.0) if how.mirror else tf.ones([count])
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    target_x, target_y = (tf.cast(size[1], tf.float32) - 1) / 2, (tf.cast(size[0], tf.float32) - 1) / 2
    dx, dy = (draw(stream, -how.shift, how.shift) * side for stream, side in ((3, width), (4, height)))
    # Output (x, y) samples input (a x + b y + c, d x + e y + f), turned about the centre.
    a, b, d, e = cos * flip, -sin, sin * flip, cos
    c = centre_x - a * target_x - b * target_y + dx
    f = centre_y - d * target_x - e * target_y + dy
    zeros = tf.zeros([count])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(pixels, tf.float32),
        transforms=tf.stack([a, b, c, d, e, f, zeros, zeros], axis=1),
        output_shape=size,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode=how.fill_mode,
    )


def lit(images: Any, light: float, draw: Any) -> Any:
    """The images with changed contrast about their mean, brightness, and balance of channels; alpha is no light.

    `draw(stream, low, high, channels)` gives random numbers (n, 1, 1, channels); streams 5 to 7 are drawn from.
    """
    if CHANNELS[images.shape[-1]].has_alpha:
        return tf.concat([lit(images[..., :-1], light, draw), images[..., -1:]], axis=-1)
    contrast, tint = draw(5, 1 - light, 1 + light, 1), draw(7, 1 - light / 2, 1 + light / 2, images.shape[-1])
    brightness = draw(6, -light, light, 1) * 255 / 2
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return tf.clip_by_value(((images - mean) * contrast + mean + brightness) * tint, 0.0, 255.0)


def _mixed(images: Any, draw: Any) -> Any:
    """Each image blended with the one at the mirrored place of the batch."""
    share = draw(8, 0.0, 1.0, 1)
    return share * images + (1 - share) * tf.reverse(images, [0])
