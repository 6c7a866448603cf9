"""How many convolutions really run in integers, in files that do and in files that only look as if they did."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from mbexport.cli import run
from mbexport.errors import DataError
from mbexport.formats.kernels import BUILTIN, Arithmetic, Kernels, arithmetic_of
from mbexport.formats.registry import kernels_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.tflite.kernels import delegated
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import judge

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


def test_26_of_28_fail_the_gate(sabotage, entry, found):
    kernels = kernels_in(sabotage(2))
    made = entry("m_int8.onnx", int8_convs=kernels.int8_convs, float_convs=kernels.float_convs)
    values = gate_values(found(made))
    assert [each.value for each in values["int8_convs"]] == [26 / 28]
    (gate,) = judge({"int8_convs": values["int8_convs"]}, {}, defaults={})
    assert not gate.passed


def test_the_delegate_takes_all_but_softmax_and_the_edges(small_build):
    path = next(small_build.glob("*_int8.tflite"))
    found = kernels_in(path)
    others = [(row.op, row.count) for row in found.rows if row.executor == BUILTIN]
    assert others == [("QUANTIZE", 1), ("QUANTIZE", 1), ("SOFTMAX", 1)]
    assert (found.delegated_ops, found.other_ops, found.partitions) == (29, 3, 1)  # 28 convolutions and a Reshape
    # What the delegate keeps to itself has no memory in LiteRT; what it gives, and what others make, has.
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    ops = interpreter._get_ops_details()
    given = {int(tensor) for op in ops if op["op_name"] == "DELEGATE" for tensor in op["outputs"]}
    inside = delegated(ops)
    for place, op in enumerate(ops):
        if place in inside and int(op["outputs"][0]) not in given:
            with pytest.raises(ValueError, match="Tensor data is null"):
                interpreter.get_tensor(op["outputs"][0])
        else:
            assert interpreter.get_tensor(op["outputs"][0]).size
    assert len(inside) == 29


@st.composite
def partitioned(draw) -> tuple[list[dict[str, Any]], frozenset[int]]:
    """A list of ops as LiteRT keeps it, op k making tensor k + 1 of earlier ones, and the ops that delegates took.

    Each partition is a stretch of ops and gives what others, or nobody, use; one without any use by others ends it.
    """
    count = draw(st.integers(1, 10))
    reads = [draw(st.sets(st.integers(0, place), min_size=1, max_size=3)) | {place} for place in range(count)]
    cuts = sorted(draw(st.sets(st.integers(0, count), max_size=4)))
    stretches = [range(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=False)]
    ops = [
        {"op_name": "ADD", "inputs": np.array(sorted(reads[place])), "outputs": np.array([place + 1])}
        for place in range(count)
    ]
    for stretch in stretches:
        made = {place + 1 for place in stretch}
        read = set().union(*(reads[place] for place in stretch)) - made
        outside = set().union(*(reads[place] for place in range(count) if place not in stretch), {count})
        gives = np.array(sorted(made & outside))
        ops.append({"op_name": "DELEGATE", "inputs": np.array(sorted(read)), "outputs": gives})
    return ops, frozenset(place for stretch in stretches for place in stretch)


@given(partitioned())
def test_what_a_delegate_took_is_what_lies_between_its_ends(case):
    ops, taken = case
    assert delegated(ops) == taken


@pytest.mark.parametrize(
    ("op", "inputs", "result", "expected"),
    [
        ("QLinearConv", ("uint8", "float32", "uint8"), "uint8", Arithmetic.INTEGER),
        ("MatMulIntegerToFloat", ("uint8", "float32"), "float32", Arithmetic.INTEGER),
        ("Conv", ("float32", "float32"), "float32", Arithmetic.FLOAT),
        ("Conv", ("float16", "float16"), "float16", Arithmetic.FLOAT),
        ("DynamicQuantizeMatMul", ("float32", "float32"), "float32", Arithmetic.HYBRID),
        ("CONV_2D", ("float32", "int8", "float32"), "float32", Arithmetic.HYBRID),
        ("CONV_2D", ("int16", "int8", "int64"), "int16", Arithmetic.INTEGER),
        ("QUANTIZE", ("uint8",), "int8", Arithmetic.INTEGER),
        ("QuantizeLinear", ("float32", "float32", "uint8"), "uint8", Arithmetic.CONVERSION),
        ("DEQUANTIZE", ("int8",), "float32", Arithmetic.CONVERSION),
        ("RESHAPE", ("float32", "int32"), "float32", Arithmetic.FLOAT),
        ("Constant", (), "float32", Arithmetic.FLOAT),
    ],
)
def test_arithmetic_by_types(op, inputs, result, expected):
    assert arithmetic_of(op, inputs=inputs, result=result) is expected


@pytest.mark.parametrize(("ending", "executor"), [(".tflite", "xnnpack"), (".onnx", "CPUExecutionProvider")])
def test_inspect_prints_a_line_for_each_op(small_build, capfd, ending, executor):
    path = next(small_build.glob(f"*_int8{ending}"))
    assert run(["inspect", str(path), "--kernels", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert run(["inspect", str(path), "--kernels"]) == 0
    title, names, *lines, last = capfd.readouterr().out.splitlines()
    assert title.startswith(path.name)
    assert names.split() == ["op", "count", "arithmetic", "executor", "inputs"]
    assert [line.split()[:4] for line in lines] == [
        [row["op"], str(row["count"]), row["arithmetic"], row["executor"]] for row in facts["rows"]
    ]
    assert last.startswith("28 of 28 convolutions in integers; ")
    assert executor in {row["executor"] for row in facts["rows"]}
    assert facts["kernels"]["int8_convs"] == sum(row["count"] for row in facts["rows"] if "CONV" in row["op"].upper())


def test_inspect_prints_one_table_at_a_time(small_build, capfd):
    path = next(small_build.glob("*_int8.onnx"))
    assert run(["inspect", str(path), "--kernels", "--sensitivity"]) == 2
    assert "--kernels and --sensitivity are tables of their own; give one, got 2" in capfd.readouterr().err


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


def test_an_unknown_runtime_is_refused(tmp_path):
    class Other(Runner):
        runtime = "other"

        def __init__(self) -> None:
            self.path = tmp_path / "net.other"
            self.path.write_bytes(b"other")

        def metadata(self):
            return {}

        def _invoke(self, feed):
            return feed

    with pytest.raises(DataError, match=r"an artifact must end in .*, got .*net\.other"):
        kernels_of(Other())
