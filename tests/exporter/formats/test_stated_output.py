"""What a file says of its output in words, beside what its network gives: both formats, and words of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.formats.description import Description
from mbexport.formats.stated_output import KINDS_IN_WORDS, output_conflict
from mbexport.formats.tflite.metadata import read_words, words
from mbexport.models.facts import Output
from mbexport.models.resolution import Resolution

PROBABILITY = Affine(scale=(1 / 256,), zero_point=(0,))


def output(dtype: str = "uint8", affine: Affine | None = PROBABILITY) -> TensorSpec:
    return TensorSpec(name="scores", shape=(1, 10), dtype=dtype, affine=affine)


def told(kind: Output, target: TensorSpec) -> dict[str, str]:
    """What the metadata of a .tflite with that output say."""
    source = TensorSpec(name="image", shape=(1, 2, 2, 3), dtype="uint8", affine=PROBABILITY)
    description = Description(
        name="net",
        text="",
        labels=(),
        resolution=Resolution.square(2),
        channels=3,
        mean=(127.5,),
        std=(127.5,),
        output=kind,
    )
    return read_words(words(description, source, [target]))


@given(
    st.sampled_from(list(KINDS_IN_WORDS)),
    st.sampled_from(["uint8", "int8", "int16", "float32"]),
    st.floats(2**-20, 2**10, width=32),
    st.integers(-128, 255),
)
def test_what_we_write_is_right(kind, dtype, scale, zero_point):
    affine = None if dtype == "float32" else Affine(scale=(scale,), zero_point=(zero_point,))
    target = output(dtype, affine)
    assert output_conflict(told(kind, target), kind=kind, target=target) is None
    assert output_conflict({"output": kind.value}, kind=kind, target=target) is None


@pytest.mark.parametrize("kind", KINDS_IN_WORDS)
@pytest.mark.parametrize(
    "other", [Affine(scale=(1 / 128,), zero_point=(0,)), Affine(scale=(1 / 256,), zero_point=(1,))]
)
def test_other_steps_than_the_words_say_are_named(kind, other):
    said = output_conflict(told(kind, output()), kind=kind, target=output(affine=other))
    assert said == (
        f"its words say that its scores are 0.00390625 * (code - 0), its output that they are "
        f"{other.scale[0]:.9g} * (code - {other.zero_point[0]})"
    )


@pytest.mark.parametrize("words_on", [lambda kind: told(kind, output()), lambda kind: {"output": kind.value}])
def test_a_softmax_that_is_gone_is_named(words_on):
    said = output_conflict(words_on(Output.SOFTMAX), kind=Output.LOGITS, target=output())
    assert said == "its words say that its scores are probabilities of a softmax, its network gives logits"
    assert output_conflict(words_on(Output.LOGITS), kind=Output.SOFTMAX, target=output()) is not None


@pytest.mark.parametrize(
    "words_of_others",
    [{}, {"output": ""}, {"output": "probability: Probabilities of the 1000 labels."}, {"output": "softmax layer"}],
)
def test_words_of_others_are_not_read(words_of_others):
    assert output_conflict(words_of_others, kind=Output.LOGITS, target=output()) is None


@given(st.text())
def test_no_words_are_too_odd(text):
    for said in (text, f"scores: Probabilities that sum to 1{text}", f"scores: Logits, without limits, real = {text}"):
        output_conflict({"output": said}, kind=Output.SOFTMAX, target=output())
