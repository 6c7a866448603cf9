"""Whole runs that save their ranges, and others that reuse them: the same files come out."""

import json
from pathlib import Path
from typing import Any

import pytest

from mbexport.artifact import Precision
from mbexport.calibration.choices import CANDIDATES, Correction, Observer
from mbexport.errors import DataError
from mbexport.models.data.open import open_data
from mbexport.pipeline.build import run
from mbexport.pipeline.plan import BuildPlan, Foreign
from mbexport.progress import Silent

pytestmark = pytest.mark.run
REPORTS = {"report.json", "report.html", "junit.xml", "MODEL_CARD.md"}  # they hold times
SITES = ["relu", "depthwise_relu", "pool", "head"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The file of a small untrained network."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    x = image = layers.Input((28, 28, 3))
    x = layers.ReLU(6.0, name="relu")(layers.Conv2D(4, 3, strides=2, name="conv")(x))
    x = layers.ReLU(name="depthwise_relu")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((10,))(layers.Conv2D(10, 1, name="head")(x))
    file = tmp_path_factory.mktemp("model") / "net.h5"
    tf_keras.Model(image, layers.Softmax()(x)).save(file)
    return file


def exported(model: Path, out: Path, **options: Any) -> dict[str, Any]:
    """The report of an export with int8."""
    plan = BuildPlan(
        name="net",
        origin=Foreign(model=model),
        out=out,
        qat_epochs=0,
        calibration_samples=40,
        precisions=(Precision.INT8,),
        **options,
    )
    return run(plan, open_data("digits"), Silent()).report


def files(out: Path) -> dict[str, bytes]:
    """What was delivered, but for the report, which holds times."""
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name not in REPORTS}


@pytest.fixture(scope="module")
def first(model, tmp_path_factory) -> Path:
    """The folder of an export whose observer was chosen by its answers."""
    out = tmp_path_factory.mktemp("first") / "out"
    exported(model, out, observer=Observer.AUTO)
    return out


def report_in(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_bytes())


def test_ranges_are_delivered_one_site_a_line(first):
    assert set(files(first)) == {"net_int8.tflite", "net_int8.onnx", "net_ranges.json", "labels.txt"}
    lines = (first / "net_ranges.json").read_text().splitlines()
    assert [line.split('"')[1] for line in lines[1:-1]] == SITES


def test_report_says_what_was_chosen_and_how_each_tensor_is_stored(first):
    told = report_in(first)["calibration"]
    assert set(told["errors"]) == set(CANDIDATES)
    assert told["errors"][told["observer"]] == min(told["errors"].values())
    assert (told["corrections"], told["samples"]) == (list(Correction), 40)
    assert [site["site"] for site in told["sites"]] == ["input", *SITES]
    for site in told["sites"]:
        assert site["low"] <= 0 < site["high"]
        assert site["scale"] == pytest.approx((site["high"] - site["low"]) / 255)
        assert 0 <= site["clipped"] < 1
        assert 0 <= site["unused_codes"] < 256
    assert told["sites"][0]["snr_db"] is None  # bytes come in as they are
    assert all(site["snr_db"] > 10 for site in told["sites"][1:])
    assert report_in(first)["options"]["observer"] == "auto"


def test_reused_ranges_give_the_same_bytes(first, model, tmp_path):
    report = exported(model, tmp_path / "out", ranges=first / "net_ranges.json")
    assert files(tmp_path / "out") == files(first)
    told = report["calibration"]
    assert (told["observer"], told["errors"]) == (None, {})
    assert told["sites"] == report_in(first)["calibration"]["sites"]
    assert (report["options"]["observer"], report["options"]["ranges"]) == (None, "net_ranges.json")


def test_file_in_the_folder_that_it_came_from_may_be_reused_there(first, model, tmp_path):
    exported(model, tmp_path / "out", observer=Observer.MSE)
    before = files(tmp_path / "out")
    exported(model, tmp_path / "out", ranges=tmp_path / "out" / "net_ranges.json")
    assert files(tmp_path / "out") == before


def test_other_corrections_or_ranges_run_the_calibration_again(model, tmp_path):
    out = tmp_path / "out"
    exported(model, out)
    before = files(out)
    report = exported(model, out, corrections=())
    assert {stage["name"]: stage["reused"] for stage in report["stages"]}["calibrate"] is False
    assert report["calibration"]["corrections"] == []
    after = files(out)
    assert after["net_ranges.json"] == before["net_ranges.json"]
    assert after["net_int8.tflite"] != before["net_int8.tflite"]
    # A narrower range for one tensor is another network.
    narrowed = before["net_ranges.json"].decode().splitlines()
    narrowed[1] = ' "relu": [0.0, 0.5],'
    (tmp_path / "narrow.json").write_text("\n".join(narrowed))
    report = exported(model, out, ranges=tmp_path / "narrow.json")
    assert report["calibration"]["sites"][1]["high"] == 0.5
    assert report["calibration"]["sites"][1]["clipped"] > 0.001
    assert all(stage["reused"] for stage in exported(model, out, ranges=tmp_path / "narrow.json")["stages"])


def test_ranges_of_another_network_are_refused_naming_the_first_site_and_leave_nothing(first, model, tmp_path):
    text = (first / "net_ranges.json").read_text()
    other = tmp_path / "other.json"
    for changed, said in (
        (text.replace("depthwise_relu", "dw"), "got none for depthwise_relu"),
        (text.replace("{", '{"extra": [0, 1],', 1), "got one for extra, which it does not have"),
    ):
        other.write_text(changed)
        with pytest.raises(DataError, match=f"other.json must hold the ranges of this network, {said}"):
            exported(model, tmp_path / "out", ranges=other)
        assert not (tmp_path / "out").exists()


def test_fp32_alone_has_no_ranges(model, tmp_path):
    plan = BuildPlan(name="net", origin=Foreign(model=model), out=tmp_path / "out", precisions=(Precision.FP32,))
    report = run(plan, open_data("digits"), Silent()).report
    assert report["calibration"] is None
    assert "net_ranges.json" not in files(tmp_path / "out")
