"""The .onnx file of one node around a compiled graph."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from mbexport.errors import DataError
from mbexport.formats.npu.context import binary_of, context_model, require_whole

IMAGE = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 2, 2, 3])
SCORES = helper.make_tensor_value_info("scores", TensorProto.UINT8, [1, 12])


def graph_of(*ops: str, target: onnx.ValueInfoProto = SCORES) -> onnx.GraphProto:
    nodes = [helper.make_node(op, ["image"], ["scores"]) for op in ops]
    return helper.make_graph(nodes, "net", [IMAGE], [target])


def compiled(binary: bytes = b"abc", target: onnx.ValueInfoProto = SCORES) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(context_model("net", binary, sources=[IMAGE], targets=[target]))


@given(st.binary(min_size=1, max_size=100))
def test_a_model_holds_the_graph_as_it_is(binary):
    (node,) = compiled(binary).graph.node
    assert binary_of(node) == binary
    assert (node.op_type, node.domain, node.name) == ("EPContext", "com.microsoft", "net")
    require_whole(compiled(binary).graph, like=graph_of("Conv"))


def test_its_form_is_one_that_old_runtimes_read():
    model = compiled()
    assert model.ir_version == 8
    assert {each.domain: each.version for each in model.opset_import} == {"": 17, "com.microsoft": 1}


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (graph_of("EPContext", "Softmax"), r"must take the whole graph, got EPContext, Softmax$"),
        (graph_of("Conv"), r"must take the whole graph, got Conv$"),
        (graph_of(), r"must take the whole graph, got nothing$"),
        (graph_of("EPContext"), r"gave an empty graph$"),
        (compiled(b"").graph, r"gave an empty graph$"),
        (
            compiled(target=helper.make_tensor_value_info("scores", TensorProto.UINT8, [1, 13])).graph,
            r"must keep scores \[1, 12\], got scores \[1, 13\]$",
        ),
    ],
)
def test_what_is_not_whole_is_refused(graph, reason):
    with pytest.raises(DataError, match=reason):
        require_whole(graph, like=graph_of("Conv"))
