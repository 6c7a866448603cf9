"""Detectors that are broken as somebody once shipped them: each is caught, by the gate that is meant for it.

The table of docs/detection.md says the same in words.
"""

import json
from collections.abc import Callable
from pathlib import Path

import detector_sabotage as broken
import pytest
import sabotage

from mbexport.verification.detection.gates import DETECTION_GATES

pytestmark = pytest.mark.run
Judged = Callable[..., tuple[int, dict[str, dict]]]

TFLITE, ONNX = ("fp32.tflite", "int8.tflite"), ("fp32.onnx", "int8.onnx")
TWIN = dict([*zip(TFLITE, ONNX, strict=True), *zip(ONNX, TFLITE, strict=True)])


@pytest.fixture
def judged(small_shapes, cli, tmp_path) -> Judged:
    """Verifies files of a good build, one of them broken; gives the exit code and the gates by name."""

    def verify(harm: Callable[[Path], bytes] | None, *kinds: str, reference: str | None = "fp32.tflite", limits=()):
        files = [small_shapes.file(kind) for kind in kinds]
        if harm is not None:
            files[0] = tmp_path / files[0].name
            files[0].write_bytes(harm(small_shapes.file(kinds[0])))
        given = [] if reference is None else ["--reference", small_shapes.file(reference)]
        gates = [word for limit in limits for word in ("--gate", limit)]
        options = ("--data", small_shapes.photos, "--no-latency", "--json")
        done = cli("verify", *files, *given, *gates, *options)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, {gate["name"]: gate for gate in json.loads(done.stdout)["gates"]}

    return verify


def failed(gates: dict[str, dict]) -> set[str]:
    return {name for name, gate in gates.items() if gate["verdict"] == "fail"}


def test_what_a_build_made_passes(judged):
    code, gates = judged(None, *TFLITE, *ONNX)
    assert (code, failed(gates)) == (0, set())
    assert {"twin_tails", "reference_tail", "scores_in_order", "output_words", "labels"} <= set(gates)


OF_ANCHORS = {"twin_tails", "reference_tail", "twin_paired"}
OF_THRESHOLDS = {"twin_tails", "reference_tail"}
OF_ORDER = {"scores_in_order", "tail_alike"}
OF_NETWORK = {"twin_paired"}
HARMS = [
    (broken.anchors_larger, ("int8.tflite", "fp32.onnx"), OF_ANCHORS),
    (broken.anchors_swapped, ("int8.tflite", "fp32.onnx"), OF_ANCHORS),
    (broken.codes_scaled_otherwise, ("int8.tflite", "fp32.onnx"), OF_ANCHORS),
    (broken.scores_cut_low, ("int8.tflite",), OF_THRESHOLDS),
    (broken.scores_cut_low, ("fp32.onnx",), {*OF_THRESHOLDS, "output_words"}),
    (broken.scores_cut_high, ("int8.tflite", "fp32.onnx"), {*OF_THRESHOLDS, "distinct_outputs", "twin_paired"}),
    (broken.overlaps_kept, ("int8.tflite", "fp32.onnx"), {*OF_THRESHOLDS, "twin_paired"}),
    (broken.sides_swapped, ("int8.tflite", "fp32.onnx"), {"tail_alike", "twin_paired"}),
    (broken.rows_swapped, ("int8.tflite", "fp32.onnx"), OF_ORDER),
    (broken.classes_off_by_one, ("int8.tflite", "fp32.onnx"), {"tail_alike", "twin_paired"}),
    (broken.boxes_not_cut_off, ("int8.tflite", "fp32.onnx"), {"boxes_inside", "tail_alike"}),
    (broken.sides_misnamed, ("int8.tflite", "fp32.tflite"), {"output_words"}),
    (broken.outputs_reordered, ("int8.tflite",), {"output_words"}),
    (broken.normalization_misstated, ("fp32.tflite",), OF_NETWORK),
    (sabotage.normalization_wrong, ("fp32.onnx",), OF_NETWORK),
    (sabotage.input_zero_point_moved, ("int8.tflite", "int8.onnx"), {"byte_input"}),
    (sabotage.input_scale_wrong, ("int8.tflite", "int8.onnx"), {"byte_input", "input_words"}),
    (sabotage.labels_shifted, ("int8.tflite", "fp32.onnx"), {"labels"}),
    (sabotage.labels_too_few, ("int8.tflite", "fp32.onnx"), {"labels"}),
    (broken.head_zeroed, ("int8.tflite", "fp32.onnx"), OF_NETWORK),
    (broken.head_shifted, ("int8.onnx",), OF_NETWORK),
]
CASES = [
    pytest.param(harm, kind, gates, id=f"{harm.__name__} {kind}") for harm, kinds, gates in HARMS for kind in kinds
]
MOVES_BOXES = {"twin_paired"}  # what a twin shows so is lost beside the reference, too


