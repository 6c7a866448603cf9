"""Core ML packages on whole builds, by coremltools where it is installed, and by a converter that fails."""

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from report_schema import objections
from small_build import OPTIONS

from mbexport.errors import OptionError
from mbexport.formats.coreml import rows
from mbexport.formats.coreml.package import FILES, package_in
from mbexport.formats.coreml.rows import PACKAGES, usable_packages
from mbexport.formats.coreml.weights import convolutions_in
from mbexport.formats.installable import Installable

pytestmark = pytest.mark.run

BOTH = ("--precision", "fp32", "--precision", "coreml-fp16", "--precision", "coreml-w8")
NAMES = [f"coreml/mobilenet_v1_0.25_32_{weights}.mlpackage" for weights in ("fp16", "w8")]
# Another reading of what we write into the package: coremltools unpacks the codes itself.
UNPACK = """
import sys, coremltools as ct, coremltools.optimize.coreml as quantization
model = ct.models.MLModel(sys.argv[1], skip_model_load=True)
quantization.decompress_weights(model).save(sys.argv[2])
"""


@pytest.fixture(scope="module")
def installed():
    """Skips the test where no package can be made."""
    try:
        usable_packages(form.name for form in PACKAGES)
    except OptionError as error:
        pytest.skip(str(error))


@pytest.fixture
def finished(small_build, tmp_path):
    """A copy of a finished build, whose stages a run reuses."""
    folder = tmp_path / "out"
    shutil.copytree(small_build, folder)
    return folder


def built(cli, folder):
    done = cli("build", *OPTIONS, *BOTH, "--no-latency", "--out", folder)
    assert done.returncode == 0, done.stderr
    return {name: {each: (folder / name / each).read_bytes() for each in FILES} for name in NAMES}


def test_a_build_with_packages(cli, installed, finished):
    packages = built(cli, finished)
    report = json.loads((finished / "report.json").read_bytes())
    assert objections(report) == []
    assert [entry["file"] for entry in report["coreml"]] == NAMES
    listed = json.loads((finished / "manifest.json").read_bytes())
    bill = {each["name"] for each in json.loads((finished / "sbom.cdx.json").read_bytes())["components"]}
    for entry, least in zip(report["coreml"], (0.97, 0.9), strict=True):
        assert entry["agreement"] >= least
        assert entry["images"] == 100
        for name, content in packages[entry["file"]].items():
            path = f"{entry['file']}/{name}"
            assert hashlib.sha256(content).hexdigest() == entry["sha256"][name] == listed["files"][path]["sha256"]
            assert path in bill
    assert cli("bundle", "--check", finished).returncode == 0
    assert "not run: Core ML needs macOS or iOS" in (finished / "MODEL_CARD.md").read_text("utf-8")
    shown = json.loads(cli("inspect", finished / NAMES[1], "--json").stdout)
    assert shown["labels"] == [*"0123456789"]
    assert shown["input"] == {"name": "image", "width_px": 32, "height_px": 32, "colour": "RGB"}
    assert 0 < shown["quantized_convolutions"] < shown["convolutions"] == 28
    _require_unpacked_alike(finished / NAMES[1])


def _require_unpacked_alike(package):
    other = package.with_name("unpacked.mlpackage")
    subprocess.run([sys.executable, "-c", UNPACK, package, other], check=True, capture_output=True)
    ours, theirs = (convolutions_in(package_in(each)) for each in (package, other))
    assert len(ours) == len(theirs) == 28
    for own, unpacked in zip(ours, theirs, strict=True):
        assert unpacked.unpacking is None
        assert own.kernel.tolist() == unpacked.kernel.tolist()


def test_bytes_repeat_in_another_process_and_folder(cli, cli_process, installed, finished, tmp_path):
    first = built(cli, finished)
    other = tmp_path / "other"
    shutil.copytree(finished, other)
    for stage in ("coreml-fp16", "coreml-w8"):
        shutil.rmtree(other / ".mbexport" / "stages" / stage)
    assert built(cli_process, other) == first


def test_a_converter_that_fails_ends_the_build_with_one_line(cli, finished, monkeypatch):
    monkeypatch.setattr(rows, "COREMLTOOLS", Installable())
    monkeypatch.setattr("mbexport.formats.coreml.convert._COMMAND", ("-c", "import os; os.abort()"))
    done = cli("build", *OPTIONS, "--precision", "fp32", *BOTH, "--no-latency", "--out", finished)
    assert done.returncode == 3
    reason = "coremltools crashed (SIGABRT), in a process of its own"
    assert done.stderr.splitlines()[-1].endswith(f"_0.25_32 cannot be converted to coreml-fp16: {reason}")
    assert not (finished / "coreml").exists()
