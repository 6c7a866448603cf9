"""The rows of packages, their names and labels, and what a machine without coremltools says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError, OptionError
from mbexport.formats.coreml import rows
from mbexport.formats.coreml.rows import (
    PACKAGES,
    distinct_labels,
    is_in_package,
    package_name,
    usable_packages,
)
from mbexport.formats.installable import Installable
from mbexport.formats.registry import format_of


def test_names_by_hand():
    assert [package_name("net", form) for form in PACKAGES] == [
        "coreml/net_fp16.mlpackage",
        "coreml/net_w8.mlpackage",
    ]
    assert is_in_package("coreml/net_w8.mlpackage/Manifest.json")
    assert not is_in_package("npu/net.tflite")


def test_without_coremltools_there_is_one_line(monkeypatch):
    monkeypatch.setattr(rows, "COREMLTOOLS", Installable(missing=lambda: "it is not here", needs="install it"))
    assert usable_packages(["fp32"]) == ()
    with pytest.raises(OptionError) as caught:
        usable_packages(["coreml-w8", "fp32", "coreml-fp16"])
    assert str(caught.value) == "--precision coreml-fp16 cannot be made here: it is not here; install it"


def test_labels_alike_get_the_number_of_their_class():
    assert distinct_labels(["crane", "cat", "crane"]) == ("crane (0)", "cat", "crane (2)")
    with pytest.raises(OptionError, match=r"got 'crane \(0\)' 2 times once labels alike have the number"):
        distinct_labels(["crane", "crane (0)", "crane"])


@given(st.lists(st.text(), min_size=1, unique=True))
def test_distinct_labels_stay(labels):
    assert distinct_labels(labels) == tuple(labels)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_runtime_says_that_it_does_not_run_a_package(tmp_path: Path, is_folder):
    path = tmp_path / "net.mlpackage"
    path.mkdir() if is_folder else path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        format_of(path)
    assert str(caught.value) == (
        f"{path} is a Core ML package, which runs on macOS and iOS alone; `mbexport inspect` shows it"
    )
