"""A killed run's temporary folder is removed by the next one, and nobody else's is."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mbexport.commands.temporary import temporary_files_in, temporary_folder


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Where temporary files lie."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def abandoned(place: Path) -> Path:
    """What a process that was killed left."""
    code = (
        "import os; from mbexport.commands.temporary import temporary_folder\n"
        "with temporary_folder() as folder:\n"
        "    (folder / 'half').write_bytes(b'half'); print(folder, flush=True); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    return Path(done.stdout.strip())


def test_a_folder_goes_with_its_run_however_that_ends(place):
    with temporary_folder() as folder:
        (folder / "file").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), temporary_folder():
        raise ZeroDivisionError
    assert list(place.iterdir()) == []


def test_what_a_killed_run_left_goes_and_what_runs_stays(place):
    left = abandoned(place)
    assert (left / "half").read_bytes() == b"half"
    with temporary_folder() as one:
        assert list(place.iterdir()) == [one]
        with temporary_folder() as other:
            assert set(place.iterdir()) == {one, other}
        assert one.is_dir()


def test_a_place_of_its_own_is_swept_as_well(place):
    left = abandoned(place)
    (place / "own").mkdir()
    left = left.rename(place / "own" / left.name)
    with temporary_folder(place / "own") as folder:
        assert list((place / "own").iterdir()) == [folder]
    assert list((place / "own").iterdir()) == []


def test_what_a_killed_verify_left_in_its_output_folder_goes(place, cli, colour_network):
    left = abandoned(place)
    network = colour_network(place / "colours.onnx", classes=10)
    (place / "out").mkdir()
    left = left.rename(place / "out" / left.name)
    words = ("verify", network, "--data", "digits", "--preprocess", "mobilenet", "--no-latency", "--shards", "1")
    done = cli(*words, "--out", place / "out")
    assert done.returncode in (0, 1), done.stderr
    assert {path.name for path in (place / "out").iterdir()} == {
        ".mbexport",
        "junit.xml",
        "report.html",
        "report.json",
    }


@pytest.mark.parametrize("how", ["link", "others may write", "file"])
def test_what_is_not_ours_stays(place, how):
    (place / "precious").mkdir()
    named = place / ".mbexport-run-abc"
    if how == "link":
        named.symlink_to(place / "precious")
    elif how == "file":
        named.write_bytes(b"x")
    else:
        named.mkdir()
        named.chmod(0o777)
    with temporary_folder():
        pass
    assert {path.name for path in place.iterdir()} == {"precious", named.name}


def test_libraries_put_their_files_where_the_run_says(place):
    (place / "out").mkdir()
    with temporary_files_in(place / "out"), tempfile.TemporaryDirectory() as folder:
        assert Path(folder).parent == place / "out"
    assert tempfile.gettempdir() == str(place)
