"""What a .tflite file tells apps of itself: for each type by hand, in the same bytes each time, and read again."""

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from tflite_by_hand import note, tflite_of

from mbexport import __version__
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError, StageError
from mbexport.formats.description import Description
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite.file import canonicalize, metadata_buffer, opened, packed
from mbexport.formats.tflite.metadata import labels_of, metadata_of, with_metadata
from mbexport.formats.tflite.metadata_schema import IDENTIFIER, ModelMetadata, Reader, SubGraphMetadata, TensorMetadata
from mbexport.models.facts import Output
from mbexport.models.preprocess import CAFFE
from mbexport.models.resolution import Resolution

PLAIN = Description(
    name="net",
    text="A network.",
    labels=tuple(f"class {number}" for number in range(12)),
    resolution=Resolution.square(2),
    channels=3,
    mean=(127.5,),
    std=(127.5,),
    output=Output.SOFTMAX,
)
BLUE_FIRST = replace(PLAIN, mean=CAFFE.mean, std=CAFFE.std, is_bgr=True)
BYTES = Affine(scale=(1 / 127.5,), zero_point=(128,))
INT8 = Affine(scale=(1 / 127.5,), zero_point=(0,))
INT16 = Affine(scale=(1 / 32767,), zero_point=(0,))
NAMES = ("input", "input range", "input colour space", "normalization mean", "normalization std", "output range")


@pytest.mark.parametrize(
    ("content", "description", "expected"),
    [
        (
            tflite_of("float32"),
            PLAIN,
            ("each byte b as (b - 127.5) / 127.5.", "-1 .. 1", "RGB", "127.5", "127.5", "0 .. 1"),
        ),
        (
            tflite_of("uint8", affine=BYTES),
            PLAIN,
            ("its bytes as they are.", "0 .. 255", "RGB", "127.5", "127.5", "128 .. 255"),
        ),
        (
            tflite_of("int8", affine=INT8),
            PLAIN,
            ("its bytes minus 128.", "-128 .. 127", "RGB", "127.5", "127.5", "0 .. 127"),
        ),
        (
            tflite_of("float32", codes="int8", affine=INT8),
            PLAIN,
            ("each byte b as (b - 128) / 127.5.", "-1.00392 .. 0.996078", "RGB", "128", "127.5", "0 .. 1"),
        ),
        (
            tflite_of("float32", codes="int16", affine=INT16),
            PLAIN,
            ("each byte b as (b - 127.5) / 127.5.", "-1 .. 1", "RGB", "127.5", "127.5", "0 .. 1"),
        ),
        (
            tflite_of("int16", affine=INT16),
            PLAIN,
            (
                "each byte b as (b - 127.5) / 127.5, real = 3.05185094e-05 * (code - 0).",
                *("-32767 .. 32767", "RGB", "127.5", "127.5", "0 .. 32767"),
            ),
        ),
        (
            tflite_of("uint8", affine=Affine(scale=(1.0,), zero_point=(114,))),
            BLUE_FIRST,
            ("its bytes as they are.", "0 .. 255", "RGB", "114", "1", "114 .. 115"),
        ),
        (
            tflite_of("float32"),
            BLUE_FIRST,
            (
                "each byte b, channel by channel, as (b - 103.939) / 1, (b - 116.779) / 1, (b - 123.68) / 1.",
                *("-103.939 -116.779 -123.68 .. 151.061 138.221 131.32", "UNKNOWN"),
                *("103.939003 116.778999 123.68", "1 1 1", "0 .. 1"),
            ),
        ),
    ],
)
def test_each_type_is_told_as_it_is(content, description, expected):
    found = metadata_of(with_metadata(content, description))
    colour = "BGR" if expected[2] == "UNKNOWN" else "RGB"
    assert tuple(found[name] for name in NAMES) == (
        f"image: An image of 2 x 2 px, {colour}: {expected[0]}",
        *expected[1:],
    )


