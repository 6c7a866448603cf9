"""What the gates are fed: each value by hand, the worst artifact speaking for all, and files that do not fit."""

import math
from pathlib import Path

import numpy as np
import pytest

from mbexport.artifact import Format, Precision
from mbexport.errors import DataError
from mbexport.models.data import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Silent
from mbexport.runtimes.opening import open_runner
from mbexport.verdict.measure import gate_values, measure_all, read_artifact

FP32, INT8 = "m_fp32.tflite", "m_int8.tflite"
STEM = "mobilenet_v1_0.25_32"


def test_values_by_hand(entry, found):
    values = gate_values(
        found(
            entry(FP32, size_bytes=1000, max_abs_error=0.0005, int8_convs=0, float_convs=28, distinct_outputs=90),
            entry(INT8, size_bytes=280, top1=0.875, agreement=0.9375, int8_convs=21, float_convs=7),
            entry("m_int8.onnx", distinct_outputs=70),
            reference={"top1": 0.9, "top1_ci95": (0.8, 0.95)},
            chance=0.1,
            twins={(INT8, "m_int8.onnx"): 0.99},
            speedups={(FP32, INT8): (1.5, 1.7)},
        )
    )
    assert values == pytest.approx(
        {
            "samples": 100,
            "distinct_outputs": 70,
            "above_chance": 8.0,
            "fp32_error": 0.0005,
            "top1_drop": 0.025,
            "agreement": 0.9375,
            "twin_agreement": 0.99,
            "int8_convs": 0.75,
            "int8_speedup": 1.7,
            "size_ratio": 0.28,
        }
    )


def test_values_exist_only_for_what_is_there(entry, found):
    assert set(gate_values(found(entry(FP32)))) == {"samples", "distinct_outputs", "above_chance", "fp32_error"}
    assert gate_values(found()) == {"samples": 100}


def test_int8_better_than_the_reference_is_a_negative_drop(entry, found):
    values = gate_values(found(entry(INT8, top1=0.95), reference={"top1": 0.9}))
    assert values["top1_drop"] == pytest.approx(-0.05)


WORST = [
    ("fp32_error", {"max_abs_error": 0.5}, "fp32", 0.5),
    ("top1_drop", {"top1": 0.5}, "int8", 0.4),
    ("agreement", {"agreement": 0.5}, "int8", 0.5),
    ("int8_convs", {"int8_convs": 7, "float_convs": 21}, "int8", 0.25),
    ("distinct_outputs", {"distinct_outputs": 2}, "int8", 2),
    ("distinct_outputs", {"distinct_outputs": 2}, "fp32", 2),
]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("case", WORST, ids=lambda case: f"{case[0]}-{case[2]}")
def test_worst_artifact_speaks(entry, found, order, case):
    name, bad, precision, value = case
    pair = [entry(f"m_{precision}.tflite"), entry(f"m_{precision}.onnx", **bad)][::order]
    assert gate_values(found(*pair))[name] == pytest.approx(value)


@pytest.mark.parametrize("order", [1, -1])
def test_largest_int8_file_speaks_for_the_size(entry, found, order):
    # Two int8 files of one format: `verify` takes any number, and a small one must not excuse a large one.
    sized = [entry("small_int8.tflite", size_bytes=250), entry("large_int8.tflite", size_bytes=900)][::order]
    speedups = {(FP32, one.artifact.path.name): (1.0, 1.2) for one in sized}
    values = gate_values(found(entry(FP32, size_bytes=1000), *sized, speedups=speedups))
    assert values["size_ratio"] == pytest.approx(0.9)


