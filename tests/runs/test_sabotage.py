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
        (tmp_path / "stderr").write_text(done.stderr)
        report = tmp_path / "out" / "report.json"
        if not report.exists():
            return done.returncode, {"stderr": done.stderr}
        return done.returncode, {gate["name"]: gate for gate in json.loads(report.read_bytes())["gates"]}

    return verify


def test_what_a_build_made_passes(judged):
    code, gates = judged()
    assert code == 0, [gate for gate in gates.values() if not gate["passed"]]
    assert {"twin_agreement", "twin_lsb", "labels", "byte_input", "int8_io", "named_precision"} <= set(gates)


OF_OUTPUT = ("output_codes", "twin_lsb")


@pytest.mark.parametrize(
    ("harm", "name", "gates"),
    [
        (sabotage.normalization_wrong, FP32_ONNX, ["fp32_error"]),
        (sabotage.input_scale_wrong, INT8, ["byte_input"]),
        (sabotage.input_scale_wrong, INT8_ONNX, ["byte_input"]),
        (sabotage.input_zero_point_moved, INT8, ["byte_input"]),
        (sabotage.input_zero_point_moved, INT8_ONNX, ["byte_input"]),
        (sabotage.layer_zeroed, INT8, ["agreement"]),
        (sabotage.weights_zeroed, INT8_ONNX, ["agreement"]),
        (sabotage.channel_scale_doubled, INT8, ["twin_lsb"]),
        (sabotage.channel_sign_flipped, INT8, ["twin_lsb"]),
        (sabotage.channel_sign_flipped, INT8_ONNX, ["twin_lsb"]),
        (sabotage.output_scale_doubled, INT8, [*OF_OUTPUT, "output_words"]),
        (sabotage.output_scale_doubled, INT8_ONNX, OF_OUTPUT),
        (sabotage.output_zero_point_moved, INT8, [*OF_OUTPUT, "output_words", "score_error"]),
        (sabotage.output_zero_point_moved, INT8_ONNX, [*OF_OUTPUT, "score_error"]),
        (sabotage.softmax_removed, INT8, ["output_words", "twin_lsb"]),
        (sabotage.softmax_removed, INT8_ONNX, ["output_words", "twin_lsb"]),
        (sabotage.labels_shifted, INT8, ["labels"]),
        (sabotage.labels_shifted, INT8_ONNX, ["labels"]),
        (sabotage.labels_too_few, INT8, ["labels"]),
        (sabotage.labels_too_few, INT8_ONNX, ["labels"]),
        (sabotage.labels_empty, INT8, ["labels"]),
        (sabotage.labels_empty, INT8_ONNX, ["labels"]),
        (sabotage.labels_blank, INT8, ["labels"]),
        (sabotage.labels_blank, INT8_ONNX, ["labels"]),
        (sabotage.labels_swapped_among_foreign, INT8, ["labels"]),
        (sabotage.labels_swapped_among_foreign, INT8_ONNX, ["labels"]),
        (sabotage.range_of_nothing, INT8, ["distinct_outputs"]),
        (sabotage.float_output, INT8, ["int8_io", "twin_lsb"]),
        (sabotage.float_convolutions, INT8_ONNX, ["int8_convs"]),
    ],
    ids=lambda given: getattr(given, "__name__", given if isinstance(given, str) else " "),
)
def test_a_broken_artifact_is_caught_by_its_gates(judged, small_build, harm, name, gates):
    code, found = judged(broken={name: harm(small_build / name)})
    assert code == 1
    for gate in gates:
        assert found[gate]["verdict"] == "fail", gate
        assert name in found[gate]["subject"]


@pytest.mark.parametrize("name", [INT8, INT8_ONNX])
def test_labels_that_cannot_be_checked_are_a_warning(judged, small_build, tmp_path, name):
    for harm, said in (
        (sabotage.labels_missing, "it holds no labels"),
        (sabotage.labels_foreign, "none of its 10 labels ('n00000000'"),
    ):
        code, _ = judged(broken={name: harm(small_build / name)})
        assert code == 0
        assert f"WARNING: {name}: {said}" in (tmp_path / "stderr").read_text("utf-8")


@pytest.mark.parametrize("harm", [sabotage.output_scale_doubled, sabotage.output_zero_point_moved])
@pytest.mark.parametrize("case", [(INT8,), (INT8_ONNX,), (INT8, "--reference", FP32), (INT8_ONNX, "--reference", FP32)])
def test_an_output_that_lies_is_caught_without_a_twin(cli, small_build, tmp_path, harm, case):
    name, *reference = case
    (tmp_path / name).write_bytes(harm(small_build / name))
    given = [small_build / each if each == FP32 else each for each in reference]
    done = cli("verify", tmp_path / name, *given, "--data", "digits", "--no-latency", "--json")
    failed = {gate["name"] for gate in json.loads(done.stdout)["gates"] if gate["verdict"] == "fail"}
    assert done.returncode == 1
    assert "output_codes" in failed


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
