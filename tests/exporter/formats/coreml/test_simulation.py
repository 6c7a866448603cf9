"""A package's answers by hand, in float16; programs that cannot be simulated are refused."""

import numpy as np
import pytest
from coreml_by_hand import BIAS, KERNEL, files_by_hand, operation

from mbexport.errors import DataError
from mbexport.formats.coreml.package import package_of
from mbexport.formats.coreml.simulation import SimulatedPackage

IMAGES = np.array([[[[0, 51, 255]] * 2] * 2, [[[255, 204, 102]] * 2] * 2], np.uint8)


def simulated(**changed):
    return SimulatedPackage(package_of(files_by_hand(**changed), name="net"), name="net")


def expected(images):
    numbers = images[:, 0, 0] / 127.5 - 1
    logits = numbers @ KERNEL.reshape(2, 3).T + BIAS
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def test_scores_by_hand():
    found = simulated().scores(IMAGES)
    assert found.shape == (2, 2)
    assert np.abs(found - expected(IMAGES)).max() < 2e-3  # float16
    assert np.abs(found - expected(IMAGES)).max() > 0


def test_every_result_has_the_type_that_the_program_states():
    tensors = simulated().tensors(IMAGES[0])
    for name in ("halves", "conv", "mean", "scores"):
        assert (tensors[name] == tensors[name].astype(np.float16)).all()
    assert not (tensors["biased"] == tensors["biased"].astype(np.float16)).all()


def test_blue_comes_first_where_the_package_says_so():
    found, turned = simulated(colour=30).scores(IMAGES), simulated().scores(IMAGES[..., ::-1])
    assert found.tolist() == turned.tolist()


def test_codes_are_unpacked():
    codes = np.round(KERNEL * 64).astype(np.int8)
    found = simulated(codes=(codes, np.full(2, 1 / 64, np.float16))).scores(IMAGES)
    assert found.tolist() == simulated().scores(IMAGES).tolist()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ending": "erf"}, "net cannot be simulated: it has the operation erf"),
        (
            {"extra": operation("relu", "wrong", "float16", (1, 3), {"x": "mean"})},
            "net: wrong must have shape (1, 3), got (1, 2)",
        ),
        (
            {"extra": operation("mul", "wrong", "float16", (1, 2), {"x": "mean"})},
            "net cannot be simulated at wrong: 'y'",
        ),
        (
            {"extra": operation("relu", "wrong", "float16", (1, 2), {"x": "nothing"})},
            "net cannot be simulated at wrong: 'nothing'",
        ),
    ],
)
def test_what_cannot_be_simulated_is_one_line(changed, message):
    with pytest.raises(DataError) as caught:
        simulated(**changed).scores(IMAGES)
    assert str(caught.value) == message
