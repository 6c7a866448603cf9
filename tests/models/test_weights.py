"""Weights in one file: they survive, equal weights give equal bytes, and a bad file changes nothing."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.models.weights import load_weights, weights_to_bytes

layers = tf_keras.layers


def small(*, channels: int = 2, second: str = "second") -> Any:
    image = layers.Input((4, 4, 1), name="image")
    x = layers.Conv2D(channels, 1, name="first")(image)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    return tf_keras.Model(image, layers.Conv2D(1, 1, name=second)(x))


def numbered(model: Any, start: float) -> Any:
    """Every weight of the model another number."""
    values = []
    for value in model.get_weights():
        values.append(start + np.arange(value.size, dtype=np.float32).reshape(value.shape))
        start += value.size
    model.set_weights(values)
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return numbered(small(), 1)


@pytest.fixture(scope="module")
def whole(model: Any) -> bytes:
    return weights_to_bytes(numbered(model, 100))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "weights.npz"


def test_weights_come_back(tmp_path: Path, model: Any) -> None:
    numbered(model, 1)
    path = tmp_path / "weights.npz"
    path.write_bytes(weights_to_bytes(model))
    other = numbered(small(), 1000)
    load_weights(other, path)
    for one, same in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_the_file_names_each_array_by_its_layer(whole: bytes, model: Any) -> None:
    numbered(model, 100)
    with np.load(io.BytesIO(whole)) as archive:
        names = [f"norm/{i}" for i in range(4)]
        assert archive.files == ["first/0", "first/1", *names, "second/0", "second/1"]
        assert archive["first/0"].ravel().tolist() == [100, 101]
        assert archive["first/1"].tolist() == [102, 103]


def test_equal_weights_give_equal_bytes_and_others_do_not() -> None:
    one, same, other = numbered(small(), 1), numbered(small(), 1), numbered(small(), 2)
    assert weights_to_bytes(one) == weights_to_bytes(same) != weights_to_bytes(other)


def test_a_whole_network_gives_the_same_answers_after_a_round_trip(tmp_path: Path) -> None:
    spec = ModelSpec(alpha=0.05, resolution=Resolution.square(32), classes=3)
    one, other = build(spec), build(spec)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    assert weights_to_bytes(one) != weights_to_bytes(other)
    (tmp_path / "weights.npz").write_bytes(weights_to_bytes(one))
    load_weights(other, tmp_path / "weights.npz")
    assert weights_to_bytes(one) == weights_to_bytes(other)
    np.testing.assert_array_equal(np.asarray(one(images)), np.asarray(other(images)))


def refuses(model: Any, path: Path, *, match: str | None = None) -> None:
    before = weights_to_bytes(model)
    with pytest.raises(DataError, match=match):
        load_weights(model, path)
    assert weights_to_bytes(model) == before


def numpy_file(content: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as archive:
        buffer = io.BytesIO()
        np.save(buffer, archive["first/0"])
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"no weights",
        lambda content: content[:-30],
        lambda content: content[:100],
        lambda content: content[50:],
        lambda content: bytes(len(content)),
        lambda content: content.replace(np.float32(101).tobytes(), np.float32(102).tobytes()),
        numpy_file,
    ],
    ids=["empty", "text", "truncated", "header only", "start missing", "zeros", "a byte flipped", "one array"],
)
def test_a_damaged_file_is_refused(tmp_path: Path, model: Any, whole: bytes, damage: Callable[[bytes], bytes]) -> None:
    assert damage(whole) != whole
    (tmp_path / "weights.npz").write_bytes(damage(whole))
    refuses(model, tmp_path / "weights.npz", match="cannot be read")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, model: Any) -> None:
    refuses(model, tmp_path / "missing.npz", match="cannot be read")
    refuses(model, tmp_path, match="cannot be read")


def test_a_zip_of_something_else_is_refused(tmp_path: Path, model: Any) -> None:
    with zipfile.ZipFile(tmp_path / "weights.npz", "w") as archive:
        archive.writestr("first/0", b"no array")
    refuses(model, tmp_path / "weights.npz")


def test_weights_of_another_shape_are_refused(tmp_path: Path, model: Any) -> None:
    # The first layers fit: they must not be set before the last one is found not to.
    (tmp_path / "weights.npz").write_bytes(weights_to_bytes(numbered(small(channels=3), 7)))
    refuses(model, tmp_path / "weights.npz", match=r"first/0 must have shape \(1, 1, 1, 2\), got \(1, 1, 1, 3\)")


def test_weights_of_another_network_are_refused(tmp_path: Path, model: Any) -> None:
    (tmp_path / "weights.npz").write_bytes(weights_to_bytes(numbered(small(second="other"), 7)))
    refuses(model, tmp_path / "weights.npz", match="second/0 must have shape .*, got nothing")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, model: Any, whole: bytes) -> None:
    with np.load(io.BytesIO(whole)) as archive:
        values = {key: archive[key] for key in archive.files}
    np.savez(tmp_path / "weights.npz", **{**values, "norm/1": np.array(["no", "number"])})
    refuses(model, tmp_path / "weights.npz")


@given(content=st.binary(max_size=200))
@example(content=b"\x93NUMPY")
@example(content=b"PK\x03\x04")
@example(content=b"\x80\x04.")
def test_random_bytes_are_refused(scratch: Path, model: Any, content: bytes) -> None:
    scratch.write_bytes(content)
    refuses(model, scratch)


@given(changes=st.dictionaries(st.integers(0, 2**16), st.integers(0, 255), min_size=1))
def test_changed_bytes_are_refused_or_leave_whole_arrays(
    scratch: Path, model: Any, whole: bytes, changes: dict[int, int]
) -> None:
    content = bytearray(whole)
    for place, byte in changes.items():
        content[place % len(content)] = byte
    scratch.write_bytes(bytes(content))
    numbered(model, 1)
    untouched = weights_to_bytes(model)
    try:
        load_weights(model, scratch)
    except DataError:
        assert weights_to_bytes(model) == untouched
    else:
        assert weights_to_bytes(model) == whole  # each array bears a checksum
