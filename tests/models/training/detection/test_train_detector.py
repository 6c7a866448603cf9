"""Detectors that are trained: on drawn shapes, from scratch and from a classifier; and on photos of blood cells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from PIL import Image, ImageDraw

from mbexport.errors import DataError
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.boxes.open import open_boxed
from mbexport.models.data.imageset import ImageSet
from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.detection.boxes import Boxes
from mbexport.models.mobilenet_v1.network import build as build_classifier
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.anchor_choice import network_anchors
from mbexport.models.ssd.network import with_joined_maps
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.training.detection import train as training
from mbexport.models.training.detection.augment import BoxAugmentation
from mbexport.models.training.detection.objective import BoxObjective, PackedAugmentation
from mbexport.models.training.detection.train import held_out_tenth, train_detector
from mbexport.models.training.stream import TrainSettings
from mbexport.models.weights import weights_to_bytes

pytestmark = pytest.mark.run

SPEC = SsdSpec(alpha=0.1, resolution=Resolution.square(96), classes=2)
TABLE = AnchorTable()
GENTLE = PackedAugmentation(how=BoxAugmentation(crops=0, canvases=0))
SETTINGS = TrainSettings(batch=8, seed=0, augmentation=GENTLE)


def preprocess_of(spec: SsdSpec) -> Preprocess:
    return Preprocess(resolution=spec.resolution, crop_fraction=1.0, is_stretched=True)


def shapes(count: int, *, seed: int = 0) -> BoxedImages:
    """A bright square (class 0) and a dark disc (class 1) on grey noise."""
    rng = np.random.default_rng(seed)
    pictures, boxes = [], []
    for _ in range(count):
        picture = Image.fromarray(rng.integers(96, 160, (96, 96, 3), dtype=np.uint8))
        draw, side = ImageDraw.Draw(picture), rng.integers(24, 40, 2)
        (y, x), (v, u) = rng.integers(2, 46, 2), rng.integers(50, 56, 2)
        x = x if y < 20 else min(x, 8)  # nearer to a corner than the disc
        draw.rectangle((x, y, x + side[0] - 1, y + side[0] - 1), fill=(250, 240, 60))
        draw.ellipse((u, v, u + side[1] - 1, v + side[1] - 1), fill=(20, 10, 60))
        pictures.append(picture)
        corners = np.array([[y, x, y + side[0], x + side[0]], [v, u, v + side[1], u + side[1]]]) / 96
        boxes.append(Boxes.of(corners, [0, 1]))
    images = ImageSet(labels=np.zeros(count, np.int64), names=tuple(map(str, range(count))), read=lambda i: pictures[i])
    return BoxedImages(images=images, boxes=tuple(boxes))


TRAIN, VALIDATION = shapes(24), shapes(8, seed=1)
Trained = tuple[Any, list[dict[str, float]]]


def trained(session: Any, *, epochs: int, weights: Path | None = None, on_step: Any = None, **options: Any) -> Trained:
    return train_detector(
        SPEC,
        options.get("train", TRAIN),
        options.get("validation", VALIDATION),
        preprocess_of(SPEC),
        SETTINGS,
        weights=weights,
        epochs=epochs,
        table=TABLE,
        session=session,
        on_step=on_step or (lambda *_: None),
    )


def evaluated(core: Any, spec: SsdSpec, boxed: BoxedImages) -> dict[str, float]:
    objective = BoxObjective(
        learned=boxed,
        preprocess=preprocess_of(spec),
        classes=spec.classes,
        anchors=network_anchors(spec, TABLE),
        table=TABLE,
        held_out=boxed,
        patience=0,
    )
    return objective.evaluated(training._for_training(core))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a classifier of the detector's width, as Keras stores them."""
    tf_keras.utils.set_random_seed(5)
    path = tmp_path_factory.mktemp("classifier") / "weights.h5"
    build_classifier(ModelSpec(alpha=SPEC.alpha, resolution=Resolution.square(96), classes=7)).save_weights(path)
    return path


@pytest.fixture(scope="module")
def whole(session_of: Callable[..., Any], classifier: Path) -> Trained:
    """A training that nothing disturbs."""
    return trained(session_of(), epochs=4, weights=classifier)


def test_it_learns_to_find_shapes(session_of: Callable[..., Any]) -> None:
    core, history = trained(session_of(), epochs=100)
    assert core.output_names[:2] == ["boxes_0", "classes_0"]
    assert set(history[0]) == {"loss", "learning_rate", "val_loss", "val_ap", "val_ap50"}
    assert history[0]["val_ap"] < 0.1
    found = evaluated(core, SPEC, VALIDATION)
    assert found["val_ap50"] > 0.3
    assert found["val_ap"] == max(row["val_ap"] for row in history)  # the best epoch was kept


@pytest.mark.parametrize("piece", [1, 3])  # the only one of new layers alone; one in the middle of all layers
def test_a_run_killed_after_an_evaluation_ends_with_the_bytes_of_one_that_was_not(
    whole: Trained, session_of: Callable[..., Any], killed: Any, classifier: Path, piece: int
) -> None:
    core, history = whole
    session = session_of(dies_at=piece)
    with pytest.raises(killed):
        trained(session, epochs=4, weights=classifier)
    again = session_of(content=session.content)
    resumed, figures = trained(again, epochs=4, weights=classifier)
    assert again.saved == len(history) - piece
    assert figures == history
    assert weights_to_bytes(resumed) == weights_to_bytes(core)


