"""Artifacts that are broken as somebody once shipped them: each is caught, by the gate that is meant for it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sabotage

pytestmark = pytest.mark.run
STEM = "mobilenet_v1_0.25_32"
FP32, INT8, FP32_ONNX, INT8_ONNX = (
    f"{STEM}_{kind}" for kind in ("fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx")
)


@pytest.fixture
def judged(small_build, cli, tmp_path) -> Callable[..., tuple[int, dict]]:
    """Verifies the files of a good build, some of them changed; gives the exit code and the gates by name."""

    def verify(*, broken: dict[str, bytes] | None = None) -> tuple[int, dict]:
        for name in (FP32, INT8, FP32_ONNX, INT8_ONNX):
            shutil.copy(small_build / name, tmp_path / name)
        for name, content in (broken or {}).items():
            (tmp_path / name).write_bytes(content)
        files = sorted({*(tmp_path.glob("*.tflite")), *(tmp_path.glob("*.onnx"))})
        reference = small_build / FP32
        done = cli(
            *("verify", *files, "--reference", reference, "--data", "digits"),
            *("--no-latency", "--out", tmp_path / "out"),
        )
        report = tmp_path / "out" / "report.json"
        if not report.exists():
            return done.returncode, {"stderr": done.stderr}
        return done.returncode, {gate["name"]: gate for gate in json.loads(report.read_bytes())["gates"]}

    return verify


def test_what_a_build_made_passes(judged):
    code, gates = judged()
    assert code == 0, [gate for gate in gates.values() if not gate["passed"]]
    assert {"twin_agreement", "twin_lsb", "labels", "byte_input", "int8_io", "named_precision"} <= set(gates)


@pytest.mark.parametrize(
    ("harm", "name", "gate"),
    [
        (sabotage.normalization_wrong, FP32_ONNX, "fp32_error"),
        (sabotage.input_scale_wrong, INT8, "byte_input"),
        (sabotage.layer_zeroed, INT8, "agreement"),
        (sabotage.channel_scale_doubled, INT8, "twin_lsb"),
        (sabotage.labels_shifted, INT8, "labels"),
        (sabotage.labels_shifted, INT8_ONNX, "labels"),
        (sabotage.range_of_nothing, INT8, "distinct_outputs"),
        (sabotage.float_output, INT8, "int8_io"),
        (sabotage.float_convolutions, INT8_ONNX, "int8_convs"),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_a_broken_artifact_is_caught_by_its_gate(judged, small_build, harm, name, gate):
    code, gates = judged(broken={name: harm(small_build / name)})
    assert code == 1
    assert gates[gate]["verdict"] == "fail"
    assert name in gates[gate]["subject"]


def test_floats_under_the_name_of_int8_are_caught(judged, small_build):
    code, gates = judged(broken={INT8: (small_build / FP32).read_bytes()})
    assert code == 1
    assert (gates["named_precision"]["verdict"], gates["named_precision"]["subject"]) == ("fail", INT8)


def test_a_truncated_file_is_bad_input(judged, small_build):
    code, told = judged(broken={INT8: sabotage.truncated(small_build / INT8)})
    assert code == 2
    assert told["stderr"].startswith("Error: ")
    assert INT8 in told["stderr"]
    assert told["stderr"].count("\n") == 1


@pytest.mark.slow
def test_swapped_channels_are_caught(cli, shared_data, tmp_path):
    """On photos: digits are grey."""
    images = ("--classes", shared_data / "imagenet" / "classes.txt", "--crop-fraction", "1")
    out = tmp_path / "real"
    made = cli(
        *("export", "--weights", shared_data / "weights" / "mobilenet_2_5_224_tf.h5", "--alpha", "0.25"),
        *("--int8", "--format", "tflite", "--calibration", shared_data / "imagenet" / "calibration", *images),
        *("--corrections", "rounding,bias", "--no-sensitivity", "--out", out),
    )
    int8 = out / "mobilenet_v1_0.25_224_int8.tflite"
    assert int8.is_file(), made.stderr
    told = (
        *("--reference", out / "mobilenet_v1_0.25_224_fp32.tflite", "--no-latency", "--json"),
        *("--gate", "agreement=0.85", "--data", shared_data / "imagenet" / "eval", *images),
    )
    good = json.loads(cli("verify", int8, *told).stdout)
    int8.write_bytes(sabotage.channels_swapped(int8))
    done = cli("verify", int8, *told)
    verdicts = [
        next(gate["verdict"] for gate in report["gates"] if gate["name"] == "agreement")
        for report in (good, json.loads(done.stdout))
    ]
    assert (done.returncode, verdicts) == (1, ["pass", "fail"])


@pytest.mark.slow
def test_a_twin_from_another_seed_is_caught(judged, cli, tmp_path):
    other = Path(tmp_path / "other")
    made = cli(
        *("build", "--alpha", "0.25", "--resolution", "32", "--epochs", "12", "--qat-epochs", "0", "--int8"),
        *("--seed", "1", "--no-sensitivity", "--out", other),
    )
    assert (other / INT8_ONNX).is_file(), made.stderr
    code, gates = judged(broken={INT8_ONNX: (other / INT8_ONNX).read_bytes()})
    assert code == 1
    assert (gates["twin_agreement"]["verdict"], gates["twin_lsb"]["verdict"]) == ("fail", "fail")
