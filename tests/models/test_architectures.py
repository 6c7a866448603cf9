"""Every row of the architectures does what a row promises."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mbexport.models.architectures import ARCHITECTURES, Architecture, architecture_named, architecture_of, family_named
from mbexport.models.facts import INPUT_NAME, Output
from mbexport.models.network import facts_of_network, facts_of_spec
from mbexport.models.preprocess import Preprocess
from mbexport.models.pretrained import IMAGENET_CLASSES, head_classes, set_weights
from mbexport.models.resolution import Resolution
from mbexport.models.stem_width import with_padded_stem

pytestmark = pytest.mark.run

each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda row: row.name)


def test_names_and_titles_are_different() -> None:
    assert len({row.name for row in ARCHITECTURES}) == len({row.title for row in ARCHITECTURES}) == len(ARCHITECTURES)
    assert len({row.spec for row in ARCHITECTURES}) == len(ARCHITECTURES)


@each_architecture
def test_a_spec_and_a_name_lead_to_their_row(architecture: Architecture) -> None:
    spec = architecture.spec(alpha=0.25, resolution=Resolution.square(64), classes=5)
    assert architecture_of(spec) is architecture
    assert architecture_named(architecture.name) is family_named(architecture.name) is architecture
    assert spec.stem_name.startswith(architecture.name)


@pytest.mark.parametrize("name", [None, "", "resnet", "MobileNet v1"])
def test_an_unknown_network_is_an_image_classifier(name: str | None) -> None:
    assert architecture_named(name) is None
    family = family_named(name)
    assert (family.name, family.title) == ("classifier", "Image classifier")


@each_architecture
def test_a_network_is_what_its_row_says_of_it(architecture: Architecture) -> None:
    size = Resolution(height_px=64, width_px=96)
    spec = architecture.spec(alpha=0.25, resolution=size, classes=5)
    network = architecture.build(spec)
    assert (network.name, network.input_names) == (architecture.name, [INPUT_NAME])
    assert (network.input_shape, network.output_shape) == ((None, 64, 96, 3), (None, 5))
    assert [layer.name for layer in network.layers if layer.weights][-1] == architecture.form.head

    total, counted = architecture.cost(spec), facts_of_network(network, Preprocess(resolution=size), Output.SOFTMAX)
    assert (total.mult_adds, total.parameters) == (counted.mult_adds, counted.parameters)
    assert facts_of_spec(network, spec, Preprocess(resolution=size)).family == architecture.name

    convolutions = [layer for layer in network.layers if "Conv2D" in type(layer).__name__]
    channels = [(layer.output_shape[-1], type(layer).__name__ == "DepthwiseConv2D") for layer in convolutions]
    recognized = [row.spec_of_channels(channels) for row in ARCHITECTURES]
    assert recognized == [architecture.spec(alpha=0.25) if row is architecture else None for row in ARCHITECTURES]
    assert architecture.spec_of_channels(channels[:5]) is None
    padded = with_padded_stem(channels)  # as in an int8 file
    assert architecture.spec_of_channels(padded) == architecture.spec(alpha=0.25)
    assert architecture.spec_of_channels([(padded[0][0] + 1, False), *padded[1:]]) is None

    stored = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}
    assert head_classes(architecture.form, stored) == 5
    other = architecture.build(spec)
    assert set_weights(architecture.form, other, stored, source=Path("here"), keeps_head=True) == ()
    for one, two in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@each_architecture
def test_published_figures_belong_to_networks_of_the_row(architecture: Architecture) -> None:
    for row in architecture.published:
        assert architecture_of(row.spec) is architecture
        assert row.spec.classes == IMAGENET_CLASSES
        assert architecture.cost(row.spec).mult_adds == pytest.approx(row.mult_adds_m * 1e6, rel=0.2)
        assert all(name.endswith(".h5") for name in architecture.imagenet_files(row.spec))
    assert all(architecture_of(row.spec) is architecture for row in architecture.paper)


def test_the_table_loads_neither_numpy_nor_tensorflow() -> None:
    code = (
        "import sys\n"
        "from mbexport.models.architectures import ARCHITECTURES\n"
        "assert all(row.cost(row.spec()).parameters and row.imagenet_files(row.spec()) for row in ARCHITECTURES)\n"
        "assert not {'numpy', 'tensorflow', 'tf_keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
