"""The network that is built against its cost, against Keras' own MobileNetV2, and with published weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from like_keras import assert_backbone_serves, assert_like_keras

from mbexport.errors import DataError, OptionError
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.mobilenet_v2.network import build
from mbexport.models.mobilenet_v2.pretrained import FORM, imagenet_files
from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.pretrained import set_weights
from mbexport.models.resolution import Resolution


def theirs_of(spec: MobileNetV2Spec, **settings: Any) -> Any:
    shape = (*spec.resolution.sides_px, 3)
    return tf_keras.applications.MobileNetV2(shape, alpha=spec.alpha, weights=None, **settings)


@pytest.mark.parametrize(("alpha", "px", "classes"), [(0.35, 96, 7), (1.4, 32, 5), (0.05, 64, 3)])
def test_the_network_is_that_of_keras_applications(
    alpha: float, px: int, classes: int, randomize: Any, tmp_path: Path
) -> None:
    spec = MobileNetV2Spec(alpha=alpha, resolution=Resolution.square(px), classes=classes)
    assert_like_keras(spec, theirs_of(spec, classes=classes), randomize, tmp_path)


def test_a_file_without_a_top_serves_fine_tuning(randomize: Any, tmp_path: Path) -> None:
    spec = MobileNetV2Spec(alpha=0.35, resolution=Resolution.square(32), classes=4)
    assert_backbone_serves(spec, theirs_of(spec, include_top=False), randomize, tmp_path)


def test_settings_for_training_reach_their_layers() -> None:
    model = build(
        MobileNetV2Spec(alpha=0.35, resolution=Resolution.square(32)),
        batch_norm_momentum=0.5,
        dropout=0.3,
        is_resumable=True,
    )
    norms = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    assert len(norms) == 1 + 17 * 3 - 1 + 1  # the first block expands nothing
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.5, 1e-3)}
    assert model.get_layer("dropout").rate == 0.3


def test_published_weights_fit_and_are_refused_elsewhere(shared_data: Path) -> None:
    file = shared_data / "weights" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
    spec = MobileNetV2Spec(alpha=0.35, classes=5)
    stored = stored_weights(file)
    ours = build(spec)
    assert set_weights(FORM, ours, stored, source=file, keeps_head=False) == ("predictions",)

    theirs = theirs_of(spec, include_top=False, pooling="avg")
    theirs.load_weights(str(file))
    images = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
    features = tf_keras.Model(ours.input, ours.get_layer("global_average_pooling2d").output)
    np.testing.assert_allclose(np.asarray(features(images))[:, 0, 0], np.asarray(theirs(images)), atol=1e-4)

    with pytest.raises(DataError, match=r"predictions/kernel must have .* got nothing; it looks like alpha 0\.35 with"):
        set_weights(FORM, build(spec), stored, source=file, keeps_head=True)
    with pytest.raises(DataError, match=r"Conv1/kernel must have shape \(3, 3, 3, 32\), got .* looks like alpha 0\.35"):
        set_weights(FORM, build(MobileNetV2Spec()), stored, source=file, keeps_head=False)


@pytest.mark.parametrize(("px", "published_px"), [(96, 96), (224, 224), (32, 224), (256, 224)])
@pytest.mark.parametrize(("alpha", "text"), [(0.35, "0.35"), (1, "1.0"), (1.4, "1.4")])
def test_files_are_called_as_keras_calls_them(alpha: float, text: str, px: int, published_px: int) -> None:
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{text}_{published_px}"
    assert imagenet_files(MobileNetV2Spec(alpha=alpha, resolution=Resolution.square(px))) == (
        f"{stem}.h5",
        f"{stem}_no_top.h5",
    )


def test_other_alphas_are_refused() -> None:
    with pytest.raises(OptionError, match=r"published for alpha 0\.35, 0\.5, 0\.75, 1, 1\.3, 1\.4, got 0\.25"):
        imagenet_files(MobileNetV2Spec(alpha=0.25))
