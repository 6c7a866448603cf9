"""Augment batches of images with boxes: mirroring, crops that keep objects, larger canvases and changes of light.

Every image is seen through a window of its own, a part of it or more than all of it, which is resized to the output
with a support scaled to the reduction, as `Preprocess.pixels` resizes.
"""

from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

from mbexport.errors import OptionError
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import lit

PADDING: Final = -1  # the class of a box that is none
_GREY: Final = 127.5  # what surrounds an image: 0 for a network that takes (b - 127.5) / 127.5
_INSIDE: Final = 0.999  # of a crop: how near to its lower and right border the centre may lie that it keeps
_MIRROR, _CROP, _AREA, _RATIO, _TARGET, _KIND, _TOP, _LEFT, _CANVAS = 0, 1, 2, 3, 4, 8, 9, 10, 11  # 5 to 7 are light's


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAugmentation:
    """How images with boxes are changed.

    Shares of all images: `crops` are cropped, `canvases` are placed in a larger grey canvas; the rest is seen whole.
    A crop has at least `least_area` of the image, and sides up to `most_stretch` longer or shorter for each other than
    the image's; a canvas has sides up to `widest_canvas` times as long. With `mirror` half of all are mirrored.
    `light` is that of `Augmentation`. Raises `OptionError` for values outside their range.
    """

    mirror: bool = True
    crops: float = 0.5
    least_area: float = 0.3
    most_stretch: float = 4 / 3
    canvases: float = 0.25
    widest_canvas: float = 2.0
    light: float = 0.2

    def __post_init__(self) -> None:
        # Written so that NaN fails.
        if not (self.crops >= 0 and self.canvases >= 0 and self.crops + self.canvases <= 1):
            raise OptionError(f"shares of crops and canvases must be 0 to 1 in all, got {self.crops}, {self.canvases}")
        if not 0 < self.least_area <= 1:
            raise OptionError(f"the least area of a crop must be in (0, 1], got {self.least_area:g}")
        if not (1 <= self.most_stretch <= 4 and 1 <= self.widest_canvas <= 16):
            raise OptionError(
                f"the stretch of a crop must be from 1 to 4, and the width of a canvas from 1 to 16, "
                f"got {self.most_stretch:g} and {self.widest_canvas:g}"
            )
        if not 0 <= self.light < 1:
            raise OptionError(f"the change of light must be in [0, 1), got {self.light:g}")


def augment_boxes(
    pixels: Any, boxes: Any, classes: Any, how: BoxAugmentation, *, seed: Any, output: Resolution
) -> tuple[Any, Any, Any]:
    """Augment a batch of images and the boxes of each; `seed` (2 integers) decides everything.

    `pixels` are uint8 (n, h, w, channels), `boxes` float32 (n, m, 4) of ymin, xmin, ymax, xmax as fractions, `classes`
    integers (n, m), -1 for a row that is no box. Returns float32 pixels 0..255 of the size of `output`, and boxes and
    classes of the same shapes. A box whose centre is no longer in the image becomes a row that is none, with zeros;
    others are cut off at its border. Of an image with boxes at least one remains.
    """

    def draw(stream: int, low: Any, high: Any, channels: int | None = None) -> Any:
        shape = [tf.shape(pixels)[0]] if channels is None else [tf.shape(pixels)[0], 1, 1, channels]
        return low + (high - low) * tf.random.stateless_uniform(shape, [seed[0] + stream, seed[1]])

    windows = _windows(boxes, classes, how, draw, seed)
    seen = seen_through(pixels, windows, output)
    kept, kept_classes = boxes_in(boxes, classes, windows)
    if how.mirror:
        seen, kept = mirrored(seen, kept, kept_classes, draw(_MIRROR, 0.0, 1.0) < 0.5)
    return lit(seen, how.light, draw) if how.light else seen, kept, kept_classes


