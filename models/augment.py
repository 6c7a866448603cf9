"""Turns a batch of images into a batch of slightly moved ones: rotation, zoom, shift and, for photos, a mirror."""

from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far an image is moved at most: degrees, a factor of zoom, a fraction of the side; and how it is filled."""

    rotation_deg: float
    zoom: float
    shift: float
    mirror: bool
    fill_mode: str  # of ImageProjectiveTransformV3: CONSTANT (black) or REFLECT


DIGITS_AUGMENTATION: Final = Augmentation(rotation_deg=10, zoom=0.12, shift=0.12, mirror=False, fill_mode="CONSTANT")
PHOTO_AUGMENTATION: Final = Augmentation(rotation_deg=8, zoom=0.15, shift=0.1, mirror=True, fill_mode="REFLECT")


def augment(pixels: Any, how: Augmentation, *, seed: Any) -> Any:
    """A batch (n, px, px, 3) of bytes to float32 0..255 of the same shape; `seed` (2 integers) decides everything."""
    shape = tf.shape(pixels)
    count, side = shape[0], tf.cast(shape[1], tf.float32)

    def draw(stream: int, limit: float) -> Any:
        return tf.random.stateless_uniform([count], [seed[0] + stream, seed[1]], -limit, limit)

    angle = draw(0, how.rotation_deg * 3.141592653589793 / 180)
    scale = 1 + draw(1, how.zoom)
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    flip = tf.where(draw(2, 1.0) < 0, -1.0, 1.0) if how.mirror else tf.ones([count])
    centre = (side - 1) / 2
    dx, dy = draw(3, how.shift) * side, draw(4, how.shift) * side
    # Output (x, y) samples input (a x + b y + c, d x + e y + f), turned about the centre.
    a, b, d, e = cos * flip, -sin, sin * flip, cos
    c = centre - a * centre - b * centre + dx
    f = centre - d * centre - e * centre + dy
    zeros = tf.zeros([count])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(pixels, tf.float32),
        transforms=tf.stack([a, b, c, d, e, f, zeros, zeros], axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode=how.fill_mode,
    )
