"""`verify --path` on whole builds: by the real packages where they are installed, and by one that crashes."""

import json
import os
import shutil

import jsonschema
import pytest
from fake_micro import write_package
from report_schema import objections
from tflite_by_hand import tflite_of

from mbexport.errors import DataError, OptionError
from mbexport.formats.chosen_paths import usable_paths
from mbexport.formats.path_runner import PathProcess
from mbexport.report.schema import detection_schema

pytestmark = pytest.mark.run

INT8 = "mobilenet_v1_0.25_32_int8"


@pytest.fixture
def verified(cli, small_build, tmp_path):
    """The exit code and the report on files of the small build through these paths."""

    def verify(*words, files=(f"{INT8}.tflite",)):
        out = tmp_path / "verdict"
        names = [str(small_build / name) for name in files]
        done = cli("verify", *names, "--data", "digits", "--no-latency", "--force", "--out", str(out), *words)
        report = json.loads((out / "report.json").read_bytes())
        assert objections(report) == []
        return done.returncode, report

    return verify


@pytest.fixture
def installed(tmp_path):
    """Skips the test where the path of that name cannot be used."""

    def require(name):
        try:
            usable_paths([name])
        except OptionError as error:
            pytest.skip(str(error))
        if name == "webgpu":
            _require_adapter(tmp_path / "tiny.tflite")

    return require


def _require_adapter(tiny):
    tiny.write_bytes(tflite_of("float32"))
    try:
        PathProcess(tiny, "webgpu").close()
    except DataError as error:
        if "WebGPU takes none of the devices" in str(error):
            pytest.skip(str(error))
        raise


def gate_of(report, name="path_agreement"):
    (gate,) = [gate for gate in report["gates"] if gate["name"] == name]
    return gate


@pytest.mark.parametrize("version", ["v68", "v75", "v81"])
def test_the_emulated_npu_takes_all_but_the_tail(verified, installed, version):
    name = f"qnn-htp:{version}"
    installed(name)
    code, report = verified("--path", name, files=(f"{INT8}.onnx",))
    (entry,) = report["paths"]
    (pair,), (share,) = entry["pairs"], entry["shares"]
    assert (code, entry["images"], entry["paths"]) == (0, 16, ["optimized", name])
    assert pair["agreement"] >= 15 / 16
    assert pair["max_lsb"] <= 32
    assert share["taken"] > 0.9 * share["total"]
    assert sum(share["left"].values()) == share["total"] - share["taken"]
    assert share["device"].startswith(f"Hexagon {version}")
    assert gate_of(report)["verdict"] == "undecided"


def test_the_npu_takes_floats_too(verified, installed):
    installed("qnn-htp")
    code, report = verified("--path", "qnn-htp", "--path-images", "4", files=("mobilenet_v1_0.25_32_fp32.onnx",))
    (entry,) = report["paths"]
    assert (code, entry["images"], entry["paths"][1]) == (0, 4, "qnn-htp:v75")
    assert entry["pairs"][0]["max_lsb"] is None
    assert entry["pairs"][0]["max_abs_error"] < 0.01


def test_a_microcontroller_answers_alike_in_an_arena_of_kilobytes(verified, installed):
    installed("tflite-micro")
    code, report = verified("--path", "tflite-micro", "--path", "builtin")
    usual, micro = report["paths"]
    assert (code, usual["images"], micro["images"]) == (0, 64, 20)
    (share,) = micro["shares"]
    assert share["taken"] == share["total"]
    assert 30_000 < share["arena_bytes"] < 60_000
    assert micro["pairs"][0]["agreement"] >= 0.95
    assert micro["pairs"][0]["max_lsb"] <= 16


def test_a_gpu_answers_alike(verified, installed):
    installed("webgpu")
    files = (f"{INT8}.tflite", "mobilenet_v1_0.25_32_fp32.tflite")
    code, report = verified("--path", "webgpu", files=files)
    assert code == 0
    for entry in report["paths"]:
        (pair,), (share,) = entry["pairs"], entry["shares"]
        assert entry["images"] >= 32
        assert pair["agreement"] >= 0.95
        assert share["taken"] == share["total"]
        assert share["device"]
        assert pair["max_lsb"] is None or pair["max_lsb"] <= 16


def test_a_path_that_crashes_fails_its_gate_and_nothing_else(verified, install_micro):
    install_micro(invoke="os.abort()", arena=40_000)
    code, report = verified("--path", "tflite-micro", "--path", "builtin")
    assert code == 1
    usual, failed = report["paths"]
    assert usual["images"] == 64
    assert "tflite-micro crashed (SIGABRT)" in failed["pairs"][0]["failure"]
    gate = gate_of(report)
    assert (gate["verdict"], gate["value"]) == ("fail", None)
    assert "SIGABRT" in gate["reason"]
    assert {each["name"] for each in report["gates"] if each["verdict"] == "fail"} == {"path_agreement"}


