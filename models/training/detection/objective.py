"""Define what a detector learns: images with boxes, the loss, and average precision on held-out images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras

from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.imageset import ImageSet, iter_pixels
from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.detection.average_precision import average_precision
from mbexport.models.detection.boxes import Centers, Detections
from mbexport.models.detection.postprocess import detect, sigmoid
from mbexport.models.detection.settings import PostProcess
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.best_epoch import mean_evaluation
from mbexport.models.training.detection.augment import BoxAugmentation, augment_boxes
from mbexport.models.training.detection.loss import detection_loss
from mbexport.models.training.detection.targets import assigned, packed_boxes
from mbexport.models.training.objective import Evaluation, Stream
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import TrainSettings, pixels_of, training_steps

_BATCH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedAugmentation:
    """`augment_boxes` for boxes that are packed with their classes, as a training streams them."""

    how: BoxAugmentation

    @property
    def mixes(self) -> bool:
        """Images are not blended: boxes say nothing of a mix."""
        return False

    def moved(self, pixels: Any, targets: Any, *, seed: Any, output: Resolution | None) -> tuple[Any, Any]:
        """The images (n, *output, channels) and boxes (n, rows, 5) after the changes that `seed` decides.

        Without `output` the images keep their size.
        """
        output = output or Resolution(height_px=int(pixels.shape[1]), width_px=int(pixels.shape[2]))
        classes = tf.cast(targets[..., 4], tf.int32)
        seen, boxes, kept = augment_boxes(pixels, targets[..., :4], classes, self.how, seed=seed, output=output)
        return seen, tf.concat([boxes, tf.cast(kept, tf.float32)[..., None]], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxObjective:
    """The objective of a detector's training: images with boxes, and the anchors that are to find them.

    An epoch is worth the average precision on `held_out` images, in the mean of the last `averaged_epochs`; equal ones
    are told apart by the loss. `held_out_store` caches the pixels of these.
    """

    learned: BoxedImages
    preprocess: Preprocess
    classes: int
    anchors: Centers
    table: AnchorTable
    held_out: BoxedImages
    held_out_store: PixelStore | None = None
    averaged_epochs: int = 1
    patience: int

    @property
    def images(self) -> ImageSet:
        """The images that are learned."""
        return self.learned.images

    @property
    def stored_as(self) -> Preprocess:
        """The network's own input: all of each image."""
        return self.preprocess

    @property
    def has_held_out(self) -> bool:
        """Always: the best epoch is chosen."""
        return True

    @property
    def may_keep_start(self) -> bool:
        """Never: an untrained detector finds nothing."""
        return False

    def compile_options(self) -> dict[str, Any]:
        """The loss, as an argument of Keras' `compile`."""
        return {"loss": detection_loss}

    def stream(self, model: tf_keras.Model, settings: TrainSettings, store: PixelStore | None) -> Stream:  # noqa: ARG002
        """The batches of any steps: inputs of the network, and the targets of its anchors."""
        targets = packed_boxes(self.learned, self.classes)
        example = tf.function(self._example)  # traced once for all epochs

        def batches(steps: range) -> Any:
            streamed = training_steps(
                self.images,
                self.stored_as,
                settings,
                steps=steps,
                store=store,
                output=self.preprocess.resolution,
                targets=targets,
            )
            return streamed.map(example)

        return batches

    def _example(self, pixels: Any, boxes: Any) -> tuple[Any, Any]:
        return self.preprocess.normalize_floats(pixels), assigned(boxes, self.anchors, self.table, self.classes)

    def evaluated(self, model: tf_keras.Model) -> dict[str, float]:
        """The loss on the held-out images, and AP and AP50 of what is found in them: 0 where nothing is asked for."""
        found: list[Detections] = []
        losses: list[float] = []
        targets = packed_boxes(self.held_out, self.classes)
        read = pixels_of(self.held_out.images, self.preprocess, self.held_out_store)
        for pixels in iter_pixels(self.held_out.images, self.preprocess, batch=_BATCH, pixels_of=read):
            outputs = model.predict_on_batch(self.preprocess.normalize(pixels))
            rows = np.arange(len(found), len(found) + len(pixels))
            target = assigned(tf.constant(targets.of(rows)), self.anchors, self.table, self.classes)
            losses.append(float(detection_loss(target, outputs)) * len(pixels))
            found.extend(self._detections(each) for each in outputs)
        precision = average_precision(found, self.held_out.boxes, self.classes)
        return {
            "val_loss": sum(losses) / len(found),
            "val_ap": float(np.nan_to_num(precision.ap)),
            "val_ap50": float(np.nan_to_num(precision.ap50)),
        }

    def _detections(self, outputs: Any) -> Detections:
        scores = sigmoid(outputs[:, 4:])
        return detect(outputs[:, :4], scores, self.anchors, self.table.code_scales, PostProcess())

    def rated(self, history: Sequence[Mapping[str, float]]) -> Evaluation:
        """The mean of the last `averaged_epochs`."""
        return mean_evaluation(history[-self.averaged_epochs :], accuracy="val_ap")

    def is_better(self, found: Evaluation, best: Evaluation) -> bool:
        """Whether average precision is higher, or equal with a lower loss."""
        return (found.accuracy, -found.loss) > (best.accuracy, -best.loss)
