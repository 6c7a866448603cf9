"""The ops of a file as lists are asked about them: names, types, sizes, and where each input comes from."""

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tflite_by_hand import model_of, op_of, tensor_of, tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.delegates.onnx_ops import onnx_ops
from mbexport.formats.delegates.op import Op, Source
from mbexport.formats.delegates.tflite_ops import tflite_ops
from mbexport.formats.tflite.file import packed

C, Q, X = Source.CONSTANT, Source.CODES, Source.COMPUTED
AFFINE = Affine(scale=(1 / 256,), zero_point=(0,))


def test_each_op_of_a_tflite_file_is_read(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_of("float32", codes="int8", affine=AFFINE))
    image, scores = (1, 2, 2, 3), (1, 12)
    assert tflite_ops(path) == [
        Op(name="QUANTIZE", types=("float32", "int8"), shapes=(image, image), inputs=(X,)),
        Op(name="RESHAPE", types=("int8", "int8"), shapes=(image, scores), inputs=(X, C)),
        Op(name="DEQUANTIZE", types=("int8", "float32"), shapes=(scores, scores), inputs=(X,)),
    ]


@pytest.fixture
def mean_behind_stored(tmp_path):
    """A float16 constant that becomes floats, added to the image of any batch, a MEAN, and a custom op."""
    tensors = [
        tensor_of("image", "float32", (1, 2, 2, 4)),
        tensor_of("stored", "float16", (4,), buffer=1),
        tensor_of("floats", "float32", (4,)),
        tensor_of("sum", "float32", (1, 2, 2, 4)),
        tensor_of("axes", "int32", (2,), buffer=2),
        tensor_of("mean", "float32", (1, 4)),
        tensor_of("boxes", "float32", (1, 4)),
    ]
    tensors[0].shapeSignature = np.array([-1, 2, 2, 4], np.int32)
    ops = [op_of(place, source, target) for place, (source, target) in enumerate([(1, 2), (0, 3), (3, 5), (5, 6)])]
    ops[1].inputs, ops[2].inputs = np.array([0, 2, -1], np.int32), np.array([3, 4], np.int32)
    ops[1].builtinOptionsType, ops[1].builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    ops[1].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, ops
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([6], np.int32)
    contents = [None, np.zeros(4, np.float16).tobytes(), np.array([1, 2], np.int32).tobytes()]
    model = model_of(graph, ["DEQUANTIZE", "ADD", "MEAN", "CUSTOM"], contents)
    model.operatorCodes[3].customCode = b"TFLite_Detection_PostProcess"
    path = tmp_path / "net.tflite"
    path.write_bytes(packed(model))
    return path


def test_stored_weights_axes_activations_and_custom_ops_are_told(mean_behind_stored):
    stored, added, mean, boxes = tflite_ops(mean_behind_stored)
    assert (stored.name, stored.inputs) == ("DEQUANTIZE", (C,))
    assert (added.inputs, added.is_fused, added.shapes[0]) == ((X, Q), True, (None, 2, 2, 4))
    assert (mean.axes, mean.is_fused) == ((1, 2), False)
    assert (boxes.name, boxes.is_custom) == ("TFLite_Detection_PostProcess", True)


def onnx_file(path, batch=1):
    """uint8 codes of `batch` images, a convolution between them and floats, and an op of another domain."""
    nodes = [
        helper.make_node("Constant", [], ["scale"], value=numpy_helper.from_array(np.float32(0.5))),
        helper.make_node("DequantizeLinear", ["image", "scale"], ["x"]),
        helper.make_node("DequantizeLinear", ["codes", "scale"], ["weight"]),
        helper.make_node("Conv", ["x", "weight", "bias"], ["y"]),
        helper.make_node("QuickGelu", ["y"], ["scores"], domain="com.microsoft"),
    ]
    stored = [
        numpy_helper.from_array(np.zeros((2, 3, 1, 1), np.int8), "codes"),
        numpy_helper.from_array(np.zeros(2, np.float32), "bias"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, 3, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 2, 4, 4])],
        stored,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(path))
    return path


def test_each_op_of_an_onnx_file_is_read_and_constants_are_none(tmp_path):
    image, scores = (1, 3, 4, 4), (1, 2, 4, 4)
    floats = ("float32", "float32")
    assert onnx_ops(onnx_file(tmp_path / "net.onnx")) == [
        Op(name="DequantizeLinear", types=("uint8", "float32"), shapes=(image, image), inputs=(X, C)),
        Op(name="DequantizeLinear", types=(), shapes=(), inputs=(C, C)),
        Op(name="Conv", types=floats, shapes=(image, scores), inputs=(X, Q, C)),
        Op(name="com.microsoft:QuickGelu", types=floats, shapes=(scores, scores), inputs=(X,)),
    ]


def test_an_op_of_a_domain_without_a_version_is_one_line(tmp_path):
    model = onnx.load(onnx_file(tmp_path / "net.onnx"))
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    (tmp_path / "damaged.onnx").write_bytes(model.SerializeToString())
    line = r"damaged\.onnx: the types of its tensors cannot be told: .*No opset import"
    with pytest.raises(DataError, match=line) as found:
        onnx_ops(tmp_path / "damaged.onnx")
    assert "\n" not in str(found.value)


@given(st.one_of(st.just("n"), st.integers(1, 64)))
def test_a_batch_is_fixed_unless_it_has_a_name(tmp_path_factory, batch):
    path = onnx_file(tmp_path_factory.mktemp("net") / "net.onnx", batch)
    assert {op.shapes[0][0] for op in onnx_ops(path) if op.shapes} == {None if batch == "n" else batch}
