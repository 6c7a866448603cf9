"""Weights that contradict the configuration of their own layer."""

import numpy as np
import pytest

from mbexport.errors import DataError
from mbexport.models.keras_import.calls import Call
from mbexport.models.keras_import.configured import require_configured

CONV = {"kernel_size": [3, 3], "filters": 8}


def of(kind: str, config: dict[str, object], *shapes: tuple[int, ...]) -> None:
    call = Call(path=("layer",), class_name=kind, config=config)
    require_configured(call, [np.zeros(shape, np.float32) for shape in shapes])


@pytest.mark.parametrize(
    ("kind", "config", "shapes"),
    [
        ("Conv2D", CONV, [(3, 3, 4, 8), (8,)]),
        ("Conv2D", {"kernel_size": 3, "filters": 8}, [(3, 3, 4, 8)]),
        ("Conv2D", {}, [(5, 5, 4, 7)]),
        ("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 1}, [(3, 3, 8, 1), (8,)]),
        ("SeparableConv2D", CONV, [(3, 3, 4, 1), (1, 1, 4, 8), (8,)]),
        ("Dense", {"units": 5}, [(7, 5), (5,)]),
        ("BatchNormalization", {}, [(8,)] * 4),
        ("Conv2D", CONV, [(9,)]),  # said elsewhere
        ("Flatten", {}, []),
    ],
)
def test_weights_as_configured_pass(kind: str, config: dict[str, object], shapes: list[tuple[int, ...]]) -> None:
    of(kind, config, *shapes)


@pytest.mark.parametrize(
    ("kind", "config", "shapes", "said"),
    [
        ("Conv2D", CONV, [(5, 5, 4, 8)], r"kernel_size \[3, 3\] .* got \(5, 5\)"),
        ("Conv2D", CONV, [(3, 3, 4, 9)], r"filters \[8\] .* got \(9,\)"),
        ("Conv2D", CONV, [(3, 3, 4, 8), (4,)], r"channels \[8\] .* got \(4,\)"),
        ("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 1}, [(3, 3, 8, 2)], "depth_multiplier"),
        ("SeparableConv2D", CONV, [(3, 3, 4, 1), (3, 3, 4, 8)], r"kernel_size \[1, 1\]"),
        ("Dense", {"units": 5}, [(7, 6)], r"units \[5\] .* got \(6,\)"),
        ("BatchNormalization", {}, [(8,), (8,), (7,), (8,)], r"channels \[8\] .* got \(7,\)"),
    ],
)
def test_weights_of_another_layer_are_refused(
    kind: str, config: dict[str, object], shapes: list[tuple[int, ...]], said: str
) -> None:
    with pytest.raises(DataError, match=f"the weights of .* must have {said}"):
        of(kind, config, *shapes)
