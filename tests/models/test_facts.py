"""Facts on a network survive JSON, and those counted on a network equal those computed from its spec."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.facts import Facts, Output, facts_from_json, facts_to_json
from mbexport.models.mobilenet_v1.cost import cost
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.network import build_network, facts_of_network, facts_of_spec, load_network
from mbexport.models.preprocess import CAFFE, Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.weights import weights_to_bytes

layers = tf_keras.layers
FINITE = st.floats(-1e6, 1e6)
POSITIVE = st.floats(1e-6, 1e6)
SMALL = ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=7)
PREPARED = Preprocess(resolution=Resolution.square(32))


def one_or_three(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[float, ...]]:
    return st.one_of(st.tuples(numbers), st.tuples(numbers, numbers, numbers))


PREPROCESS = st.one_of(
    st.builds(
        Preprocess,
        resolution=st.builds(Resolution, height_px=st.integers(1, 1024), width_px=st.integers(1, 1024)),
        crop_fraction=st.floats(0.01, 1),
        normalization=st.builds(
            Normalization, mean=one_or_three(FINITE), std=one_or_three(POSITIVE), is_bgr=st.booleans()
        ),
    ),
    st.builds(
        Preprocess,
        resolution=st.builds(Resolution, height_px=st.integers(1, 1024), width_px=st.integers(1, 1024)),
        channels=st.just(1),
        normalization=st.builds(Normalization, mean=st.tuples(FINITE), std=st.tuples(POSITIVE)),
    ),
)
FACTS = st.builds(
    Facts,
    preprocess=PREPROCESS,
    classes=st.integers(1, 10**6),
    output=st.sampled_from(Output),
    alpha=st.none() | st.floats(0.01, 1),
    mult_adds=st.integers(0, 10**12),
    parameters=st.integers(0, 10**9),
    architecture=st.text(),
    family=st.none() | st.text(),
)
ONE = Facts(
    preprocess=Preprocess(resolution=Resolution.square(224), normalization=CAFFE),
    classes=1000,
    output=Output.LOGITS,
    alpha=None,
    mult_adds=1,
    parameters=2,
    architecture='{"class_name": "Functional"}',
)


@given(FACTS)
@example(ONE)
def test_facts_come_back_from_json_as_they_went_in(facts: Facts) -> None:
    text = facts_to_json(facts)
    found = facts_from_json(text)
    assert found == facts
    assert type(found.output) is Output
    assert hash(found) == hash(facts)  # tuples again, not lists
    assert facts_to_json(found) == text


def without(*path: str) -> str:
    values: dict[str, Any] = json.loads(facts_to_json(ONE))
    inner = values
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return json.dumps(values)


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(facts_to_json(ONE)) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "null",
        "3",
        "[]",
        "{}",
        "[" * 100_000,
        facts_to_json(ONE)[:-10],
        *(without(field.name) for field in dataclasses.fields(Facts) if field.default is dataclasses.MISSING),
        without("preprocess", "normalization"),
        without("preprocess", "resolution_px"),
        without("preprocess", "normalization", "mean"),
        without("preprocess", "normalization", "is_bgr"),
        changed(stranger=1),
        changed(output="words"),
        changed(preprocess=[]),
        changed(preprocess={"resolution_px": 0, "normalization": {"mean": [0], "std": [1], "is_bgr": False}}),
        changed(preprocess={"resolution_px": 32, "normalization": {"mean": [0], "std": [0], "is_bgr": False}}),
        changed(preprocess={"resolution_px": 32, "normalization": {"mean": 0, "std": [1], "is_bgr": False}}),
    ],
)
def test_a_text_that_is_no_facts_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a file of facts on a network") as caught:
        facts_from_json(text)
    assert "\n" not in str(caught.value)


@given(st.text())
@example("NaN")
@example('{"preprocess": {"normalization": 1}}')
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        facts_from_json(text)


# ---- of networks


@pytest.mark.parametrize(
    "spec",
    [
        SMALL,
        ModelSpec(alpha=0.35, resolution=Resolution.square(96), classes=2),
        ModelSpec(alpha=0.25, resolution=Resolution.square(224)),
        ModelSpec(alpha=0.2, resolution=Resolution.square(64), classes=5, shallow=True),
        ModelSpec(alpha=0.1, resolution=Resolution.square(160), classes=5, conv=Convolution.STANDARD),
        ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=5, conv=Convolution.STANDARD, shallow=True),
    ],
    ids=lambda spec: spec.stem_name,
)
def test_what_is_counted_on_a_network_is_what_its_table_says(spec: ModelSpec) -> None:
    network, preprocess = build(spec), Preprocess(resolution=spec.resolution)
    found = facts_of_network(network, preprocess, Output.SOFTMAX)
    assert (found.mult_adds, found.parameters) == (cost(spec).mult_adds, cost(spec).parameters)
    assert found.classes == spec.classes
    # The width and the architecture's name are what cannot be read off a network.
    assert (found.alpha, found.family) == (None, None)
    named = dataclasses.replace(found, alpha=spec.alpha, family="mobilenet_v1")
    assert named == facts_of_spec(network, spec, preprocess)


def test_the_cost_of_a_chain_by_hand() -> None:
    x = image = layers.Input((8, 6, 1))
    x = layers.Conv2D(2, 3, strides=2, padding="same", use_bias=False)(x)  # 4 x 3 outputs: 3 * 3 * 1 * 2 * 12
    x = layers.DepthwiseConv2D(2)(layers.BatchNormalization()(x))  # 3 x 2 outputs: 2 * 2 * 2 * 6
    x = layers.Conv2D(5, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))  # one output: 2 * 5
    network = tf_keras.Model(image, layers.Reshape((5,))(x))
    found = facts_of_network(network, Preprocess(resolution=Resolution.square(8), channels=1), Output.LOGITS)
    assert found.mult_adds == 216 + 48 + 10
    assert found.parameters == 18 + 8 + (8 + 2) + (10 + 5)
    assert (found.classes, found.alpha, found.output) == (5, None, Output.LOGITS)


@pytest.mark.parametrize("conv", Convolution)
def test_a_network_loaded_from_its_facts_gives_the_same_answers(
    tmp_path: Path, randomize: Callable[..., Any], conv: Convolution
) -> None:
    spec = dataclasses.replace(SMALL, conv=conv)
    network = randomize(build(spec))
    facts = facts_from_json(facts_to_json(facts_of_spec(network, spec, PREPARED)))
    (tmp_path / "weights.npz").write_bytes(weights_to_bytes(network))
    loaded = load_network(facts, tmp_path / "weights.npz")
    images = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(network(images))
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_array_equal(np.asarray(loaded(images)), expected)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in network.layers]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    facts = facts_of_spec(build(SMALL), SMALL, PREPARED)
    (tmp_path / "weights.npz").write_bytes(weights_to_bytes(build(dataclasses.replace(SMALL, classes=8))))
    with pytest.raises(DataError, match="conv_preds/0 must have shape"):
        load_network(facts, tmp_path / "weights.npz")


def test_a_network_without_its_weights_has_the_same_shapes() -> None:
    network = build(SMALL)
    bare = build_network(facts_of_spec(network, SMALL, PREPARED))
    assert [tuple(weight.shape) for weight in bare.weights] == [tuple(weight.shape) for weight in network.weights]
    assert math.prod(bare.output_shape[1:]) == 7