def seen_through(pixels: Any, windows: Any, output: Resolution) -> Any:
    """The part of each image in its window, resized to `output`: float32 (n, *output, channels), 0..255.

    `windows` (n, 4) are ymin, xmin, ymax, xmax as fractions of the image. What lies beyond the image is grey.
    """
    sides = tf.cast(tf.shape(pixels)[1:3], tf.float32)
    target = tf.constant(output.sides_px, tf.float32)

    def see(one: Any) -> Any:
        image, window = one
        scale = target / ((window[2:] - window[:2]) * sides)
        resized = tf.raw_ops.ScaleAndTranslate(
            images=tf.cast(image, tf.float32)[None] - _GREY,  # the op puts zeros where nothing is
            size=tf.constant(output.sides_px),
            scale=scale,
            translation=-window[:2] * sides * scale,
            kernel_type="triangle",
            antialias=True,
        )
        return resized[0] + _GREY

    shape = tf.TensorSpec((*output.sides_px, pixels.shape[-1]), tf.float32)
    return tf.clip_by_value(tf.map_fn(see, (pixels, windows), fn_output_signature=shape), 0.0, 255.0)


def boxes_in(boxes: Any, classes: Any, windows: Any) -> tuple[Any, Any]:
    """The boxes whose centre lies in the window of their image, cut off at its border, as fractions of it.

    The others become rows that are no boxes.
    """
    low, high = windows[:, None, :2], windows[:, None, 2:]
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    is_kept = (classes >= 0) & tf.reduce_all((centres >= low) & (centres <= high), axis=-1)
    corners = [(boxes[..., start : start + 2] - low) / (high - low) for start in (0, 2)]
    cut = tf.clip_by_value(tf.concat(corners, axis=-1), 0.0, 1.0)
    return tf.where(is_kept[..., None], cut, 0.0), tf.where(is_kept, classes, PADDING)


def mirrored(images: Any, boxes: Any, classes: Any, is_mirrored: Any) -> tuple[Any, Any]:
    """The images and boxes with left and right exchanged where `is_mirrored` (n,) is true."""
    turned = tf.stack([boxes[..., 0], 1 - boxes[..., 3], boxes[..., 2], 1 - boxes[..., 1]], axis=-1)
    changes = is_mirrored[:, None, None] & (classes >= 0)[..., None]
    return tf.where(is_mirrored[:, None, None, None], images[:, :, ::-1], images), tf.where(changes, turned, boxes)


def _windows(boxes: Any, classes: Any, how: BoxAugmentation, draw: Any, seed: Any) -> Any:
    """What is seen of each image: (n, 4)."""
    kind = draw(_KIND, 0.0, 1.0)[:, None]
    crops = _crops(boxes, classes, how, draw, seed)
    side = draw(_CANVAS, 1.0, how.widest_canvas)
    top, left = -draw(_TOP, 0.0, side - 1), -draw(_LEFT, 0.0, side - 1)
    canvases = tf.stack([top, left, top + side, left + side], axis=1)
    wholes = tf.constant([[0.0, 0.0, 1.0, 1.0]])
    return tf.where(kind < how.crops, crops, tf.where(kind < how.crops + how.canvases, canvases, wholes))


def _crops(boxes: Any, classes: Any, how: BoxAugmentation, draw: Any, seed: Any) -> Any:
    """A window in each image that has the centre of one of its boxes in it: any box, and any such window, alike."""
    area = draw(_AREA, how.least_area, 1.0)
    stretch = tf.pow(how.most_stretch, draw(_RATIO, -1.0, 1.0))
    stretch = tf.clip_by_value(stretch, area, 1 / area)  # no side is longer than the image's
    sides = tf.stack([tf.sqrt(area * stretch), tf.sqrt(area / stretch)], axis=1)
    chances = tf.where(classes >= 0, tf.random.stateless_uniform(tf.shape(classes), [seed[0] + _TARGET, seed[1]]), -1.0)
    # A row more, which no box of an image is less likely than: a batch may have none.
    target = tf.argmax(tf.pad(chances, [[0, 0], [0, 1]], constant_values=-1.0), axis=1)
    box = tf.gather(tf.pad(boxes, [[0, 0], [0, 1], [0, 0]]), target, batch_dims=1)
    centre = (box[:, :2] + box[:, 2:]) / 2
    is_empty = tf.reduce_all(classes < 0, axis=1)[:, None]
    least = tf.where(is_empty, 0.0, tf.clip_by_value(centre - _INSIDE * sides, 0.0, 1 - sides))
    most = tf.where(is_empty, 1 - sides, tf.minimum(centre, 1 - sides))
    chance = tf.stack([draw(_TOP, 0.0, 1.0), draw(_LEFT, 0.0, 1.0)], axis=1)
    start = least + chance * (most - least)
    return tf.concat([start, start + sides], axis=1)
