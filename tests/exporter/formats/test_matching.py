"""What each artifact is fed and how its scores are read: every rule on a file made by hand, and what always holds."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto
from tflite_by_hand import tflite_of

from mbexport.artifact import TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.classifier import Classifier
from mbexport.formats.description import Description
from mbexport.formats.matching import input_json, match
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Source, Subject
from mbexport.formats.tflite.metadata import with_metadata
from mbexport.models.facts import Output
from mbexport.models.preprocess import CAFFE, MOBILENET, RAW, UNIT, Normalization, Preprocess
from mbexport.models.resolution import Resolution

FLOAT, INT8, UINT8, INT32 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32
PIXELS = Preprocess(resolution=Resolution.square(4), crop_fraction=1.0)
IMAGE, SCORES = (1, 4, 4, 3), ("scores", FLOAT, [1, 48])
SAID = Description(
    name="net", text="", labels=(), resolution=Resolution.square(4),
    channels=3, mean=(127.5,), std=(127.5,), output=Output.SOFTMAX,
)  # fmt: skip
MOBILENET_WORDS = {"normalization.mean": "[127.5]", "normalization.std": "[127.5]"}
UNIT_WORDS = {"normalization.mean": "[0]", "normalization.std": "[255]"}


def matched(runner: Runner, given: Normalization | None = None, **changed: object) -> Subject:
    wanted = {"pixels": PIXELS, "classes": Classifier(runner).classes, "background": False} | changed
    return match(runner, given=given, **wanted)


def every_byte() -> np.ndarray:
    """Six images (6, 4, 4, 3) that hold every byte in each channel or nearly so."""
    return np.resize(np.arange(256, dtype=np.uint8), (6, 4, 4, 3))


@pytest.fixture
def tflite(tmp_path) -> Callable[..., Runner]:
    """Opens a file of the type `kind`, with the words of `said` if there are any."""

    def opened(kind: str, said: Description | None = None, **given: object) -> Runner:
        content = tflite_of(kind, px=4, **given)
        (tmp_path / "net.tflite").write_bytes(content if said is None else with_metadata(content, said))
        return open_runner(tmp_path / "net.tflite")

    return opened


def codes(scale: float, zero_point: int) -> dict[str, Affine]:
    return {"affine": Affine(scale=(scale,), zero_point=(zero_point,))}


def test_a_float_file_is_fed_what_its_words_say(tflite):
    subject = matched(tflite("float32", replace(SAID, mean=(51.0,), std=(102.0,))), given=RAW)
    assert subject.source is Source.METADATA  # the user speaks for files that do not
    assert np.unique(subject.feeds(np.full((1, 4, 4, 3), 255, np.uint8))) == [2]
    assert input_json(subject) == {
        "dtype": "float32",
        "layout": "nhwc",
        "mean": [51.0],
        "std": [102.0],
        "channel_order": "RGB",
        "source": "metadata",
        "byte_distance": None,
        "conflict": None,
    }


def test_blue_first_is_read_from_our_own_words(tflite):
    subject = matched(tflite("float32", replace(SAID, mean=(1.0, 2.0, 3.0), std=(1.0,), is_bgr=True)))
    feed = subject.feeds(np.broadcast_to(np.uint8([10, 20, 30]), IMAGE))
    assert feed[0, 0, 0].tolist() == [29, 18, 7]
    assert input_json(subject)["channel_order"] == "BGR"


def test_a_float_file_without_words_needs_the_user(tflite):
    runner = tflite("float32")
    with pytest.raises(DataError, match=r"net\.tflite: its input is float32, and it does not say .*--preprocess"):
        matched(runner)
    subject = matched(runner, given=UNIT)
    assert (subject.source, subject.preprocess.normalization) == (Source.OPTION, UNIT)
    assert np.unique(subject.feeds(np.full((1, 4, 4, 3), 51, np.uint8))) == pytest.approx([0.2])


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point"),
    [
        *(("uint8", 1 / 127.5, 128), ("uint8", 1 / 127.5, 127), ("uint8", 1 / 128, 128), ("uint8", 1 / 255, 0)),
        *(("uint8", 1.0, 0), ("int8", 1 / 127.5, 0), ("int8", 1 / 128, -1), ("int8", 1 / 255, -128)),
        *(("int8", 1.0, -128), ("uint8", 0.0078431, 127)),
    ],
)
@pytest.mark.parametrize("given", [None, UNIT])
def test_codes_of_a_known_convention_take_bytes_as_they_are(tflite, kind, scale, zero_point, given):
    subject = matched(tflite(kind, **codes(scale, zero_point)), given=given)
    assert subject.source is Source.QUANTIZATION
    offset = 128 if kind == "int8" else 0
    assert np.array_equal(subject.feeds(every_byte()).astype(int) + offset, every_byte())
    assert input_json(subject)["mean"] == [zero_point + offset]
    assert input_json(subject)["std"] == pytest.approx([1 / scale])


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point", "stand_for"),
    [
        ("uint8", 1e-9, 128, r"-1\.28e-07 \.\. 1\.27e-07"),
        ("int8", 0.5, 0, r"-64 \.\. 63\.5"),
        ("uint8", 1 / 127.5, 0, r"0 \.\. 2"),
        ("uint8", 0.0187, 114, r"-2\.1318 \.\. 2\.6367"),
    ],
)
def test_other_codes_are_named_and_not_guessed(tflite, kind, scale, zero_point, stand_for):
    with pytest.raises(DataError, match=rf"net\.tflite: the codes of its input stand for {stand_for}, .*--preprocess"):
        matched(tflite(kind, **codes(scale, zero_point)))


def test_other_codes_stand_for_what_is_said(tflite):
    """A byte 255 is 151.061 to a network of Caffe's convention: with a step of 1.2 and zero at 110, code 236."""
    subject = matched(tflite("uint8", **codes(1.2, 110)), given=CAFFE)
    assert subject.source is Source.OPTION
    feed = subject.feeds(np.broadcast_to(np.uint8([0, 100, 255]), IMAGE))
    # Blue first: (255 - 103.939) / 1.2 + 110 = 235.9; (100 - 116.779) / 1.2 + 110 = 96.0; -123.68 / 1.2 + 110 = 6.9
    assert feed[0, 0, 0].tolist() == [236, 96, 7]
    assert feed.dtype == np.uint8


