"""A kernel path in a process of its own: the same outputs, and one line for whatever goes wrong in there."""

import io
import os

import numpy as np
import pytest
from fake_micro import write_package
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.path_process import arrays_from_bytes, arrays_to_bytes, receive, send
from mbexport.formats.path_runner import PathProcess, PathRunner
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite import micro

MICRO = "tflite-micro"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_of("uint8", affine=Affine(scale=(1.0,), zero_point=(0,))))
    return path


@given(st.lists(arrays_of.arrays(st.sampled_from(["u1", "i1", "f4", "i8"]), arrays_of.array_shapes()), max_size=4))
def test_arrays_pass_through_a_frame_as_they_are(given_arrays):
    stream = io.BytesIO()
    send(stream, arrays_to_bytes(given_arrays))
    stream.seek(0)
    content = receive(stream)
    found = arrays_from_bytes(content)
    assert len(found) == len(given_arrays)
    for a, b in zip(given_arrays, found, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert receive(stream) is None


def test_a_frame_that_was_cut_off_is_none():
    stream = io.BytesIO()
    send(stream, b"whole")
    assert receive(io.BytesIO(stream.getvalue()[:-1])) is None
    assert receive(io.BytesIO(stream.getvalue()[:7])) is None


def test_outputs_are_those_of_the_path_and_the_file_is_read_by_the_other_runner(file, install_micro):
    install_micro()
    like = open_runner(file)
    runner = PathRunner(like, MICRO)
    try:
        image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
        np.testing.assert_array_equal(runner.invoke(image)[0], image.reshape(1, 12))
        np.testing.assert_array_equal(runner.invoke(255 - image)[0], 255 - image.reshape(1, 12))
        assert (runner.input, runner.outputs, runner.precision) == (like.input, like.outputs, like.precision)
        assert (runner.metadata(), runner.ending(), runner.runtime) == (like.metadata(), like.ending(), MICRO)
    finally:
        runner.close()
    assert (runner.share.taken, runner.share.total, runner.share.left) == (1, 1, ())
    assert runner.share.arena_bytes == 5 * 1024  # the first whole KiB from 5000 bytes on


@pytest.mark.parametrize(
    ("invoke", "line"),
    [
        ("os.abort()", r"tflite-micro crashed \(SIGABRT\), in a process of its own, with net\.tflite"),
        ("os._exit(3)", r"tflite-micro ended with exit code 3, in a process of its own"),
        ("raise ValueError('no kernel for this')", r"fails when it runs: no kernel for this"),
    ],
)
def test_what_goes_wrong_at_an_invocation_is_one_line(file, install_micro, invoke, line):
    install_micro(invoke=invoke)
    runner = PathRunner(open_runner(file), MICRO)
    try:
        with pytest.raises(DataError, match=line) as raised:
            runner.invoke(np.zeros((1, 2, 2, 3), np.uint8))
        assert "\n" not in str(raised.value)
    finally:
        runner.close()


def test_what_cannot_be_opened_is_one_line(file, install_micro, tmp_path):
    install_micro(arena=1 << 40)
    with pytest.raises(DataError, match=r"cannot be loaded into TFLite Micro: TFLM failed to allocate tensors"):
        PathProcess(file, MICRO)
    with pytest.raises(DataError, match="no such file"):
        PathProcess(tmp_path / "none.tflite", MICRO)


def test_a_package_that_does_not_import_is_one_line(file, monkeypatch, tmp_path):
    broken = tmp_path / "broken" / "tflite_micro"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('its library is missing')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(broken.parent), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(DataError, match="ImportError: its library is missing"):
        PathProcess(file, MICRO)


def test_nothing_that_lies_in_the_users_folder_is_imported(file, monkeypatch, tmp_path):
    folder = write_package(tmp_path / "here")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", [each for each in os.sys.path if each])
    try:
        import tflite_micro  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match="No module named 'tflite_micro'"):
            PathProcess(file, MICRO)
    else:
        pytest.skip("tflite-micro is installed")


@given(needed=st.integers(1, 3_000_000), size=st.integers(0, 200_000))
def test_the_smallest_arena_is_the_next_whole_kib(needed, size):
    tried = []

    def loaded(_content, arena_bytes):
        tried.append(arena_bytes)
        if arena_bytes < needed:
            raise RuntimeError("too small")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(micro, "_loaded", loaded)
        found = micro._smallest_arena(bytes(size), "net.tflite")
    assert found == -(-needed // 1024) * 1024
    assert len(tried) < 40