@pytest.mark.parametrize(("harm", "kind", "gates"), CASES)
def test_a_broken_file_is_caught_by_its_gates(judged, harm, kind, gates):
    wanted = gates | ({"paired" if kind.startswith("int8") else "fp32_paired"} if gates & MOVES_BOXES else set())
    reference = "fp32.onnx" if kind == "fp32.tflite" else "fp32.tflite"
    code, found = judged(harm, kind, TWIN[kind], reference=reference)
    assert (code, wanted - failed(found)) == (1, set())
    for name in wanted:
        assert kind in found[name]["subject"], name


ALONE = [
    (broken.sides_swapped, "int8.tflite", {"tail_alike", "as_labelled"}),
    (broken.rows_swapped, "fp32.onnx", OF_ORDER),
    (broken.classes_off_by_one, "int8.tflite", {"tail_alike", "as_labelled"}),
    (broken.boxes_not_cut_off, "fp32.onnx", {"boxes_inside", "tail_alike"}),
    (broken.sides_misnamed, "int8.tflite", {"output_words"}),
    (broken.outputs_reordered, "int8.tflite", {"output_words"}),
    (broken.overlaps_kept, "fp32.onnx", {"output_words"}),
    (sabotage.labels_shifted, "int8.tflite", {"labels"}),
    (sabotage.input_scale_wrong, "int8.tflite", {"byte_input", "input_words"}),
]


@pytest.mark.parametrize(("harm", "kind", "gates"), ALONE)
def test_what_is_caught_beside_labels_alone(judged, harm, kind, gates):
    code, found = judged(harm, kind, reference=None)
    assert (code, gates - failed(found)) == (1, set())


WORSE = [
    (broken.anchors_larger, "int8.tflite"),
    (broken.codes_scaled_otherwise, "int8.tflite"),
    (broken.overlaps_kept, "int8.tflite"),
    (broken.normalization_misstated, "fp32.tflite"),
    (broken.head_zeroed, "fp32.onnx"),
    (broken.head_shifted, "int8.onnx"),
]


@pytest.mark.parametrize(("harm", "kind"), WORSE)
def test_beside_labels_alone_a_worse_detector_shows_in_its_precision(judged, harm, kind):
    """Without a reference nothing says how good it should be, but the user: the good file has an AP of 0.67."""
    code, found = judged(harm, kind, reference=None, limits=["ap=0.6"])
    assert code == 1
    assert "ap" in failed(found)
    code, found = judged(None, kind, reference=None, limits=["ap=0.6"])
    assert (code, failed(found)) == (0, set())


def test_a_threshold_that_loses_nothing_is_not_seen_beside_labels_alone(judged):
    """A .tflite has no word on its thresholds, and what lies below 0.1 is right too seldom to cost precision here."""
    code, found = judged(broken.scores_cut_low, "int8.tflite", reference=None, limits=["ap=0.6"])
    assert (code, failed(found)) == (0, set())


def test_every_gate_that_the_table_names_is_one():
    named = {gate for _, _, gates in HARMS for gate in gates} | {gate for _, _, gates in ALONE for gate in gates}
    assert named <= set(DETECTION_GATES)


def test_a_truncated_detector_is_bad_input(small_shapes, cli, tmp_path):
    for kind in ("int8.tflite", "fp32.onnx"):
        path = tmp_path / small_shapes.file(kind).name
        path.write_bytes(sabotage.truncated(small_shapes.file(kind)))
        done = cli("verify", path, "--data", small_shapes.photos, "--no-latency")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert path.name in done.stderr