@pytest.fixture
def install_micro(monkeypatch, tmp_path):
    """Installs a package of TFLite Micro that does so, for this process and those that begin now."""

    def install(**how):
        folder = write_package(tmp_path / "packages", **how)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    return install


@pytest.fixture
def found_objects(cli, small_shapes, tmp_path):
    """The exit code and the report on files of the small detector through these paths."""

    def verify(*words, kinds=("int8.tflite",)):
        out = tmp_path / "verdict"
        files = [str(small_shapes.file(kind)) for kind in kinds]
        options = ("--data", str(small_shapes.photos), "--no-latency", "--force", "--out", str(out))
        done = cli("verify", *files, *options, *words)
        report = json.loads((out / "report.json").read_bytes())
        jsonschema.validate(report, detection_schema())
        return done.returncode, report

    return verify


def test_detectors_go_through_paths_with_a_tail_and_with_raw_heads(found_objects, install_micro):
    install_micro(arena=40_000)
    kinds = ("int8.tflite", "int8_raw.tflite", "fp32.tflite", "int8.onnx")
    choice = ("--path", "tflite-micro", "--path", "reference", "--path", "unoptimized")
    code, report = found_objects(*choice, kinds=kinds)
    assert code == 0
    by_kind = {(entry["file"].split("96_")[1], entry["paths"][1]): entry for entry in report["paths"]}
    assert set(by_kind) == {
        *((kind, path) for kind in kinds[:3] for path in ("reference", "tflite-micro")),
        ("int8.onnx", "unoptimized"),
    }
    for (_, path), entry in by_kind.items():
        (pair,), (share,) = entry["pairs"], entry["shares"]
        assert entry["images"] == (20 if path == "tflite-micro" else 32)
        assert pair["paired_count"] >= entry["images"]
        assert min(pair["paired"], pair["paired_back"]) >= 0.85
        assert share["taken"] == share["total"]
    assert gate_of(report, "path_paired")["verdict"] in ("pass", "undecided")


@pytest.mark.parametrize("name", ["tflite-micro", "webgpu"])
def test_real_packages_find_the_same_objects(found_objects, installed, name):
    installed(name)
    _, report = found_objects("--path", name, "--path-images", "12", kinds=("int8.tflite", "int8_raw.tflite"))
    for entry in report["paths"]:
        (pair,), (share,) = entry["pairs"], entry["shares"]
        assert (entry["images"], "failure" in pair) == (12, False)
        assert min(pair["paired"], pair["paired_back"]) >= 0.8
        assert share["taken"] >= share["total"] - 5


def test_what_the_npu_does_not_take_of_a_detector_is_a_line(found_objects, installed):
    installed("qnn-htp")
    code, report = found_objects("--path", "qnn-htp", "--path-images", "2", kinds=("int8.onnx",))
    (entry,) = report["paths"]
    gate = gate_of(report, "path_paired")
    if "failure" in entry["pairs"][0]:
        assert "cannot be compiled for the NPU" in entry["pairs"][0]["failure"]
        assert (code, gate["verdict"], gate["value"]) == (1, "fail", None)
    else:
        assert entry["shares"][0]["taken"] > 0


def test_a_path_that_crashes_fails_the_gate_of_a_detectors_paths_alone(found_objects, install_micro):
    install_micro(invoke="os.abort()", arena=40_000)
    code, report = found_objects("--path", "tflite-micro", "--path", "builtin")
    usual, failed = report["paths"]
    assert (code, usual["images"], failed["images"]) == (1, 32, 0)
    assert "tflite-micro crashed (SIGABRT)" in failed["pairs"][0]["failure"]
    gate = gate_of(report, "path_paired")
    assert (gate["verdict"], gate["value"]) == ("fail", None)
    assert "SIGABRT" in gate["reason"]
    assert {each["name"] for each in report["gates"] if each["verdict"] == "fail"} == {"path_paired"}


def test_parts_of_the_images_change_nothing(verified, cli, small_build, tmp_path):
    _, whole = verified("--path", "builtin", "--path-images", "9")
    _, parts = verified("--path", "builtin", "--path-images", "9", "--shards", "2")
    assert whole == parts
    assert whole["paths"][0]["images"] == 9
    shutil.rmtree(tmp_path / "verdict")


def test_python_takes_paths_as_a_list(small_build):
    import mbexport

    options = {"data": "digits", "latency": False, "path": ["builtin"], "path_images": 5}
    report = mbexport.verify([small_build / f"{INT8}.tflite"], **options).report
    assert [(each["images"], each["paths"]) for each in report["paths"]] == [(5, ["xnnpack", "builtin"])]
