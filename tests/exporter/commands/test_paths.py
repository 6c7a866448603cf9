"""Paths that no system looks up are refused in one line, wherever they come from."""

from pathlib import Path

import pytest
from keras_by_hand import write_keras

from mbexport import api
from mbexport.errors import OptionError

LONG = "x" * 300


@pytest.mark.parametrize("option", ["out", "data", "classes", "golden", "calibration", "summary", "ranges", "sign"])
def test_nul_byte_in_a_path_of_a_file_of_options_is_refused(refused, tmp_path: Path, option: str) -> None:
    (tmp_path / "options.toml").write_text(f'{option} = "a\\u0000b"\n')
    said = refused("build", "--config", tmp_path / "options.toml")
    assert f"'--{option}'" in said
    assert "it must not hold a NUL byte, got 'a\\x00b'" in said


@pytest.mark.parametrize("option", ["--out", "--data", "--classes", "--golden", "--calibration", "--config"])
def test_name_that_is_too_long_is_refused(refused, option: str) -> None:
    assert "File name too long" in refused("build", option, LONG)


@pytest.mark.parametrize("command", [("predict", LONG, "a.png"), ("inspect", LONG), ("bench", LONG)])
def test_argument_that_is_too_long_is_refused(refused, command: tuple[str, ...]) -> None:
    assert "File name too long" in refused(*command)


def test_python_functions_refuse_them_too(tmp_path: Path) -> None:
    model = write_keras(tmp_path / "net.keras")
    for options in ({"out": "a\0b"}, {"out": LONG}, {"data": "a\0b"}, {"out": "\ud800"}, {"calibration": Path("a\0b")}):
        with pytest.raises(OptionError, match=r"NUL byte|too long|must be text"):
            api.export(model=model, **{"data": "digits", **options})
