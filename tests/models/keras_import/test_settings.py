"""No setting of a layer is passed over in silence, and none of its weights contradicts it. Loads no TensorFlow."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.keras_import.calls import Call
from mbexport.models.keras_import.layers import CONVERTERS, steps_of
from mbexport.models.keras_import.settings import READ, TRAINING_ONLY
from mbexport.models.keras_import.steps import Window

CONV = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "use_bias": True}
KERNEL, BIAS = np.zeros((3, 3, 2, 4), np.float32), np.zeros(4, np.float32)


def steps(class_name: str, config: dict[str, Any], *weights: Any) -> list[Any]:
    return steps_of(Call(path=("one",), class_name=class_name, config=config), list(weights))


def test_every_supported_layer_has_its_settings_listed() -> None:
    assert set(CONVERTERS) == set(READ)


@given(
    st.sampled_from(sorted(set(READ) - TRAINING_ONLY)), st.from_regex(r"[a-z]{3,12}", fullmatch=True), st.integers(1)
)
def test_a_setting_that_nobody_knows_is_refused_in_any_layer(class_name: str, key: str, value: int) -> None:
    with pytest.raises(DataError, match="one"):
        steps(class_name, {f"{key}_of_a_later_keras": value})


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"border_mode": "same"}, "has the setting border_mode 'same', which is not supported"),
        ({"subsample": [2, 2]}, r"has the setting subsample \[2, 2\], which is not supported"),
        ({"lora_rank": 4}, "has the setting lora_rank 4, which is not supported"),
        ({"data_format": "channels_first"}, "has data_format channels_first: it must be channels_last"),
        (
            {"dtype": "int8_from_float32"},
            r"was quantized by Keras \(int8\): save the float model, from before quantize",
        ),
        (
            {"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int4", "source_name": "float32"}}},
            r"was quantized by Keras \(int4\)",
        ),
        ({"dtype": "uint8"}, "computes in uint8: it must be a type of floats"),
        ({"use_bias": False}, r"must have weights of \(4,\) axes, got \(4, 1\)"),
    ],
)
def test_settings_that_change_the_answers_are_refused_by_name(changed: dict[str, Any], match: str) -> None:
    assert len(steps("Conv2D", CONV, KERNEL, BIAS)) == 1
    with pytest.raises(DataError, match=rf"layer one \(Conv2D\) {match}"):
        steps("Conv2D", CONV | changed, KERNEL, BIAS)


def test_what_is_switched_off_or_for_training_alone_is_no_obstacle() -> None:
    given = {
        "lora_rank": None,
        "kernel_initializer": {"class_name": "Any"},
        "trainable": True,
        "quantization_config": None,
    }
    assert len(steps("Conv2D", CONV | given, KERNEL, BIAS)) == 1
    assert steps("RandomRotation", {"factor": 0.2, "fill_mode": "reflect"}) == []


def test_weights_without_a_number_are_refused() -> None:
    with pytest.raises(DataError, match=r"must have weights, got shapes \[\(4, 0\), \(0,\)\]"):
        steps("Dense", {}, np.ones((4, 0), np.float32), np.ones(0, np.float32))


def test_renormalization_is_refused() -> None:
    with pytest.raises(DataError, match="has the setting renorm True, which is not supported"):
        steps("BatchNormalization", {"renorm": True}, *[np.ones(4, np.float32)] * 4)


@pytest.mark.parametrize("name", ["QuantizeWrapperV2", "QuantizeLayer", "PruneLowMagnitude"])
def test_wrappers_of_tensorflow_model_optimization_are_told_apart(name: str) -> None:
    with pytest.raises(DataError, match=rf"layer one \({name}\) is wrapped for (quantization|pruning)"):
        steps(name, {})


def test_a_custom_activation_of_a_known_name_is_refused() -> None:
    own = {"module": "my.layers", "class_name": "ReLU", "config": {}, "registered_name": "mine>ReLU"}
    with pytest.raises(DataError, match=r"the activation of layer one \(Activation\) is of a custom class, mine>ReLU"):
        steps("Activation", {"activation": own})
    tensorflows = {"module": "builtins", "class_name": "function", "config": "relu6", "registered_name": "function"}
    assert steps("Activation", {"activation": tensorflows})[0].ceiling == 6


@given(
    st.tuples(*[st.integers(1, 9)] * 2),
    st.tuples(*[st.integers(1, 12)] * 2),
    st.tuples(*[st.integers(1, 12)] * 2),
    st.sampled_from(["same", "valid"]),
)
def test_a_window_is_whole_only_where_one_mean_of_the_map_comes_out(
    sides: Any, size: Any, strides: Any, padding: Any
) -> None:
    """By TensorFlow's rules of the sides: one output for each side, of a window that covers it."""
    counts, covered = [], True
    for side, kernel, stride in zip(sides, size, strides, strict=True):
        if padding == "same":
            counts.append(-(-side // stride))
            before = max((counts[-1] - 1) * stride + kernel - side, 0) // 2
            covered &= -before + kernel >= side
        else:
            counts.append((side - kernel) // stride + 1)
            covered &= kernel >= side
    window = Window(size=size, strides=strides, padding=padding)
    assert window.is_whole(*sides) == (counts == [1, 1] and covered)