def test_slowest_format_and_least_alike_twins_speak(entry, found):
    values = gate_values(
        found(
            entry(FP32),
            entry(INT8),
            entry("m_fp32.onnx"),
            entry("m_int8.onnx"),
            entry("n_int8.onnx"),
            twins={(INT8, "m_int8.onnx"): 0.99, (INT8, "n_int8.onnx"): 0.5, ("m_int8.onnx", "n_int8.onnx"): 0.1},
            speedups={(FP32, INT8): (1.5, 1.7), ("m_fp32.onnx", "m_int8.onnx"): (0.5, 0.9)},
        )
    )
    assert values["int8_speedup"] == 0.9
    assert values["twin_agreement"] == 0.5  # a pair of one format is no pair of twins


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "case",
    [
        ("fp32_error", {"max_abs_error": math.nan}, "fp32"),
        ("top1_drop", {"top1": math.nan}, "int8"),
        ("agreement", {"agreement": math.nan}, "int8"),
        ("int8_convs", {"int8_convs": 0, "float_convs": 0}, "int8"),
    ],
    ids=lambda case: case[0],
)
def test_nan_of_one_artifact_is_the_value(entry, found, order, case):
    name, bad, precision = case
    pair = [entry(f"m_{precision}.tflite"), entry(f"m_{precision}.onnx", **bad)][::order]
    assert math.isnan(gate_values(found(*pair))[name])


def test_nan_of_twins_speedups_and_chance_is_the_value(entry, found):
    values = gate_values(
        found(
            entry(FP32),
            entry(INT8),
            entry("m_int8.onnx"),
            chance=math.nan,
            twins={(INT8, "m_int8.onnx"): math.nan},
            speedups={(FP32, INT8): (1.0, math.nan)},
        )
    )
    assert [name for name, value in values.items() if math.isnan(value)] == [
        "above_chance",
        "twin_agreement",
        "int8_speedup",
    ]


def no_images(*labels: int) -> ImageSet:
    def read(_index: int):
        pytest.fail("images were read before the artifacts were found to fit")

    return ImageSet(labels=np.array(labels, np.int64), names=tuple(map(str, labels)), read=read)


@pytest.fixture
def refused(monkeypatch, table_runner):
    """Measures runners of the given names, sides, class counts and channels, and gives the complaint."""

    def measure(
        *kinds: tuple[str, int, int] | tuple[str, int, int, int], labels: tuple[int, ...], **pixels: int
    ) -> str:
        runners = {
            Path(f"{i}") / name: table_runner(name, np.zeros((1, classes)), px=px, channels=(*channels, 3)[0])
            for i, (name, px, classes, *channels) in enumerate(kinds)
        }
        monkeypatch.setattr("mbexport.verdict.measure.open_runner", lambda path, **_named: runners[path])
        with pytest.raises(DataError) as caught:
            measure_all(
                list(runners),
                no_images(*labels),
                Preprocess(resolution_px=32, **pixels),
                reference=lambda _pixels: pytest.fail("the reference was asked"),
                classes=kinds[0][2],
                threads=1,
                progress=Silent(),
            )
        return str(caught.value)

    return measure


def test_other_resolution_is_refused(refused):
    complaint = refused(("a", 32, 10), ("b", 64, 10), labels=(0, 1))
    assert "got 64 px beside 32 px" in complaint
    assert complaint.startswith("b:")


@pytest.mark.parametrize(("first", "other"), [(3, 1), (1, 3)])
def test_grey_beside_colour_is_refused(refused, first, other):
    complaint = refused(("a", 32, 10, first), ("b", 32, 10, other), labels=(0, 1), channels=first)
    assert complaint == f"b: all artifacts must take images of one kind, got {other} channel(s) beside {first}"


def test_other_number_of_classes_is_refused(refused):
    complaint = refused(("a", 32, 10), ("b", 32, 12), labels=(0, 1))
    assert complaint == "b: all artifacts must have one number of classes, got 12 beside 10"


def test_too_few_scores_are_refused(refused):
    assert "got 9 scores for 10 classes" in refused(("a", 32, 9), labels=(0, 9))


def test_file_name_given_twice_is_refused_by_its_name(refused):
    assert "got b twice" in refused(("c", 32, 10), ("b", 32, 10), ("a", 32, 10), ("b", 32, 10), labels=(0, 1))


@pytest.mark.parametrize("kind", ["fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx"])
def test_file_itself_says_what_it_is(small_build, tmp_path, kind):
    content = (small_build / f"{STEM}_{kind}").read_bytes()
    lying_name = tmp_path / f"renamed_{'int8' if 'fp32' in kind else 'fp32'}.{kind.split('.')[1]}"
    lying_name.write_bytes(content)
    artifact = read_artifact(open_runner(lying_name))
    assert (artifact.format, artifact.precision) == (Format(kind.split(".")[1]), Precision(kind.split(".")[0]))
    assert artifact.size_bytes == len(content)
