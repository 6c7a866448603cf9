"""Whether the int8 file answers as its simulation: by hand, on a real file, and with exporters broken on purpose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import Io
from mbexport.calibration.examine.twins import twins_of
from mbexport.calibration.integers.corrections import Corrections, correct
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range
from mbexport.calibration.ranges.observe import observe
from mbexport.cli import run
from mbexport.errors import StageError
from mbexport.formats.tflite.convert import int8_tflite
from mbexport.models.data.open import DIGITS, iter_pixels, open_data
from mbexport.models.folding import fold_batch_norm
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.widening import with_widths
from mbexport.verification.classification.simulation import check_simulation
from mbexport.verification.simulation import LEAST_AGREEMENT, Simulation, parting_layer

pytestmark = pytest.mark.run

PREPROCESS = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)
INPUT = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}
ENTRY = input_range(**INPUT)
SPEC = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=10)


def simulation(agreement: float, near_ties: float = 0.0, *, integers: float = 0.0) -> Simulation:
    return Simulation(images=100, agreement=agreement, near_ties=near_ties, max_lsb=1, integers=integers)


def test_the_message_names_the_agreement_and_the_layer() -> None:
    with pytest.raises(StageError, match=r"at least 97% of 100 images, got 50\.0%; they part at conv_pw_3"):
        simulation(0.5).require_alike(parting="conv_pw_3")
    with pytest.raises(StageError, match="no layer by itself gives other codes"):
        simulation(0.5).require_alike(parting=None)
    with pytest.raises(StageError):
        simulation(float("nan")).require_alike(parting=None)


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_file_that_gives_what_integers_give_is_sound_wherever_float_sums_lead(same: int, exact: int) -> None:
    found = simulation(same / 100, integers=exact / 100)
    assert found.alike == max(same, exact) / 100
    if exact >= 97:
        found.require_alike(parting=None)


@given(st.integers(0, 100), st.integers(0, 100))
def test_near_ties_count_as_alike(same: int, near: int) -> None:
    found = simulation(same / 100, min(near, 100 - same) / 100)
    if found.agreement + found.near_ties >= LEAST_AGREEMENT:
        found.require_alike(parting=None)
    else:
        with pytest.raises(StageError):
            found.require_alike(parting=None)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    images = open_data(DIGITS).evaluation(0).subset(np.arange(256))  # one in a hundred may answer otherwise
    return np.concatenate(list(iter_pixels(images, PREPROCESS)))


@pytest.fixture(scope="module")
def network(pixels: np.ndarray) -> Any:
    """A float network whose answers tell digits apart, without having learned them."""
    tf_keras.utils.set_random_seed(0)
    made = build(SPEC, batch_norm_momentum=0.0)
    made(PREPROCESS.normalize(pixels[:64]), training=True)
    return made


@pytest.fixture(scope="module")
def parts(network: Any, pixels: np.ndarray) -> tuple[Any, list[Any]]:
    """The fake-quantized network, and the steps in float and in integers."""
    floats, folded = (fold_batch_norm(network, preprocess=PREPROCESS) for _ in range(2))
    inputs = [PREPROCESS.dequantize(pixels[:64])]
    found = correct(floats, observe(floats, inputs), lambda: inputs, entry=ENTRY, corrections=Corrections())
    folded = with_widths(folded, {name: len(largest) for name, largest in found.largest.items()})
    for name, weights in found.weights.items():
        folded.get_layer(name).set_weights(weights)
    twins = twins_of(
        floats, folded, entry=ENTRY, ranges=found.ranges, largest=found.largest, arrangement=found.arrangement
    )
    return fake_quantize(folded, found.ranges, **INPUT, largest=found.largest), twins


def written(quantized: Any, path: Path, io: Io = Io.UINT8) -> Path:
    path.write_bytes(int8_tflite(quantized, io))
    return path


def spoiled(quantized: Any, layer: str) -> Any:
    """The same network with one kernel upside down: it loads, runs and answers."""
    kernel = next(w for w in quantized.get_layer(f"quant_{layer}").trainable_weights if "kernel" in w.name)
    kernel.assign(-kernel)
    return quantized


@pytest.mark.parametrize("io", Io)
def test_a_sound_file_answers_as_its_simulation_and_in_integers_code_for_code(
    parts: Any, pixels: np.ndarray, tmp_path: Path, io: Io
) -> None:
    quantized, twins = parts
    file = written(quantized, tmp_path / "sound_int8.tflite", io)
    found = check_simulation(file, quantized, twins, pixels, PREPROCESS)
    assert found.images == len(pixels)
    assert found.integers == 1.0
    assert found.agreement + found.near_ties >= LEAST_AGREEMENT
    assert parting_layer(file, twins, pixels[:2], PREPROCESS) is None


@pytest.mark.parametrize("layer", ["conv1", "conv_dw_4", "conv_pw_13", "conv_preds"])
def test_a_file_with_another_kernel_is_stopped_and_the_layer_named(
    parts: Any, pixels: np.ndarray, tmp_path: Path, layer: str
) -> None:
    quantized, twins = parts
    other = spoiled(quantized, layer)
    try:
        file = written(other, tmp_path / "other_int8.tflite")
    finally:
        spoiled(quantized, layer)  # as it was
    with pytest.raises(StageError, match=f"they part at {layer}$"):
        check_simulation(file, quantized, twins, pixels, PREPROCESS)


@pytest.fixture
def exported(network: Any, tmp_path: Path, capfd: Any) -> Callable[..., tuple[int, str]]:
    """Exports the network from the command line: exit code and stderr; the report is in `out`."""
    network.save_weights(tmp_path / "network.h5")

    def start(*arguments: str) -> tuple[int, str]:
        words = ["export", "--weights", str(tmp_path / "network.h5"), "--alpha", "0.25", "--resolution", "32"]
        words += ["--data", "digits", "--precision", "int8", "--format", "tflite", "--calibration-samples", "48"]
        code = run([*words, "--out", str(tmp_path / "out"), *arguments])
        return code, capfd.readouterr().err

    return start


def test_a_broken_exporter_ends_the_run_with_exit_3(
    exported: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mbexport.formats.tflite.convert.int8_tflite",
        lambda network, io, **form: int8_tflite(spoiled(network, "conv_pw_5"), io, **form),
    )
    monkeypatch.setattr("mbexport.formats.tflite.convert.require_decided_integers", lambda *_: None)
    code, errors = exported()
    assert code == 3
    (line,) = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert line.endswith("they part at conv_pw_5")
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_whole_run_reports_simulation_health_and_sensitivity(
    exported: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, errors = exported()
    assert code in (0, 1), errors  # the network never learned anything: gates may fail
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert report["simulation"]["integer_agreement"] == 1.0
    assert report["simulation"]["images"] == 48
    assert set(report["health"]) == {"images", "dead_channels", "killed_channels", "dead", "killed"}
    costs = report["sensitivity"]
    assert (costs["samples"], costs["images"]) == (48, "calibration")
    assert len(costs["layers"]) == 29
    whole = costs["divergence"]
    for entry in costs["layers"]:
        assert entry["share"] == pytest.approx((whole - entry["without"]["divergence"]) / whole)
    assert [stage["name"] for stage in report["stages"]][-4:] == ["simulation", "sensitivity", "verify", "golden"]
    # Left out, it is not made; what else was finished is not made again.
    code, errors = exported("--no-sensitivity")
    again = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert again["sensitivity"] is None
    assert again["simulation"] == report["simulation"]
    assert all(stage["reused"] for stage in again["stages"])