def test_everything_is_said():
    found = metadata_of(with_metadata(tflite_of("float32"), replace(PLAIN, licence="MIT")))
    assert {name: value for name, value in found.items() if name not in NAMES} == {
        "name": "net",
        "description": "A network.",
        "version": __version__,
        "author": "mbexport",
        "license": "MIT",
        "min_parser_version": "1.0.0",
        "output": "scores: Probabilities that sum to 1.",
        "labels": "12 in labels.txt: class 0, class 1, class 2, ...",
    }


def test_logits_have_no_range():
    found = metadata_of(with_metadata(tflite_of("uint8", affine=BYTES), replace(PLAIN, output=Output.LOGITS)))
    assert found["output"] == "scores: Logits, without limits, real = 0.00784313772 * (code - 128)."
    assert "output range" not in found


def test_grey_images_are_told():
    description = replace(PLAIN, channels=1, labels=("a", "b", "c", "d"), output=Output.SIGMOID)
    found = metadata_of(with_metadata(tflite_of("float32", channels=1), description))
    assert (found["input colour space"], found["labels"]) == ("GRAYSCALE", "4 in labels.txt: a, b, c, ...")
    assert found["output"] == "scores: A probability for each class by itself."


def test_the_words_are_marked_and_aligned():
    content = with_metadata(tflite_of("float32"), PLAIN)
    words = metadata_buffer(opened(content), b"TFLITE_METADATA").tobytes()
    assert words[4:8] == IDENTIFIER == b"M001"
    assert content.index(words) % 16 == 0


def test_fields_have_the_numbers_of_the_published_schema():
    """Counted in metadata_schema.fbs; the test of MediaPipe reads every field by its classes."""
    root = Reader.root(
        metadata_buffer(opened(with_metadata(tflite_of("float32"), PLAIN)), b"TFLITE_METADATA").tobytes()
    )
    (graph,) = root.tables(3)
    (source,), (target,) = graph.tables(2), graph.tables(3)
    (unit,) = source.tables(4)
    assert [root.text(field) for field in (0, 1, 2, 4, 7)] == ["net", "A network.", __version__, "mbexport", "1.0.0"]
    assert (source.table(3).kind(0), source.table(3).table(1).kind(0)) == (2, 1)  # an image, RGB
    assert (unit.kind(0), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, (127.5,), (127.5,))
    assert (target.table(5).floats(0), target.table(5).floats(1)) == ((1.0,), (0.0,))  # max, then min


def test_labels_are_a_file_of_the_output():
    root = Reader.root(
        metadata_buffer(opened(with_metadata(tflite_of("float32"), PLAIN)), b"TFLITE_METADATA").tobytes()
    )
    (graph,) = root.tables(ModelMetadata.SUBGRAPH_METADATA)
    (source,), (target,) = (graph.tables(field) for field in SubGraphMetadata)
    assert source.tables(TensorMetadata.ASSOCIATED_FILES) == []
    (file,) = target.tables(TensorMetadata.ASSOCIATED_FILES)
    assert (file.text(TensorMetadata.NAME), file.kind(2)) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS


def test_the_zip_tells_nothing_of_this_machine():
    content = with_metadata(tflite_of("float32"), PLAIN)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (entry,) = archive.infolist()
        assert archive.read(entry) == "".join(f"{label}\n" for label in PLAIN.labels).encode()
    assert (entry.filename, entry.date_time, entry.create_system) == ("labels.txt", (1980, 1, 1, 0, 0, 0), 3)
    assert (entry.compress_type, entry.external_attr) == (zipfile.ZIP_STORED, 0o644 << 16)
    assert content[entry.header_offset :].startswith(b"PK\3\4")  # counted from the start of the file


TEXTS = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20)


