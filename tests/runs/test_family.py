"""Other networks than the separable MobileNet v1 go through the same stages, and end in integers just as well."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tf_keras
from contexts import context, record

from mbexport.artifact import Precision
from mbexport.calibration.qat.fake_quant import fake_quantize
from mbexport.calibration.ranges.range_file import ranges_from_json
from mbexport.formats.classifier import Classifier
from mbexport.formats.registry import kernels_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.models.architectures import architecture_of
from mbexport.models.data.open import DIGITS, ImageSet, iter_pixels, open_data
from mbexport.models.facts import facts_to_json
from mbexport.models.folding import fold_batch_norm
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.network import facts_of_spec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.spec import NetworkSpec
from mbexport.models.weights import arrays_from_bytes, load_weights, weights_to_bytes
from mbexport.pipeline.exports import EXPORTS
from mbexport.pipeline.networks import Float, Quantized
from mbexport.pipeline.plan import BuildPlan, Trained
from mbexport.pipeline.stage import Files
from mbexport.pipeline.stage_files import ARRANGEMENT, CALIBRATION, LARGEST, NETWORK, RANGES, WEIGHTS
from mbexport.pipeline.stages.calibrate import calibrate
from mbexport.pipeline.stages.export import export_stage

pytestmark = pytest.mark.run
PREPROCESS = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)
STANDARD = ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=10, conv=Convolution.STANDARD)
SHALLOW = ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=10, shallow=True)
BOTH = replace(STANDARD, shallow=True)
V2 = MobileNetV2Spec(alpha=0.1, resolution=SHALLOW.resolution, classes=10)
# The stem, the blocks (one to three convolutions each) and the head.
CONVOLUTIONS = {
    STANDARD: 1 + 13 + 1,
    SHALLOW: 1 + 2 * 8 + 1,
    BOTH: 1 + 8 + 1,
    V2: 1 + 2 + 3 * 16 + 1 + 1,  # the first block expands nothing; the last convolution before pooling
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One network, its calibrated copy and its four artifacts."""

    spec: NetworkSpec
    source: Float
    quantized: Quantized
    artifacts: dict[str, Path]


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return open_data(DIGITS).evaluation(0).subset(np.arange(64))


@pytest.fixture(scope="module")
def pixels(digits) -> np.ndarray:
    """The same digits as bytes: (64, 32, 32, 3) uint8."""
    return np.concatenate(list(iter_pixels(digits, PREPROCESS)))


@pytest.fixture(scope="module", params=CONVOLUTIONS, ids=lambda spec: spec.stem_name)
def exported(request, digits, pixels, tmp_path_factory) -> Exported:
    """What the stages of a build make of an untrained network with the batch statistics of the digits."""
    folder = tmp_path_factory.mktemp(request.param.stem_name)
    spec = request.param
    plan = BuildPlan(name=spec.stem_name, origin=Trained(spec=spec, epochs=1), out=folder)

    def kept(files: Files) -> list[Path]:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in files]

    tf_keras.utils.set_random_seed(0)
    network = architecture_of(spec).build(spec, batch_norm_momentum=0.0)
    network(PREPROCESS.normalize(pixels), training=True)
    facts = facts_to_json(facts_of_spec(network, spec, PREPROCESS)).encode()
    kept({NETWORK: facts, "float.npz": weights_to_bytes(network)})
    trained = record(folder, NETWORK, "float.npz")
    records = {"train": replace(trained, files={**trained.files, WEIGHTS: folder / "float.npz"})}
    labels = tuple(str(number) for number in range(spec.classes))
    run = context(plan, images=SimpleNamespace(calibration=digits), class_names=labels, records=records)
    run = replace(run, active=SimpleNamespace(pixels=lambda _images, _preprocess: None))
    kept(calibrate(run))
    calibrated = record(folder, WEIGHTS, RANGES, LARGEST, ARRANGEMENT, CALIBRATION)
    run = run.after("calibrate", calibrated).after("quantize", calibrated)
    artifacts = {}
    for export in EXPORTS:
        if export.precision in (Precision.FP32, Precision.INT8) and not export.is_raw:
            stage = export_stage(export)
            (path,) = kept(stage.work(run))
            run = run.after(stage.name, record(folder, path.name))
            artifacts[f"{export.precision}{path.suffix}"] = path
    source, quantized = run.float, run.quantized
    return Exported(spec=spec, source=source, quantized=quantized, artifacts=artifacts)


def scores_of(runner: Runner, pixels: np.ndarray) -> np.ndarray:
    classifier = Classifier(runner)
    return classifier.scores(classifier.raw(runner.prepare(pixels, PREPROCESS)))


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_every_convolution_runs_in_integers_or_none_does(exported, ending):
    count = CONVOLUTIONS[exported.spec]
    for precision, expected in (("int8", (count, 0)), ("fp32", (0, count))):
        found = kernels_of(open_runner(exported.artifacts[f"{precision}.{ending}"]))
        assert (found.int8_convs, found.float_convs) == expected


def test_the_int8_files_answer_as_the_fake_quantized_network(exported, pixels):
    folded = fold_batch_norm(architecture_of(exported.spec).build(exported.spec))
    load_weights(folded, exported.quantized.weights)
    network = fake_quantize(
        folded,
        ranges_from_json(exported.quantized.ranges.read_text("utf-8")),
        input_scale=PREPROCESS.input_scale,
        input_zero_point=PREPROCESS.input_zero_point,
        largest=arrays_from_bytes(exported.quantized.largest.read_bytes(), source="largest"),
    )
    expected = network.predict_on_batch(PREPROCESS.dequantize(pixels))
    tflite, onnx = (scores_of(open_runner(exported.artifacts[f"int8.{end}"]), pixels) for end in ("tflite", "onnx"))
    # The runtimes may round a sum near a tie to different codes (decision 0040), and untrained blocks enlarge that: it
    # was seen on 4 of the 64 images.
    is_other = np.abs(tflite - onnx).max(axis=1) > 1 / 256
    assert is_other.mean() <= (0.1 if exported.spec == V2 else 0)
    assert (tflite.argmax(axis=1) == onnx.argmax(axis=1)).mean() >= 0.95
    assert np.ptp(tflite, axis=0).max() > 0.3  # the answers depend on the image
    # Integer kernels round twice where fake quantization rounds once, and no training has taught these networks to
    # bear it.
    assert np.abs(tflite - expected).mean() < 1.5 / 256
    assert (tflite.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.85


def test_the_fp32_files_answer_as_the_network(exported, pixels):
    network = architecture_of(exported.spec).build(exported.spec)
    load_weights(network, exported.source.weights)
    expected = network.predict_on_batch(PREPROCESS.normalize(pixels))
    for ending in ("tflite", "onnx"):
        found = scores_of(open_runner(exported.artifacts[f"fp32.{ending}"]), pixels)
        np.testing.assert_allclose(found, expected, atol=1e-4)