def test_googles_codes_and_words_are_one_code_apart_and_take_bytes(tflite):
    subject = matched(tflite("uint8", replace(SAID, name="net"), **codes(1 / 128, 128)))
    assert np.array_equal(subject.feeds(every_byte()), every_byte())
    assert (subject.source, subject.conflict) == (Source.METADATA, None)


def test_a_calibrated_range_and_its_words_are_no_conflict(save):
    """Photos whose colours ended at 250 gave codes from -123 to 147.3, in the place of -123.68 to 151.06."""
    words = {"normalization.mean": json.dumps(CAFFE.mean), "normalization.std": "[1]", "input.colour": "BGR"}
    steps = "QuantizeLinear image s z -> q; DequantizeLinear q s z -> d; Flatten d -> scores"
    constants = {"s": np.float32(1.06), "z": np.uint8(116)}
    subject = matched(open_runner(save([("image", FLOAT, IMAGE)], [SCORES], steps, properties=words, **constants)))
    assert (subject.takes_bytes, subject.preprocess.normalization, subject.conflict) == (False, CAFFE, None)


def test_words_that_are_far_from_the_codes_decide(save):
    """A file that says [0, 1] with codes of [-1, 1]: a byte b is b / 255, and the code 128 + b / 2."""
    steps = "DequantizeLinear image s z -> d; Flatten d -> scores"
    constants = {"s": np.float32(1 / 127.5), "z": np.uint8(128)}
    runner = open_runner(save([("image", UINT8, IMAGE)], [SCORES], steps, properties=UNIT_WORDS, **constants))
    subject = matched(runner)
    assert subject.feeds(np.broadcast_to(np.uint8([0, 100, 254]), IMAGE))[0, 0, 0].tolist() == [128, 178, 255]
    words = r"its words make 0 \.\. 1 of bytes, its input's codes stand for -1\.00392 \.\. 0\.996078"
    assert re.fullmatch(words, subject.conflict)


@pytest.mark.parametrize("zero_point", [np.uint8(128), np.int8(0)])
def test_a_float_input_that_is_quantized_first_gets_the_middle_of_its_codes(save, zero_point):
    steps = "QuantizeLinear image s z -> q; DequantizeLinear q s z -> d; Flatten d -> scores"
    constants = {"s": np.float32(1 / 127.5), "z": zero_point}
    path = save([("image", FLOAT, IMAGE)], [SCORES], steps, properties=MOBILENET_WORDS, **constants)
    feed = matched(open_runner(path)).feeds(every_byte())
    assert np.abs(feed * 127.5 + 128 - every_byte()).max() < 1e-4
    path = save([("image", FLOAT, IMAGE)], [SCORES], steps, properties=UNIT_WORDS, **constants)
    feed = matched(open_runner(path)).feeds(every_byte())
    np.testing.assert_allclose(feed * 255, every_byte(), atol=1e-4)


def test_bytes_blue_first_are_turned(save):
    words = {"input.colour": "BGR"}
    image = np.broadcast_to(np.uint8([1, 2, 3]), IMAGE)
    plain = open_runner(save([("image", UINT8, IMAGE)], [SCORES], properties=words))
    assert matched(plain).feeds(image)[0, 0, 0].tolist() == [3, 2, 1]
    steps = "DequantizeLinear image s z -> d; Flatten d -> scores"
    constants = {"s": np.float32(1 / 127.5), "z": np.uint8(128)}
    path = save([("image", UINT8, IMAGE)], [SCORES], steps, properties=words | MOBILENET_WORDS, **constants)
    turned = matched(open_runner(path)).feeds(every_byte())
    assert np.array_equal(turned, every_byte()[..., ::-1])


