"""What a detector learns from, and what its epochs are worth: on networks that know the answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.imageset import ImageSet
from mbexport.models.detection.anchors import AnchorTable, decode
from mbexport.models.detection.boxes import Boxes
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.anchor_choice import network_anchors
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.training.detection.augment import BoxAugmentation
from mbexport.models.training.detection.objective import BoxObjective, PackedAugmentation
from mbexport.models.training.detection.targets import assigned, packed_boxes
from mbexport.models.training.objective import Evaluation
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import TrainSettings

pytestmark = pytest.mark.run

CLASSES = 3
SPEC = SsdSpec(alpha=0.25, resolution=Resolution.square(96), classes=CLASSES)
TABLE = AnchorTable()
ANCHORS = network_anchors(SPEC, TABLE)
PREPARED = Preprocess(resolution=SPEC.resolution, crop_fraction=1.0, is_stretched=True)
STILL = PackedAugmentation(how=BoxAugmentation(mirror=False, crops=0, canvases=0, light=0))


def scenes(count: int) -> BoxedImages:
    """Pictures of one grey each, with three boxes that do not touch; the classes differ from one to the next."""

    def read(index: int) -> Image.Image:
        return Image.new("RGB", (96, 96), (5 * index,) * 3)

    corners = [[0.05, 0.1, 0.4, 0.45], [0.55, 0.5, 0.9, 0.95], [0.6, 0.05, 0.8, 0.3]]
    boxes = tuple(Boxes.of(corners, [(k + n) % CLASSES for n in range(3)]) for k in range(count))
    labels, names = np.zeros(count, np.int64), tuple(map(str, range(count)))
    return BoxedImages(images=ImageSet(labels=labels, names=names, read=read), boxes=boxes)


def objective_of(learned: BoxedImages, held_out: BoxedImages, **options: Any) -> BoxObjective:
    return BoxObjective(
        learned=learned,
        preprocess=PREPARED,
        classes=CLASSES,
        anchors=ANCHORS,
        table=TABLE,
        held_out=held_out,
        patience=9,
        **options,
    )


class Oracle:
    """A network that knows the boxes of each picture by its grey; `shift` is added to the class."""

    def __init__(self, boxed: BoxedImages, *, shift: int = 0) -> None:
        packed = packed_boxes(boxed, CLASSES).of(np.arange(len(boxed)))
        self._targets = np.asarray(assigned(tf.constant(packed), ANCHORS, TABLE, CLASSES))
        self._shift, self.batches = shift, list[int]()

    def predict_on_batch(self, inputs: Any) -> Any:
        self.batches.append(len(inputs))
        greys = np.rint(inputs[:, 0, 0, 0] * 127.5 + 127.5).astype(int) // 5
        target = self._targets[greys]
        learned = np.where(target[..., 4] >= 0, (target[..., 4] + self._shift) % CLASSES, -1)
        logits = np.where(learned[..., None] == np.arange(CLASSES), 9.0, -9.0)
        return np.concatenate([target[..., :4], logits], axis=-1).astype(np.float32)


def test_who_finds_everything_has_an_average_precision_of_one() -> None:
    boxed = scenes(35)
    oracle = Oracle(boxed)
    found = objective_of(boxed, boxed).evaluated(oracle)
    assert (found["val_ap"], found["val_ap50"]) == (1, 1)
    assert found["val_loss"] == pytest.approx(0, abs=1e-3)
    assert oracle.batches == [32, 3]


def test_who_takes_each_class_for_another_has_one_of_zero() -> None:
    boxed = scenes(6)
    found = objective_of(boxed, boxed).evaluated(Oracle(boxed, shift=1))
    assert (found["val_ap"], found["val_ap50"]) == (0, 0)
    assert found["val_loss"] > 1


def test_where_nothing_is_asked_for_it_is_zero_and_the_loss_decides() -> None:
    empty = replace(scenes(2), boxes=(Boxes.of([], []),) * 2)
    objective = objective_of(empty, empty)
    found = objective.evaluated(Oracle(empty))
    assert (found["val_ap"], found["val_ap50"]) == (0, 0)
    assert 0 <= found["val_loss"] < 1e-3
    worse, better = (Evaluation(loss=loss, accuracy=0.0) for loss in (2.0, 1.0))
    assert objective.is_better(better, worse)
    assert not objective.is_better(worse, better)
    assert objective.is_better(Evaluation(loss=9.0, accuracy=0.1), better)


def test_held_out_images_are_read_once_where_there_is_room(tmp_path: Path) -> None:
    boxed = scenes(4)
    store = PixelStore(tmp_path, count=4, shape=PREPARED.shape)
    reads: list[int] = []

    def read(index: int) -> Image.Image:
        reads.append(index)
        return boxed.images.read(index)

    counted = replace(boxed, images=replace(boxed.images, read=read))
    objective = objective_of(boxed, counted, held_out_store=store)
    assert objective.evaluated(Oracle(boxed)) == objective.evaluated(Oracle(boxed))
    assert sorted(reads) == [0, 1, 2, 3]


def test_an_epoch_is_rated_with_those_before_it() -> None:
    boxed = scenes(2)
    history = [{"val_loss": loss, "val_ap": ap} for loss, ap in ((3.0, 0.1), (2.0, 0.2), (1.0, 0.6))]
    assert objective_of(boxed, boxed).rated(history) == Evaluation(loss=1, accuracy=0.6)
    found = objective_of(boxed, boxed, averaged_epochs=2).rated(history)
    assert (found.loss, found.accuracy) == (1.5, pytest.approx(0.4))


@pytest.mark.parametrize("augmentation", [STILL, PackedAugmentation(how=BoxAugmentation())])
def test_the_targets_of_a_batch_are_those_of_its_images(augmentation: PackedAugmentation) -> None:
    boxed = scenes(8)
    settings = TrainSettings(batch=4, seed=1, augmentation=augmentation)
    stream = objective_of(boxed, boxed).stream(None, settings, None)
    batches = list(stream(range(1, 4)).as_numpy_iterator())
    assert len(batches) == 3
    for inputs, targets in batches:
        assert (inputs.shape, targets.shape) == ((4, 96, 96, 3), (4, len(ANCHORS), 5))
        assert ((inputs >= -1) & (inputs <= 1)).all()
        for image, target in zip(inputs, targets, strict=True):
            positive = target[target[:, 4] >= 0]
            assert len(positive) > 0
            found = decode(ANCHORS[target[:, 4] >= 0], positive[:, :4])
            assert ((found > -1e-3) & (found < 1 + 1e-3)).all()
            if augmentation is STILL:
                own = boxed.boxes[int(np.rint(image[0, 0, 0] * 127.5 + 127.5)) // 5]
                for corners, learned in zip(found, positive[:, 4], strict=True):
                    (place,) = np.flatnonzero(np.isclose(own.corners, corners, atol=1e-4).all(axis=1))
                    assert own.classes[place] == learned
    again = list(stream(range(2, 3)).as_numpy_iterator())
    np.testing.assert_array_equal(again[0][0], batches[1][0])
    np.testing.assert_array_equal(again[0][1], batches[1][1])


def test_difficult_objects_stay_difficult_when_images_are_moved() -> None:
    boxed = scenes(4)
    hard = replace(
        boxed, boxes=tuple(Boxes.of(each.corners, each.classes, [True, False, True]) for each in boxed.boxes)
    )
    settings = TrainSettings(batch=4, seed=1, augmentation=PackedAugmentation(how=BoxAugmentation(crops=0)))
    ((_, targets),) = objective_of(hard, hard).stream(None, settings, None)(range(1)).as_numpy_iterator()
    ((_, whole),) = objective_of(boxed, boxed).stream(None, settings, None)(range(1)).as_numpy_iterator()
    assert 0 < (targets[..., 4] >= 0).sum() < (whole[..., 4] >= 0).sum()
    assert (targets[..., 4] == -2).sum() > (whole[..., 4] == -2).sum()