def test_new_layers_learn_alone_then_all_from_the_weights_of_a_classifier(
    session_of: Callable[..., Any], classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[Any] = []
    seen: list[dict[str, Any]] = []
    fit = training.fit

    def note(*_: Any) -> None:
        seen.append({each.name: [value.copy() for value in each.get_weights()] for each in models[0].layers})

    def noted(model: Any, *rest: Any, **options: Any) -> Any:
        models.append(model)
        note()
        return fit(model, *rest, **options)

    monkeypatch.setattr(training, "fit", noted)
    trained(session_of(), epochs=4, weights=classifier, on_step=note)
    assert len(seen) == 1 + 4 * 3
    stored = build_classifier(ModelSpec(alpha=SPEC.alpha, resolution=Resolution.square(96), classes=7))
    stored.load_weights(classifier)
    backbone = [each.name for each in stored.layers if each.weights and each.name != "conv_preds"]
    for name in backbone:
        for value, expected in zip(seen[0][name], stored.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(value, expected)

    def moved(before: int, after: int) -> set[str]:
        pairs = {name: zip(seen[before][name], seen[after][name], strict=True) for name in seen[0]}
        return {name for name, values in pairs.items() if any(not np.array_equal(*pair) for pair in values)}

    new = {name for name, values in seen[0].items() if values and name not in backbone}
    # A tenth of the epochs; where a map has no box, its codes learn nothing.
    assert {"boxes_0", "classes_0", "classes_5", "extra_1", "extra_1_bn"} <= moved(0, 3) <= new
    assert set(backbone) <= moved(4, 12) <= new | set(backbone)


def test_scores_start_near_a_hundredth(session_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "fit", lambda *_, **__: [])
    core, history = trained(session_of(), epochs=1)
    assert history == []
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 96, 96, 3)).astype(np.float32)
    _, logits = with_joined_maps(core)(noise)
    scores = 1 / (1 + np.exp(-np.asarray(logits)))
    np.testing.assert_allclose(scores, 0.01, rtol=0.5)


def test_a_tenth_is_held_out_where_nothing_else_is(
    session_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    objectives: list[BoxObjective] = []
    monkeypatch.setattr(training, "fit", lambda _model, objective, *_, **__: objectives.append(objective))
    trained(session_of(), epochs=1, validation=None)
    trained(session_of(), epochs=1)
    tenth, given = objectives
    learned, held_out = set(tenth.learned.images.names), set(tenth.held_out.images.names)
    assert (len(learned), len(held_out)) == (22, 2)
    assert learned | held_out == set(TRAIN.images.names)
    assert (tenth.averaged_epochs, given.averaged_epochs) == (3, 1)
    assert (given.learned, given.held_out) == (TRAIN, VALIDATION)


@pytest.mark.parametrize(("count", "expected"), [(2, 1), (4, 1), (15, 2), (100, 10)])
def test_images_that_are_held_out_keep_their_boxes(count: int, expected: int) -> None:
    boxed = shapes(count)
    learned, held_out = held_out_tenth(boxed, seed=3)
    assert (len(learned), len(held_out)) == (count - expected, expected)
    for part in (learned, held_out):
        for name, boxes in zip(part.images.names, part.boxes, strict=True):
            assert boxes is boxed.boxes[int(name)]
    assert held_out_tenth(boxed, seed=3)[1].images.names == held_out.images.names


def test_one_image_is_not_enough() -> None:
    with pytest.raises(DataError, match="at least 2 images to learn from, one of them to judge by, got 1"):
        held_out_tenth(shapes(1), seed=0)


@pytest.mark.parametrize(
    ("epochs", "per_epoch", "is_tuned", "expected"),
    [
        (100, 6, True, [(10, 1, 60), (90, 10, 540)]),
        (12, 6, True, [(1, 1, 6), (11, 5, 66)]),
        (10, 500, True, [(1, 1, 500), (9, 9, 4500)]),
        (60, 3, False, [(60, 5, 180)]),
        (1, 6, True, [(1, 1, 6)]),
        (2, 6, True, [(1, 1, 6), (1, 1, 6)]),
    ],
)
def test_phases_by_hand(epochs: int, per_epoch: int, is_tuned: bool, expected: list[tuple[int, int, int]]) -> None:
    found = training._phases(epochs, per_epoch, ("boxes_0",) if is_tuned else None)
    assert [(phase.steps // per_epoch, phase.epochs, phase.steps) for phase in found] == expected
    assert all(phase.warmup_epochs < phase.epochs or phase.epochs == 1 for phase in found)


@pytest.mark.slow
def test_blood_cells_are_found(shared_data: Path, session_of: Callable[..., Any]) -> None:
    data = open_boxed(shared_data / "detect" / "bccd")
    spec = SsdSpec(alpha=0.25, resolution=Resolution.square(192), classes=3, feature_stride=8)
    train, test = data.split(0)
    core, _ = train_detector(
        spec,
        train,
        data.validation(),
        preprocess_of(spec),
        TrainSettings(batch=32, seed=0, augmentation=PackedAugmentation(how=BoxAugmentation())),
        weights=shared_data / "weights" / "mobilenet_2_5_224_tf.h5",
        epochs=50,
        table=TABLE,
        session=session_of(),
        on_step=lambda *_: None,
    )
    found = evaluated(core, spec, test)
    assert found["val_ap50"] > 0.7  # 0.78 after 60 epochs, 0.84 after 100
    assert found["val_ap"] > 0.4