@given(
    st.lists(TEXTS, min_size=12, max_size=12),
    TEXTS,
    st.sampled_from([tflite_of("float32"), tflite_of("uint8", affine=BYTES), tflite_of("int8", affine=INT8)]),
)
def test_what_is_written_is_read_again_and_written_alike(labels, text, content):
    description = replace(PLAIN, labels=tuple(labels), text=text)
    first = with_metadata(content, description)
    assert labels_of(first) == tuple(labels)
    assert metadata_of(first).get("description", "") == text
    assert with_metadata(content, description) == first
    assert with_metadata(with_metadata(content, PLAIN), description) == first  # of what was there nothing is left


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_metadata_change_no_answer(kind):
    content = tflite_of(kind, affine=BYTES)
    image = np.arange(12).reshape(1, 2, 2, 3).astype(kind)
    found = []
    for each in (content, with_metadata(content, PLAIN)):
        interpreter = Interpreter(model_content=each)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    assert np.array_equal(*found)
    assert found[0].tolist() == [list(range(12))]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": ("a", "b")}, "labels must be as many as the 12 scores, got 2"),
        ({"resolution": Resolution.square(3)}, r"must take images of \(3, 3, 3\), got \(2, 2, 3\)"),
        ({"channels": 1}, r"must take images of \(2, 2, 1\), got \(2, 2, 3\)"),
    ],
)
def test_a_description_of_another_network_is_refused(changed, message):
    with pytest.raises(StageError, match=message):
        with_metadata(tflite_of("float32"), replace(PLAIN, **changed))


def test_without_labels_there_is_no_zip():
    content = with_metadata(tflite_of("float32"), replace(PLAIN, labels=()))
    assert (labels_of(content), "labels" in metadata_of(content)) == ((), False)
    model = opened(content)
    canonicalize(model)
    assert packed(model) == content


def test_a_file_may_say_nothing():
    assert metadata_of(tflite_of("float32")) == {}


def damaged(words: bytes) -> bytes:
    model = opened(tflite_of("float32"))
    note(model, b"TFLITE_METADATA", words)
    return packed(model)


WORDS = metadata_buffer(opened(with_metadata(tflite_of("float32"), PLAIN)), b"TFLITE_METADATA").tobytes()


@given(
    st.binary(max_size=100)
    | st.tuples(st.integers(0, len(WORDS)), st.binary(max_size=8)).map(lambda cut: WORDS[: cut[0]] + cut[1])
)
def test_damaged_words_are_told_in_one_line_or_read(words):
    try:
        found = metadata_of(damaged(words))
    except DataError as error:
        found = {"error": str(error)}
    assert all(isinstance(value, str) for value in found.values())
    assert found.get("error", "").count("\n") == 0


def test_words_that_end_too_early_are_refused():
    with pytest.raises(DataError, match="is damaged"):
        metadata_of(damaged(WORDS[:40]))


def test_damaged_labels_are_refused():
    content = with_metadata(tflite_of("float32"), PLAIN)
    with pytest.raises(DataError, match="is damaged: Bad CRC-32"):
        metadata_of(content.replace(b"class 7\n", b"klass 7\n"))


def test_labels_that_unpack_to_gigabytes_are_not_unpacked():
    file = io.BytesIO(tflite_of("float32"))
    with zipfile.ZipFile(file, "a", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(2**22 + 1))
    with pytest.raises(DataError, match="labels must have at most 4194304 bytes, got 4194305"):
        metadata_of(file.getvalue())


def test_inspect_names_the_file_whose_labels_unpack_to_gigabytes(tmp_path, cli):
    file = tmp_path / "net.tflite"
    file.write_bytes(tflite_of("float32"))
    with zipfile.ZipFile(file, "a", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(2**22 + 1))
    said = f"Error: {file}: its labels must have at most 4194304 bytes, got 4194305\n"
    assert cli("inspect", file).stderr == said


def test_a_runtime_version_that_is_no_text_is_refused():
    model = opened(tflite_of("float32"))
    note(model, b"min_runtime_version", b"\xff" * 16)
    with pytest.raises(DataError, match="is damaged"):
        metadata_of(packed(model))


def test_a_runner_and_inspect_show_what_the_file_says(cli, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(with_metadata(tflite_of("uint8", affine=BYTES), PLAIN))
    expected: dict[str, Any] = {
        "signature serving_default": "image -> scores",
        "name": "net",
        "normalization mean": "127.5",
    }
    assert open_runner(path).metadata().items() >= expected.items()
    done = cli("inspect", path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["metadata"].items() >= expected.items()
    assert json.loads(done.stdout)["inputs"][0]["name"] == "image"
    assert "\nmetadata\n  " in cli("inspect", path).stdout
    assert "\n  labels = 12 in labels.txt: class 0, class 1, class 2, ...\n" in cli("inspect", path).stdout
