"""netron, the viewer that people look at networks with, reads our files: with its page's modules, and in a browser."""

import collections
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clients.environments import HERE, ROOT, run

from mbexport.formats.tflite.runner import TfliteRunner

pytestmark = pytest.mark.client

# Published architecture, table 1 of arXiv 1704.04861: the stem, 13 blocks of a depthwise and a pointwise convolution,
# and the head, which is a convolution of 1 x 1 here.
POINTWISE, DEPTHWISE = 15, 13

PICTURES = ROOT / "build" / "tests" / "netron"  # where people can look at what was seen


@pytest.fixture(scope="session")
def netron(client_python, tmp_path_factory) -> Path:
    """The folder of netron's modules, as node takes them."""
    found = run([client_python("netron"), "-c", "import netron; print(netron.__file__)"], is_ours=False)
    folder = tmp_path_factory.mktemp("netron") / "modules"
    shutil.copytree(Path(found.strip()).parent, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture(scope="session")
def read_by_netron(netron):
    """What netron's modules read of a file."""
    if shutil.which("node") is None:
        pytest.skip("node is missing")
    return lambda path: json.loads(run(["node", HERE / "node" / "netron.mjs", netron, path], is_ours=False))


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("int8", "uint8")])
def test_netron_reads_the_onnx_file(read_by_netron, network, precision, dtype):
    found = read_by_netron(network.file(f"{precision}.onnx"))
    sides = ",".join(str(side) for side in network.pixels.shape[1:])
    classes = network.answers(f"{precision}.onnx").shape[1]

    labels = (network.folder / "labels.txt").read_text("utf-8").splitlines()
    assert found["format"] == "ONNX v8"
    assert json.loads(found["metadata"]["labels"]) == labels
    assert found["inputs"] == [["image", f"{dtype}[1,{sides}]"]]
    assert found["outputs"] == [["scores", f"{dtype}[1,{classes}]"]]
    assert collections.Counter(found["nodes"])["Conv"] == POINTWISE + DEPTHWISE


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("int8", "uint8")])
def test_netron_reads_the_tflite_file(read_by_netron, network, precision, dtype):
    path = network.file(f"{precision}.tflite")
    found = read_by_netron(path)
    sides = ",".join(str(side) for side in network.pixels.shape[1:])
    kinds = collections.Counter(found["nodes"])

    assert found["format"] == "TensorFlow Lite v3"
    assert found["inputs"] == [["image", f"{dtype}[1,{sides}]"]]
    assert found["outputs"] == [["scores", f"{dtype}[1,{network.answers(f'{precision}.tflite').shape[1]}]"]]
    assert (kinds["Conv2D"], kinds["DepthwiseConv2D"]) == (POINTWISE, DEPTHWISE)
    ops = [op["op_name"] for op in TfliteRunner(path).op_details() if op["op_name"] != "DELEGATE"]
    assert [kind.lower() for kind in found["nodes"]] == [name.replace("_", "").lower() for name in ops]


@contextmanager
def _served(python: Path, path: Path) -> Iterator[str]:
    """The address at which netron's server shows a file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = f"import netron; netron.serve({str(path)!r}, None, ('127.0.0.1', {port}), browse=False); netron.wait()"
    server = subprocess.Popen([python, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("kind", ["int8.onnx", "int8.tflite"])
def test_netron_shows_the_network(browser, client_python, node_packages, network, kind):
    path = network.file(kind)
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES / f"{path.name}.png"

    with _served(client_python("netron"), path) as url:
        command = ["node", HERE / "node" / "page.mjs", url, browser, picture]
        seen = json.loads(run(command, is_ours=False, cwd=node_packages))

    sides = ",".join(str(side) for side in network.pixels.shape[1:])
    convs = [box for box in seen["boxes"] if box.startswith(("Conv", "DepthwiseConv"))]
    assert (seen["page"], seen["message"]) == ("default", "")
    assert seen["boxes"][0] == f"imageuint8[1,{sides}]"
    assert seen["boxes"][-1] == f"scoresuint8[1,{network.answers(kind).shape[1]}]"
    assert len(convs) == POINTWISE + DEPTHWISE
    assert seen["lines"] >= len(convs)
    assert picture.read_bytes().startswith(b"\x89PNG")
