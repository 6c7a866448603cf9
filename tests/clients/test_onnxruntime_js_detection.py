"""onnxruntime as JavaScript runs it finds in our detectors what Python finds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clients.environments import HERE, run
from clients.same_objects import require_same_objects
from small_ssd import PREPROCESS, onnx_of, pixels

from mbexport.artifact import Precision
from mbexport.formats.detection_tail import OUTPUTS
from mbexport.formats.registry import open_runner
from mbexport.models.detection.boxes import Detections

pytestmark = pytest.mark.client


NATIVE, WEB, BROWSER = "onnxruntime-node", "onnxruntime-web", "onnxruntime-web in a browser"


@pytest.fixture
def detect(node_packages, tmp_path, request):
    """What a package finds in tensors: for each image the four outputs by name."""

    def answers(package: str, path: Path, fed: np.ndarray) -> list[dict[str, Any]]:
        images = tmp_path / "images"
        images.write_bytes(fed.tobytes())
        script = ["detect.mjs", package]
        if package == BROWSER:
            script = ["detect_in_browser.mjs", request.getfixturevalue("browser")]
        command = ["node", "--no-warnings", HERE / "node" / script[0], script[1], path, images]
        found: list[dict[str, Any]] = json.loads(run(command, is_ours=False, cwd=node_packages).splitlines()[-1])
        return found

    return answers


@pytest.mark.parametrize("package", [NATIVE, WEB, BROWSER])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_the_same_images_have_the_same_objects(detect, package, precision, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_of(precision))
    runner = open_runner(path)
    fed = runner.prepare(pixels(), PREPROCESS)

    found = detect(package, path, fed)

    within = 1e-5 if precision is Precision.FP32 else 1e-6
    total = 0
    for image, answer in zip(fed, found, strict=True):
        assert list(answer) == list(OUTPUTS)
        location, category, score, number = runner.invoke(image[None])
        assert answer["number of detections"] == number.tolist()
        assert answer["category"] == category[0].tolist()
        assert answer["score"] == pytest.approx(score[0].tolist(), abs=within)
        assert answer["location"] == pytest.approx(location.reshape(-1).tolist(), abs=within)
        total += int(number[0])
    assert total > 50


@pytest.mark.parametrize("package", [NATIVE, BROWSER])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_a_trained_detector_finds_the_same_in_photos(detect, detector_network, package, precision):
    subject = detector_network.subject(f"{precision.value}.onnx")
    ours = subject.detections(detector_network.pixels)

    found = detect(package, subject.runner.path, subject.feeds(detector_network.pixels))

    assert sum(map(len, ours)) >= 10 * len(ours)
    for own, answer in zip(ours, found, strict=True):
        count = int(answer["number of detections"][0])
        location = np.reshape(answer["location"], (-1, 4))[:count]
        theirs = Detections.of(location, answer["category"][:count], answer["score"][:count])
        require_same_objects(own, theirs, scores=1e-5, corners=1e-4)
