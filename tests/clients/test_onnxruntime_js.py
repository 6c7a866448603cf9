"""onnxruntime as JavaScript runs it reads our .onnx files and gives the answers that they give in Python."""

import json
from typing import Any

import numpy as np
import pytest
from clients.environments import HERE, run

pytestmark = pytest.mark.client

SCRIPT = HERE / "node" / "classify.mjs"
NATIVE, WEB = "onnxruntime-node", "onnxruntime-web"


@pytest.fixture(scope="session")
def classified(node_packages, tmp_path_factory):
    """What a package prints of an artifact that was fed a network's images as they are."""

    def classify(package: str, network: Any, kind: str) -> dict[str, Any]:
        fed = tmp_path_factory.mktemp("fed") / "images"
        fed.write_bytes(network.fed(kind).tobytes())
        command = ["node", "--no-warnings", SCRIPT, package, network.file(kind), fed]
        return json.loads(run(command, is_ours=False, cwd=node_packages).splitlines()[-1])

    return classify


@pytest.mark.parametrize("package", [NATIVE, WEB])
def test_the_same_bytes_get_the_same_scores(classified, network, package):
    ours = network.answers("int8.onnx")

    found = classified(package, network, "int8.onnx")

    sides = [1, *network.pixels.shape[1:]]
    assert found["input"] == ["image", "uint8", sides]
    assert found["output"] == ["scores", "uint8", [1, ours.shape[1]]]
    assert len({tuple(row) for row in found["scores"]}) > 5  # one answer to everything would prove nothing
    np.testing.assert_array_equal(np.array(found["scores"], np.uint8), ours)


@pytest.mark.parametrize("package", [NATIVE, WEB])
def test_float_scores_are_those_of_python(classified, network, package):
    found = classified(package, network, "fp32.onnx")

    assert found["input"][:2] == ["image", "float32"]
    np.testing.assert_allclose(np.array(found["scores"]), network.answers("fp32.onnx"), atol=1e-5)
