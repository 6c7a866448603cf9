"""Networks of other widths: only the layers that are named change, and what they are read by fits."""

from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.models.widening import with_widths

pytestmark = pytest.mark.run


@pytest.fixture(scope="module")
def network() -> Any:
    return build(ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=4))


def test_a_wider_stem_widens_what_stands_behind_it_up_to_the_next_full_convolution(network: Any) -> None:
    wider = with_widths(network, {"conv1": 16})
    shapes, before = (
        {layer.name: [w.shape for w in layer.weights] for layer in each.layers} for each in (wider, network)
    )
    assert shapes["conv1"] == [(3, 3, 3, 16)]
    assert shapes["conv_dw_1"] == [(3, 3, 16, 1)]
    assert shapes["conv_dw_1_bn"] == [(16,)] * 4
    assert shapes["conv_pw_1"] == [(1, 1, 16, 16)]
    changed = {name for name, shape in shapes.items() if shape != before[name]}
    assert changed == {"conv1", "conv1_bn", "conv_dw_1", "conv_dw_1_bn", "conv_pw_1"}
    assert [layer.name for layer in wider.layers] == [layer.name for layer in network.layers]
    assert wider.predict_on_batch(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 4)


@pytest.mark.parametrize("widths", [{}, {"conv1": 8}, {"conv1": 8, "conv_dw_1": 8}])
def test_a_network_that_has_the_widths_is_given_back(network: Any, widths: dict[str, int]) -> None:
    assert with_widths(network, widths) is network


def test_branches_are_kept() -> None:
    layers = tf_keras.layers
    image = layers.Input((4, 4, 3), name="image")
    one, other = (layers.Conv2D(2, 1, name=name)(image) for name in ("one", "other"))
    network = tf_keras.Model(image, layers.Conv2D(3, 1, name="end")(layers.Add(name="sum")([one, other])))
    wider = with_widths(network, {"one": 5, "other": 5})
    assert wider.get_layer("end").weights[0].shape == (1, 1, 5, 3)
