"""`--npu` on whole builds: by Qualcomm's compiler where it is installed, and by one that fails."""

import hashlib
import json
import shutil

import pytest
from report_schema import objections
from small_build import OPTIONS

from mbexport.errors import OptionError, StageError
from mbexport.formats.npu import chips
from mbexport.formats.npu.chips import CHIPS, usable_chips
from mbexport.formats.npu.compile import compile_file
from mbexport.formats.tflite.metadata import labels_of

pytestmark = pytest.mark.run

STEM = "mobilenet_v1_0.25_32_int8"
CHIP = "qualcomm:SM8650"


@pytest.fixture
def installed():
    """Skips the test where nothing can be compiled."""
    try:
        usable_chips([CHIP])
    except OptionError as error:
        pytest.skip(str(error))


@pytest.fixture
def finished(small_build, tmp_path):
    """A copy of a finished build, whose stages a run reuses."""
    folder = tmp_path / "out"
    shutil.copytree(small_build, folder)
    return folder


def test_a_build_for_one_chip(cli, installed, finished):
    done = cli("build", *OPTIONS, "--npu", CHIP, "--npu-images", "24", "--no-latency", "--out", finished)
    assert done.returncode == 0, done.stderr
    names = [f"npu/{STEM}_qualcomm-sm8650.{ending}" for ending in ("tflite", "onnx")]
    report = json.loads((finished / "report.json").read_bytes())
    assert objections(report) == []
    assert [entry["file"] for entry in report["npu"]] == names
    listed = json.loads((finished / "manifest.json").read_bytes())
    bill = json.loads((finished / "sbom.cdx.json").read_bytes())
    assert listed["options"]["npu"] == [CHIP]
    assert {*names} <= {each["name"] for each in bill["components"]}
    for entry in report["npu"]:
        content = (finished / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"] == listed["files"][entry["file"]]["sha256"]
        assert (entry["images"], entry["b"]) == (24, "qnn-htp:v75")
        assert entry["agreement"] >= 22 / 24
        assert entry["max_lsb"] <= 32
    assert labels_of((finished / names[0]).read_bytes()) == tuple("0123456789")
    (gate,) = [gate for gate in report["gates"] if gate["name"] == "npu_agreement"]
    assert gate["verdict"] in {"pass", "undecided"}
    assert cli("bundle", "--check", finished).returncode == 0
    assert "for Snapdragon 8 Gen 3" in (finished / "MODEL_CARD.md").read_text("utf-8")


@pytest.mark.parametrize("chip", CHIPS, ids=str)
@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_bytes_repeat_wherever_the_file_lies(installed, small_build, tmp_path, ending, chip):
    source = small_build / f"{STEM}.{ending}"
    copy = tmp_path / f"another.{ending}"
    shutil.copy(source, copy)
    one, other = (compile_file(file, ending, chip) for file in (source, copy))
    assert one.content
    assert one == other


def test_what_does_not_fit_the_npu_whole_is_an_error(installed, small_build, tmp_path):
    """A .tflite in which an op is left that Qualcomm's compiler has none of: what LiteRT then leaves is no artifact."""
    damaged = tmp_path / "net.tflite"
    damaged.write_bytes((small_build / f"{STEM}.tflite").read_bytes()[:5000])
    with pytest.raises(StageError, match=r"^net\.tflite cannot be compiled for qualcomm:SM8650: "):
        compile_file(damaged, "tflite", CHIPS[3])


def test_a_compiler_that_fails_ends_the_build_with_one_line(cli, finished, monkeypatch):
    monkeypatch.setattr(chips, "VENDORS", (chips.VENDORS[0].__class__(name="qualcomm", title="Q", chips=CHIPS),))
    monkeypatch.setattr("mbexport.formats.npu.compile._COMMAND", ("-c", "import os; os.abort()"))
    done = cli("build", *OPTIONS, "--npu", CHIP, "--no-latency", "--out", finished)
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.endswith(
        f"{STEM}.tflite cannot be compiled for {CHIP}: the compiler crashed (SIGABRT), in a process of its own"
    )
    assert not (finished / "npu").exists()
