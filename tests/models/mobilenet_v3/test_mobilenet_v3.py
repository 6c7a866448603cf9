"""The network that is built against its cost and against Keras' own MobileNetV3Small and MobileNetV3Large."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from like_keras import assert_backbone_serves, assert_like_keras

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v3.network import build
from mbexport.models.mobilenet_v3.pretrained import SMALL_FORM, imagenet_files
from mbexport.models.mobilenet_v3.spec import LargeSpec, MobileNetV3Spec, SmallSpec
from mbexport.models.pretrained import set_weights
from mbexport.models.resolution import Resolution
from mbexport.models.stored_network import network_from_json, network_to_json

SPECS = [
    SmallSpec(alpha=0.75, resolution=Resolution.square(96), classes=7),
    SmallSpec(resolution=Resolution.square(32), classes=5, minimalistic=True),
    LargeSpec(alpha=1.25, resolution=Resolution.square(32), classes=4),
    LargeSpec(alpha=0.35, resolution=Resolution.square(64), classes=4, minimalistic=True),
]


def theirs_of(spec: MobileNetV3Spec, **settings: Any) -> Any:
    make = tf_keras.applications.MobileNetV3Small
    if isinstance(spec, LargeSpec):
        make = tf_keras.applications.MobileNetV3Large
    shape, chosen = (*spec.resolution.sides_px, 3), {"alpha": spec.alpha, "minimalistic": spec.minimalistic}
    return make(shape, weights=None, include_preprocessing=False, **chosen, **settings)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem_name)
def test_the_network_is_that_of_keras_applications(spec: MobileNetV3Spec, randomize: Any, tmp_path: Path) -> None:
    assert_like_keras(spec, theirs_of(spec, classes=spec.classes), randomize, tmp_path)


def test_keras_rescales_bytes_inside_as_we_do_outside() -> None:
    layers = tf_keras.applications.MobileNetV3Small((32, 32, 3), weights=None).layers
    assert (layers[1].scale, layers[1].offset) == (1 / 127.5, -1.0)


def test_a_file_without_a_top_serves_fine_tuning(randomize: Any, tmp_path: Path) -> None:
    spec = SmallSpec(alpha=0.75, resolution=Resolution.square(32), classes=4)
    assert_backbone_serves(spec, theirs_of(spec, include_top=False), randomize, tmp_path)


def test_fine_tuning_keeps_the_features_of_a_file_with_a_top() -> None:
    spec = SmallSpec(alpha=0.35, resolution=Resolution.square(32), classes=4)
    given = {layer.name: layer.get_weights() for layer in build(spec).layers if layer.weights}
    ours = build(replace(spec, classes=3))
    assert set_weights(SMALL_FORM, ours, given, source=Path("w.h5"), keeps_head=False) == ("Logits",)
    np.testing.assert_array_equal(ours.get_layer("Conv_2").get_weights()[0], given["Conv_2"][0])


def test_the_network_can_be_stored_and_has_no_layer_without_a_name_of_its_own() -> None:
    model = build(SPECS[0], batch_norm_momentum=0.5, dropout=0.3)
    again = network_from_json(network_to_json(model))
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    norms = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.5, 1e-3)}
    assert model.get_layer("dropout").rate == 0.3


@pytest.mark.parametrize(
    ("spec", "stem"),
    [
        (SmallSpec(), "weights_mobilenet_v3_small_224_1.0_float"),
        (LargeSpec(alpha=0.75, resolution=Resolution.square(96)), "weights_mobilenet_v3_large_224_0.75_float"),
        (LargeSpec(minimalistic=True), "weights_mobilenet_v3_large_minimalistic_224_1.0_float"),
    ],
    ids=lambda value: getattr(value, "stem_name", None),
)
def test_files_are_called_as_keras_calls_them(spec: MobileNetV3Spec, stem: str) -> None:
    assert imagenet_files(spec) == (f"{stem}.h5", f"{stem}_no_top_v2.h5")
    published = tf_keras.src.applications.mobilenet_v3.WEIGHTS_HASHES
    assert stem.removeprefix("weights_mobilenet_v3_") in published


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (SmallSpec(alpha=0.5), "published for alpha 0.75, 1, got 0.5"),
        (LargeSpec(alpha=0.75, minimalistic=True), "published with --minimalistic for alpha 1, got 0.75"),
    ],
    ids=lambda value: getattr(value, "stem_name", None),
)
def test_other_widths_are_refused(spec: MobileNetV3Spec, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        imagenet_files(spec)
