"""Whole runs that leave layers in float: which, that it is said, what it costs, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from report_schema import objections

from mbexport.artifact import Precision
from mbexport.calibration.choices import Keep
from mbexport.errors import OptionError
from mbexport.models.data.open import open_data
from mbexport.pipeline.build import run
from mbexport.pipeline.plan import BuildPlan, Foreign
from mbexport.progress import Silent

pytestmark = pytest.mark.run
CONVOLUTIONS = ["conv", "depthwise", "head"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: Any) -> Path:
    """The file of a small untrained network."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    x = image = layers.Input((28, 28, 3))
    x = layers.ReLU(6.0, name="relu")(layers.Conv2D(4, 3, strides=2, name="conv")(x))
    x = layers.ReLU(name="depthwise_relu")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((10,))(layers.Conv2D(10, 1, name="head")(x))
    file: Path = tmp_path_factory.mktemp("model") / "net.h5"
    tf_keras.Model(image, layers.Softmax()(x)).save(file)
    return file


def exported(model: Path, out: Path, keep: Keep, **options: Any) -> dict[str, Any]:
    """The report of an export with int8."""
    plan = BuildPlan(
        name="net",
        origin=Foreign(model=model),
        out=out,
        calibration_samples=40,
        precisions=(Precision.INT8,),
        keep=keep,
        **options,
    )
    report: dict[str, Any] = run(plan, open_data("digits"), Silent()).report
    return report


def names(report: dict[str, Any]) -> list[str]:
    return [row["layer"] for row in report["calibration"]["in_float"]]


def test_named_and_chosen_layers_stay_in_float_and_are_timed(model: Path, tmp_path: Path) -> None:
    report = exported(model, tmp_path / "out", Keep(layers=("depthwise",), costliest=1))
    kept = names(report)
    assert len(kept) == 2
    assert "depthwise" in kept
    assert kept == [name for name in CONVOLUTIONS if name in kept]
    assert report["options"]["keep"] == ["float:depthwise", "auto:1"]
    assert [entry["kernels"]["float_convs"] for entry in report["artifacts"]] == [2, 2]
    (gate,) = [gate for gate in report["gates"] if gate["name"] == "int8_convs"]
    assert (gate["passed"], gate["limit"]) == (True, pytest.approx(1 / 3))
    assert [row["file"] for row in report["in_float"]] == ["net_int8.tflite", "net_int8.onnx"]
    for row in report["in_float"]:
        low, high = row["latency_ratio_ci95"]
        assert 0 < low <= row["latency_ratio"] <= high
    assert objections(report) == []
    for name in ("report.html", "MODEL_CARD.md"):
        assert (
            f"2 of 3 convolutions of int8 files stay in float: {', '.join(kept)}"
            in (tmp_path / "out" / name).read_text()
        )


def test_all_layers_may_stay_in_float(model: Path, tmp_path: Path) -> None:
    report = exported(model, tmp_path / "out", Keep(costliest=3), latency=False)
    assert names(report) == CONVOLUTIONS
    assert [entry["kernels"]["int8_convs"] for entry in report["artifacts"]] == [0, 0]
    assert "in_float" not in report


def test_layers_that_somebodys_network_does_not_have_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--keep float: must name one of conv, depthwise, head, got relu"):
        exported(model, tmp_path / "out", Keep(layers=("relu",)))
    with pytest.raises(OptionError, match="--keep auto: must be at most 3, the convolutions left, got 4"):
        exported(model, tmp_path / "out", Keep(costliest=4))
