"""The kernel paths that users name: what each name means, and what is refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_by_hand import tflite_of

from mbexport.errors import OptionError
from mbexport.formats.chosen_paths import every_path, paths_of, require_paths_fit, usable_paths
from mbexport.formats.kernel_path import Share, counted, share_json
from mbexport.formats.registry import FORMATS, ONNX, TFLITE

NAMES = tuple(name for _, row in every_path() for name in row.names)


@pytest.fixture
def tflite(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_of("float32"))
    return path


def test_usual_paths_need_nothing_and_come_first():
    assert [each.kernel_paths for each in FORMATS] == [
        ("xnnpack", "builtin", "reference"),
        ("optimized", "unoptimized"),
        (),
    ]
    for each, row in every_path():
        assert row.is_usual is (row.name in each.kernel_paths)
        assert bool(row.needs) is not row.is_usual
        if row.is_usual:
            assert row.missing() is None


def test_a_name_without_a_variant_means_the_first_one():
    row, variant = ONNX.path_named("qnn-htp")
    assert (row.name, variant) == ("qnn-htp", "v75")
    assert ONNX.path_named("qnn-htp:v81") == (row, "v81")
    assert TFLITE.path_named("builtin")[1] == ""


@given(st.sampled_from(NAMES))
def test_every_full_name_is_found_in_one_format(name):
    found = []
    for each in FORMATS:
        try:
            found.append(each.path_named(name)[0])
        except OptionError:
            continue
    assert [name in row.names for row in found] == [True]


@given(st.text(max_size=12).filter(lambda text: text not in {*NAMES, *(row.name for _, row in every_path())}))
def test_any_other_name_is_refused_with_all_that_are_legal(name):
    with pytest.raises(OptionError, match=r"--path must be one of xnnpack, .*, qnn-htp\[:v75\|.*\|v81\], got "):
        usable_paths([name])


def test_each_path_is_taken_once_by_its_full_name(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    assert usable_paths(["qnn-htp", "builtin", "qnn-htp:v75", "qnn-htp:v73"]) == (
        *("qnn-htp:v75", "builtin", "qnn-htp:v73"),
    )


@pytest.mark.parametrize(("name", "extra"), [("qnn-htp", "npu"), ("qnn-htp:v79", "npu"), ("tflite-micro", "micro")])
def test_what_is_not_installed_is_named_with_what_installs_it(monkeypatch, name, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(OptionError, match=rf"--path {name} cannot be used here: .* pip install 'mbexport\[{extra}\]'"):
        usable_paths([name])


def test_a_path_must_be_of_the_format_of_a_file(tflite):
    require_paths_fit(["builtin", "webgpu"], [tflite])
    assert paths_of(["builtin", "unoptimized", "webgpu"], tflite) == ("builtin", "webgpu")
    with pytest.raises(OptionError, match=r"--path unoptimized executes \.onnx files, got .*net\.tflite"):
        require_paths_fit(["builtin", "unoptimized"], [tflite])


def test_share_by_hand():
    left = counted(["Softmax", "Reshape", "Softmax"])
    assert left == (("Reshape", 1), ("Softmax", 2))
    assert share_json("qnn-htp:v75", Share(taken=4, total=7, partitions=2, left=left, device="Hexagon v75")) == {
        "path": "qnn-htp:v75",
        "taken": 4,
        "total": 7,
        "partitions": 2,
        "left": {"Reshape": 1, "Softmax": 2},
        "executor": "the CPU",
        "device": "Hexagon v75",
        "arena_bytes": None,
    }
