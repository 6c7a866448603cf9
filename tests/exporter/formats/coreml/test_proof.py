"""What is proved of a package: each single thing that could be wrong in it is found."""

from dataclasses import replace

import numpy as np
import pytest
from coreml_by_hand import ASKED, BIAS, KERNEL, SIDE, files_by_hand, operation

from mbexport.errors import StageError
from mbexport.formats.coreml.codes import with_decided_codes
from mbexport.formats.coreml.proof import require_as_asked
from mbexport.formats.coreml.rows import PACKAGES
from mbexport.formats.tflite.integers import Decided

FP16, W8 = PACKAGES
OWN = {"conv": Decided(kernel=KERNEL.transpose(2, 3, 1, 0), bias=BIAS, least=np.zeros(2))}
ROUNDED = {"codes": (np.full((2, 3, 1, 1), 3, np.int8), np.ones(2, np.float16)), "specification": 7}


def test_a_package_as_asked_passes():
    require_as_asked(files_by_hand(), FP16, ASKED, OWN)
    require_as_asked(with_decided_codes(files_by_hand(**ROUNDED), OWN), W8, ASKED, OWN)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"specification": 7}, "the version of the package must be 6, got 7"),
        ({"colour": 30}, "the input of the package must be ImageInput(name='image', "),
        ({"labels": ("dog", "cat")}, "the package must have the 2 labels of the scores, got others"),
        ({"scale": 1 / 128}, "the package must make (byte - [127.5, 127.5, 127.5]) / [127.5, 127.5, 127.5] of bytes, "),
        ({"offset": -0.99}, "the package must make (byte - [127.5, 127.5, 127.5]) / [127.5, 127.5, 127.5] of bytes, "),
        ({"ending": "relu"}, "the package must give probabilities, by softmax or sigmoid, got neither"),
        ({"kernel": KERNEL + np.float32(1e-3)}, "the weights of conv must be those that were asked for, got 6 of 6 "),
        ({"kernel": KERNEL[::-1]}, "the weights of conv must be those that were asked for, got 6 of 6 others"),
        ({"bias": BIAS * 2}, "the bias of conv must be those that were asked for, got 2 of 2 others"),
    ],
)
def test_what_is_wrong_is_said(changed, line):
    with pytest.raises(StageError) as caught:
        require_as_asked(files_by_hand(**changed), FP16, ASKED, OWN)
    assert str(caught.value).startswith(line)


def test_codes_that_coremltools_rounded_itself_are_others():
    with pytest.raises(StageError, match=r"^the codes of conv must be those that were asked for, got 6 of 6 others$"):
        require_as_asked(files_by_hand(**ROUNDED), W8, ASKED, OWN)


def test_a_number_that_would_be_zero_may_be_the_least_instead():
    """coremltools takes 2**-24 of the number's sign in small arrays; nothing else but zero will do."""
    tiny = np.array([1e-9, -1e-12], np.float32)
    wanted = {"conv": replace(OWN["conv"], bias=tiny)}
    require_as_asked(files_by_hand(bias=np.array([2.0**-24, -(2.0**-24)], np.float32)), FP16, ASKED, wanted)
    require_as_asked(files_by_hand(bias=np.zeros(2, np.float32)), FP16, ASKED, wanted)
    turned = np.array([-(2.0**-24), 2.0**-23], np.float32)
    with pytest.raises(StageError, match=r"^the bias of conv must be those that were asked for, got 2 of 2 others$"):
        require_as_asked(files_by_hand(bias=turned), FP16, ASKED, wanted)


def test_weights_that_float16_cannot_hold_are_refused():
    large = {"conv": replace(OWN["conv"], bias=np.array([1e5, 0], np.float32))}
    with pytest.raises(StageError, match=r"^the bias of conv are too large for float16: up to 100000$"):
        require_as_asked(files_by_hand(), FP16, ASKED, large)


def test_a_factor_for_each_channel_counts():
    """What differs between channels stands behind the one scale that an image input has."""
    asked = replace(ASKED, mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 120.0))
    with pytest.raises(StageError, match=r"^the package must make \(byte - "):
        require_as_asked(files_by_hand(), FP16, asked, OWN)


def test_an_operation_on_another_tensor_is_no_normalization():
    extra = operation("mul", "unread", "float32", (1, 3, SIDE, SIDE), {"x": "image", "y": "scale"})
    require_as_asked(files_by_hand(extra=extra), FP16, ASKED, OWN)
