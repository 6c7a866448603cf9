"""What the tests of passes share: graphs of a few nodes, written in one line, and their numbers."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

Edge = tuple[str, int, Sequence[int | str]]
SHORT = {"Q": "QuantizeLinear", "DQ": "DequantizeLinear"}


class Tiny:
    """Makes graphs of a few nodes, runs them and looks into them."""

    @staticmethod
    def graph(steps: str, source: Edge, target: Edge, **constants: object) -> onnx.ModelProto:
        """A valid model of `steps`, "Op inputs -> output; ..."; constants are numpy values, or floats for float32.

        `Transpose:0312` is a Transpose with these axes, `Concat:1` a Concat along that one.
        """
        nodes = []
        for step in steps.split(";"):
            kind, *inputs, _, output = step.split()
            kind, _, axes = kind.partition(":")
            turn = {"axis": int(axes)} if kind == "Concat" else {"perm": [int(axis) for axis in axes]}
            nodes.append(helper.make_node(SHORT.get(kind, kind), inputs, [output], **(turn if axes else {})))
        tensors = [
            numpy_helper.from_array(np.asarray(value, None if hasattr(value, "dtype") else np.float32), name)
            for name, value in constants.items()
        ]
        ends = [[helper.make_tensor_value_info(*edge)] for edge in (source, target)]
        model = helper.make_model(
            helper.make_graph(nodes, "tiny", *ends, tensors), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    @staticmethod
    def run(model: onnx.ModelProto, feed: np.ndarray) -> np.ndarray:
        """The output, computed node by node, so that onnxruntime's rewriting of graphs does not hide ours."""
        onnx.checker.check_model(model, full_check=True)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, {model.graph.input[0].name: feed})[0]

    @staticmethod
    def kinds(model: onnx.ModelProto) -> list[str]:
        return [node.op_type for node in model.graph.node]

    @staticmethod
    def ends(model: onnx.ModelProto) -> list[list[int | str]]:
        """The sizes of the input and of the output; open ones by name."""
        ends = [*model.graph.input, *model.graph.output]
        return [[size.dim_param or size.dim_value for size in end.type.tensor_type.shape.dim] for end in ends]

    @staticmethod
    def constants_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
        return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    @staticmethod
    def code_types(model: onnx.ModelProto) -> dict[str, str]:
        """The type of codes that each Q makes and each DQ reads, by the name of its output."""
        values = Tiny.constants_of(model)
        return {node.output[0]: values[node.input[2]].dtype.name for node in model.graph.node if len(node.input) == 3}


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny
