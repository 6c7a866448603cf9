"""The outputs of a detector as a value: their names, and what is refused."""

import math
from typing import Any

import pytest

from mbexport.errors import OptionError
from mbexport.models.detection.heads import Heads


def test_each_map_has_codes_and_logits() -> None:
    heads = Heads(anchors=(3, 6))
    assert heads.names == (("boxes_0", "classes_0"), ("boxes_1", "classes_1"))
    assert heads.code_scales == (10, 10, 5, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"anchors": ()}, "each map of a detector must have at least 1 anchor at a place, got \\(\\)"),
        ({"anchors": (3, 0)}, "at least 1 anchor at a place, got \\(3, 0\\)"),
        ({"anchors": (3,), "code_scales": (10, 10, 5, 0)}, "must be 4 positive and finite numbers"),
        ({"anchors": (3,), "code_scales": (10, 10, math.nan, 5)}, "must be 4 positive and finite numbers"),
        ({"anchors": (3,), "code_scales": (10, 10, 5)}, "must be 4 positive and finite numbers, got \\(10, 10, 5\\)"),
    ],
)
def test_numbers_that_describe_no_outputs_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Heads(**values)
