"""onnxruntime as JavaScript runs it reads our .onnx files and gives the answers that they give in Python."""

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from clients.environments import HERE, run
from onnx import TensorProto, helper

pytestmark = pytest.mark.client

SCRIPT = HERE / "node" / "classify.mjs"
NATIVE, WEB = "onnxruntime-node", "onnxruntime-web"


def _adds_up_exactly() -> bool:
    """Whether native kernels never saturate, so that WebAssembly can agree with them: see decision 0006."""
    about = Path("/proc/cpuinfo")
    has_vnni = about.is_file() and "vnni" in about.read_text()
    return has_vnni or platform.machine() in ("arm64", "aarch64")


EXACT_WEB = pytest.param(
    WEB, marks=pytest.mark.skipif(not _adds_up_exactly(), reason="native kernels may saturate without VNNI")
)


@pytest.fixture(scope="session")
def classified(node_packages, tmp_path_factory):
    """What a package prints of an artifact that was fed some tensors."""

    def classify(package: str, path: Path, fed: Any) -> dict[str, Any]:
        images = tmp_path_factory.mktemp("fed") / "images"
        images.write_bytes(fed.tobytes())
        command = ["node", "--no-warnings", SCRIPT, package, path, images]
        return json.loads(run(command, is_ours=False, cwd=node_packages).splitlines()[-1])

    return classify


@pytest.mark.parametrize("package", [NATIVE, WEB])
def test_two_images_one_after_the_other(classified, package, tmp_path):
    """The mean colours of 1 x 2 px by hand: (2 + 6) / 2 = 4 and so on, in the images' order."""
    ends = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 2, 3]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3]),
    ]
    means = helper.make_node("ReduceMean", ["image"], ["scores"], axes=[1, 2], keepdims=0)
    graph = helper.make_graph([means], "means", ends[:1], ends[1:])
    path = tmp_path / "means.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    fed = np.array([[2, 4, 8, 6, 4, 0], [1, 1, 1, 2, 3, 4]], np.float32)

    found = classified(package, path, fed)

    assert found["input"] == ["image", "float32", [1, 1, 2, 3]]
    assert found["scores"] == [[4, 4, 4], [1.5, 2, 2.5]]


@pytest.mark.parametrize("package", [NATIVE, EXACT_WEB])
def test_the_same_bytes_get_the_same_scores(classified, network, package):
    ours = network.answers("int8.onnx")

    found = classified(package, network.file("int8.onnx"), network.fed("int8.onnx"))

    sides = [1, *network.pixels.shape[1:]]
    assert found["input"] == ["image", "uint8", sides]
    assert found["output"] == ["scores", "uint8", [1, ours.shape[1]]]
    assert len({tuple(row) for row in found["scores"]}) > 5  # one answer to everything would prove nothing
    np.testing.assert_array_equal(np.array(found["scores"], np.uint8), ours)


@pytest.mark.parametrize("package", [NATIVE, WEB])
def test_float_scores_are_those_of_python(classified, network, package):
    found = classified(package, network.file("fp32.onnx"), network.fed("fp32.onnx"))

    assert found["input"][:2] == ["image", "float32"]
    np.testing.assert_allclose(np.array(found["scores"]), network.answers("fp32.onnx"), atol=1e-5)
