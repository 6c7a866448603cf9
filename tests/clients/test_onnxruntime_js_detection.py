"""onnxruntime as JavaScript runs it finds in our detectors what Python finds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clients.environments import HERE, run
from small_ssd import PREPROCESS, onnx_of, pixels

from mbexport.artifact import Precision
from mbexport.formats.detection_tail import OUTPUTS
from mbexport.formats.registry import open_runner

pytestmark = pytest.mark.client


@pytest.fixture
def detect(node_packages, tmp_path):
    """What a package finds in tensors: for each image the four outputs by name."""

    def answers(package: str, path: Path, fed: np.ndarray) -> list[dict[str, Any]]:
        images = tmp_path / "images"
        images.write_bytes(fed.tobytes())
        command = ["node", "--no-warnings", HERE / "node" / "detect.mjs", package, path, images]
        found: list[dict[str, Any]] = json.loads(run(command, is_ours=False, cwd=node_packages).splitlines()[-1])
        return found

    return answers


@pytest.mark.parametrize("package", ["onnxruntime-node", "onnxruntime-web"])
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
