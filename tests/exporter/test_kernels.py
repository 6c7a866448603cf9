"""How many convolutions really run in integers, in files that do and in files that only look as if they did."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mbexport.errors import DataError
from mbexport.kernels import Kernels, kernels_of
from mbexport.runner import Runner
from mbexport.runtime import open_runner

CONVOLUTIONS = 28  # the stem, thirteen blocks of two, the head


def kernels_in(path: Path) -> Kernels:
    return kernels_of(open_runner(path))


@pytest.fixture
def sabotage(small_build, tmp_path) -> Callable[..., Path]:
    """Puts a multiplication between some convolutions of the int8 .onnx and the quantization behind each."""

    def insert(count: int) -> Path:
        model = onnx.load(next(small_build.glob("*_int8.onnx")))
        model.graph.initializer.append(numpy_helper.from_array(np.float32(2), "two"))
        found = [node for node in model.graph.node if node.op_type == "Conv"][:count]
        for node in found:
            (user,) = [other for other in model.graph.node if node.output[0] in other.input]
            assert user.op_type == "QuantizeLinear"
            user.input[0] = f"{node.output[0]}_twice"
            twice = helper.make_node("Mul", [node.output[0], "two"], [user.input[0]])
            model.graph.node.insert(list(model.graph.node).index(node) + 1, twice)
        onnx.checker.check_model(model, full_check=True)
        path = tmp_path / "sabotaged.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return insert


@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
@pytest.mark.parametrize(("kind", "integer", "floats"), [("int8", CONVOLUTIONS, 0), ("fp32", 0, CONVOLUTIONS)])
def test_convolutions_of_a_build(small_build, ending, kind, integer, floats):
    found = kernels_in(next(small_build.glob(f"*_{kind}{ending}")))
    assert (found.int8_convs, found.float_convs) == (integer, floats)


@pytest.mark.parametrize("count", [1, 5, CONVOLUTIONS])
def test_a_convolution_that_cannot_be_fused_counts_as_float(sabotage, count):
    found = kernels_in(sabotage(count))
    assert (found.int8_convs, found.float_convs) == (CONVOLUTIONS - count, count)


def test_a_matrix_product_counts_as_a_convolution(tmp_path):
    ends = [("image", [1, 4, 4, 3]), ("scores", [1, 5])]
    source, target = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ends)
    nodes = [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["scores"])]
    weights = numpy_helper.from_array(np.ones((48, 5), np.float32), "w")
    graph = helper.make_graph(nodes, "tiny", [source], [target], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "tiny.onnx").write_bytes(model.SerializeToString())
    found = kernels_in(tmp_path / "tiny.onnx")
    assert (found.int8_convs, found.float_convs) == (0, 1)


def test_every_op_is_listed_once_with_its_count(small_build):
    tflite, twin = (kernels_in(next(small_build.glob(f"*_int8{ending}"))) for ending in (".tflite", ".onnx"))
    assert list(tflite.ops) == sorted(dict(tflite.ops).items())
    assert dict(tflite.ops)["DEPTHWISE_CONV_2D"] == 13
    assert dict(tflite.ops)["CONV_2D"] == 15
    assert dict(tflite.ops)["SOFTMAX"] == 1
    assert dict(twin.ops)["QLinearConv"] == CONVOLUTIONS
    assert "DELEGATE" not in dict(tflite.ops)


def test_looking_leaves_no_file_behind(small_build, tmp_path):
    content = next(small_build.glob("*_int8.onnx")).read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    kernels_in(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == content


def test_an_unknown_runtime_is_refused():
    class Other(Runner):
        runtime = "other"

        def __init__(self) -> None:
            """Loads nothing."""

        def metadata(self):
            return {}

        def _invoke(self, feed):
            return feed

    with pytest.raises(DataError, match="no kernels are known for other"):
        kernels_of(Other())
