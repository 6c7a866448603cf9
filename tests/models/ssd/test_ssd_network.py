"""The detector that is built against its cost, its map sizes, the classifier's backbone and real ImageNet weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.errors import DataError
from mbexport.models.folding import fold_batch_norm
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.mobilenet_v1.network import build as build_classifier
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.pretrained import set_weights
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.cost import cost
from mbexport.models.ssd.network import build, with_joined_maps
from mbexport.models.ssd.pretrained import FORM
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.stored_network import network_from_json, network_to_json

pytestmark = pytest.mark.run

SMALL = SsdSpec(alpha=0.25, resolution=Resolution.square(96), classes=3)
ODD = SsdSpec(alpha=0.25, resolution=Resolution(height_px=97, width_px=131), classes=1)
SPECS = [SMALL, ODD, replace(SMALL, feature_stride=8), SsdSpec()]
NAMES = [f"{what}_{level}" for level in range(6) for what in ("boxes", "classes")]

Randomize = Callable[..., Any]


def images(spec: SsdSpec, count: int = 2) -> Any:
    return np.random.default_rng(3).uniform(-1, 1, (count, *spec.resolution.sides_px, 3)).astype(np.float32)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem_name)
def test_the_network_is_what_its_spec_and_its_cost_say(spec: SsdSpec) -> None:
    core = build(spec)
    assert (core.name, core.input_names, core.output_names) == ("ssd_mobilenet_v1", ["image"], NAMES)
    per_place = (3, 6, 6, 6, 6, 6)
    shapes = [
        (None, *size.sides_px, n * each)
        for size, n in zip(spec.maps, per_place, strict=True)
        for each in (4, spec.classes)
    ]
    assert core.output_shape == shapes
    convolutions = {layer.name: layer for layer in core.layers if "conv2d" in type(layer).__name__.lower()}
    assert {each.name: each.output.sides_px for each in cost(spec).layers} == {
        name: layer.output_shape[1:3] for name, layer in convolutions.items()
    }
    assert {each.name: each.weights for each in cost(spec).layers} == {
        name: layer.weights[0].shape.num_elements() for name, layer in convolutions.items()
    }
    assert core.count_params() == cost(spec).parameters
    assert not [layer.name for layer in core.layers if "pad" in layer.name]


def test_the_backbone_is_the_classifiers(randomize: Randomize) -> None:
    # Sides of 96 px halve evenly down to 3, where both paddings are the same.
    core, classifier = (
        randomize(build(SMALL)),
        build_classifier(ModelSpec(alpha=0.25, resolution=Resolution.square(96))),
    )
    body = [layer for layer in classifier.layers if layer.weights][:-1]
    for layer in body:
        layer.set_weights(core.get_layer(layer.name).get_weights())
    last = [tf_keras.Model(each.input, each.get_layer("conv_pw_13_relu").output) for each in (core, classifier)]
    ours, theirs = (np.asarray(model(images(SMALL))) for model in last)
    assert theirs.std() > 1e-2
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS[:3], ids=lambda spec: spec.stem_name)
def test_it_is_stored_and_folded_like_any_network(spec: SsdSpec, randomize: Randomize) -> None:
    core = randomize(build(spec))
    again = network_from_json(network_to_json(core))
    again.set_weights(core.get_weights())
    preprocess = Preprocess(resolution=spec.resolution, crop_fraction=1.0, is_stretched=True)
    folded, fed = fold_batch_norm(core), fold_batch_norm(core, preprocess=preprocess)
    assert again.output_names == folded.output_names == fed.output_names == NAMES
    assert folded.count_params() == cost(spec).folded_parameters
    assert not [layer for layer in folded.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    given = images(spec)
    for one, other, third in zip(core(given), again(given), folded(given), strict=True):
        assert np.asarray(one).std() > 1e-2
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(third, one, atol=1e-3 * np.abs(one).max())


def test_joined_maps_come_in_the_order_of_the_anchors(randomize: Randomize) -> None:
    core = randomize(build(SMALL))
    joined = with_joined_maps(core)
    assert joined.output_names == ["codes", "logits"]
    assert joined.output_shape == [(None, SMALL.anchor_count, 4), (None, SMALL.anchor_count, 3)]
    outputs, (codes, logits) = core(images(SMALL)), joined(images(SMALL))
    # The third anchor of row 1, column 2 of the second map, behind the 6 x 6 places of the first.
    place = 36 * 3 + (1 * 3 + 2) * 6 + 2
    np.testing.assert_array_equal(codes[1, place], outputs[2][1, 1, 2, 8:12])
    np.testing.assert_array_equal(logits[1, place], outputs[3][1, 1, 2, 6:9])
    np.testing.assert_array_equal(logits[0, -1], outputs[11][0, 0, 0, -3:])
    np.testing.assert_array_equal(codes[0, 0], outputs[0][0, 0, 0, :4])


def test_imagenet_weights_fit_the_backbone_and_leave_the_rest(shared_data: Path) -> None:
    path = shared_data / "weights" / "mobilenet_2_5_224_tf.h5"
    core, stored = build(SMALL), stored_weights(path)
    before = {layer.name: layer.get_weights() for layer in core.layers if layer.weights}
    unset = set(set_weights(FORM, core, stored, source=path, keeps_head=False))
    new = {name for name in before if name.startswith(("extra", "boxes", "classes"))}
    assert unset == new
    for layer in core.layers:
        for place, value in enumerate(layer.get_weights()):
            expected = before[layer.name] if layer.name in new else stored[layer.name]
            np.testing.assert_array_equal(value, expected[place])


def test_weights_of_another_width_are_refused(shared_data: Path) -> None:
    path = shared_data / "weights" / "mobilenet_7_5_224_tf.h5"
    with pytest.raises(DataError, match=r"conv1/kernel must have shape .* it looks like alpha 0\.75"):
        set_weights(FORM, build(SMALL), stored_weights(path), source=path, keeps_head=False)