def test_bytes_without_any_quantization_are_bytes(save):
    subject = matched(open_runner(save([("image", UINT8, IMAGE)], [SCORES])), given=UNIT)
    assert np.array_equal(subject.feeds(every_byte()), every_byte())
    assert (subject.source, subject.preprocess.normalization) == (Source.QUANTIZATION, RAW)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(INT8, "its int8 input has no quantization"), (INT32, "must be uint8, int8 or float32, got tensor")],
)
def test_inputs_that_nothing_explains_are_refused(save, kind, message):
    runner = open_runner(save([("image", kind, IMAGE)], [SCORES], properties=MOBILENET_WORDS))
    with pytest.raises(DataError, match=rf"tiny\.onnx: .*{message}"):
        matched(runner, given=MOBILENET)


def test_channels_first_are_fed_first(save):
    words = MOBILENET_WORDS | {"input.layout": "NCHW"}
    subject = matched(open_runner(save([("image", FLOAT, (1, 3, 4, 4))], [SCORES], properties=words)))
    assert np.array_equal(subject.feeds(every_byte()), PIXELS.normalize(every_byte()).transpose(0, 3, 1, 2))
    assert input_json(subject)["layout"] == "nchw"


@pytest.mark.parametrize("words", [{"normalization.mean": "[1]"}, MOBILENET_WORDS | {"input.layout": "NCHW"}])
def test_damaged_words_name_the_file(save, words):
    with pytest.raises(DataError, match=r"tiny\.onnx: "):
        matched(open_runner(save([("image", FLOAT, IMAGE)], [SCORES], properties=words)), given=RAW)


def test_damaged_metadata_of_a_tflite_name_the_file(tmp_path):
    content = bytearray(with_metadata(tflite_of("float32", px=4), SAID))
    at = content.index(b"M001") - 4
    content[at : at + 4] = (10**9).to_bytes(4, "little")
    (tmp_path / "net.tflite").write_bytes(content)
    with pytest.raises(DataError, match=r"net\.tflite: the metadata of the \.tflite is damaged"):
        matched(open_runner(tmp_path / "net.tflite"), given=RAW)


class Codes(Runner):
    """An input of some quantization, in no file."""

    runtime = "none"

    def __init__(self, kind: str, affine: Affine | None, words: dict[str, str]) -> None:
        self.words = words
        source = TensorSpec(name="image", shape=IMAGE, dtype=kind, affine=affine)
        super().__init__(Path("net"), source, TensorSpec(name="scores", shape=(1, 2), dtype="float32"))

    def metadata(self) -> dict[str, str]:
        return self.words

    def _invoke(self, feed):
        return (feed.reshape(1, -1)[:, :2],)


MEANS = st.sampled_from([1, 3]).flatmap(lambda size: st.tuples(*[st.floats(0, 255)] * size))
SAYINGS = st.builds(Normalization, mean=MEANS, std=st.tuples(st.floats(0.5, 300)), is_bgr=st.booleans())


@given(kind=st.sampled_from(["uint8", "int8"]), scale=st.floats(1e-3, 10), zero_point=st.integers(0, 255), said=SAYINGS)
@example(kind="uint8", scale=1 / 127.5, zero_point=128, said=MOBILENET)
@example(kind="int8", scale=1 / 128, zero_point=128, said=replace(MOBILENET, is_bgr=True))
@example(kind="uint8", scale=1 / 127.5, zero_point=128, said=UNIT)
def test_codes_stand_for_what_the_float_twin_is_fed(kind, scale, zero_point, said):
    """Within half a step where codes are computed, and a step where bytes are; beyond the codes' range at its end."""
    words = {"normalization.mean": json.dumps(said.mean), "normalization.std": json.dumps(said.std)}
    words["input.colour"] = "BGR" if said.is_bgr else "RGB"
    affine = Affine(scale=(scale,), zero_point=(zero_point - (128 if kind == "int8" else 0),))
    quantized, floats = (matched(Codes(of, its, words)) for of, its in ((kind, affine), ("float32", None)))
    fed, expected = affine.dequantize(quantized.feeds(every_byte())), floats.feeds(every_byte())
    low, high = affine.dequantize(np.array([np.iinfo(kind).min, np.iinfo(kind).max]))
    is_computed = quantized.preprocess == floats.preprocess and not quantized.takes_bytes
    assert np.abs(fed - np.clip(expected, low, high)).max() / scale <= (0.5 if is_computed else 1) + 0.01
