"""What is checked of an .onnx file before onnxruntime sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mbexport.errors import DataError
from mbexport.formats.onnx.structure import require_sound


def model() -> Any:
    """A network that adds a constant to an image."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 2, 2, 3))
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 2, 2, 3))
    weights = numpy_helper.from_array(np.ones(3, np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "weights"], ["scores"])], "g", [image], [scores], [weights]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    made.metadata_props.add(key="name", value="by hand")
    return made


def stored(path: Path, change: Callable[[Any], object] = lambda _: None) -> Path:
    made = model()
    change(made)
    path.write_bytes(made.SerializeToString())
    return path


def other_file(tensor: Any) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def nested(made: Any) -> None:
    """The weights, kept elsewhere, in the branch of an If."""
    constant = helper.make_node("Constant", [], ["c"], value=made.graph.initializer[0])
    other_file(constant.attribute[0].t)
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, (3,))])
    made.graph.node.append(helper.make_node("If", ["image"], ["x"], then_branch=branch, else_branch=branch))


FAULTS: list[tuple[Callable[[Any], object], str]] = [
    (lambda made: other_file(made.graph.initializer[0]), r"it keeps weights in another file \(weights.bin\): store it"),
    (nested, r"it keeps weights in another file \(weights.bin\)"),
    (lambda made: made.graph.initializer[0].dims.append(-5), "the shape of weights must have no negative side"),
    (lambda made: made.graph.initializer[0].dims.append(1 << 40), "weights must have at most 268435456 elements"),
    (lambda made: made.graph.ClearField("node"), "it must hold a network, got none"),
    (lambda made: made.graph.ClearField("output"), "it must hold a network, got none"),
]


def test_a_file_by_hand_is_sound(tmp_path: Path) -> None:
    require_sound(stored(tmp_path / "m.onnx"))


@pytest.mark.parametrize(("change", "said"), FAULTS, ids=[said[:30] for _, said in FAULTS])
def test_a_fault_is_one_line(tmp_path: Path, change: Callable[[Any], object], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        require_sound(stored(tmp_path / "m.onnx", change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"by hand", b"image", b"weights", b"Add"])
def test_text_that_is_not_utf8_is_refused(tmp_path: Path, text: bytes) -> None:
    content = stored(tmp_path / "m.onnx").read_bytes()
    assert text in content
    (tmp_path / "m.onnx").write_bytes(content.replace(text, b"\xff" + text[1:]))
    with pytest.raises(DataError, match=r"UTF-8|damaged"):
        require_sound(tmp_path / "m.onnx")


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xff", b"no network", b"PK\x03\x04"):
        (tmp_path / "m.onnx").write_bytes(content)
        with pytest.raises(DataError) as caught:
            require_sound(tmp_path / "m.onnx")
        assert "\n" not in str(caught.value)


def line_of(path: Path) -> str:
    """Why the file is refused; empty if it is not."""
    try:
        require_sound(path)
    except DataError as error:
        return str(error)
    return ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(model().SerializeToString()) - 1), st.integers(0, 255))
def test_any_byte_may_be_another(tmp_path: Path, at: int, byte: int) -> None:
    content = bytearray(model().SerializeToString())
    content[at] = byte
    (tmp_path / "m.onnx").write_bytes(content)
    assert "\n" not in line_of(tmp_path / "m.onnx")


def test_onnx_itself_writes_such_files(tmp_path: Path) -> None:
    """The sentence on what to do is true: a file of two becomes one."""
    made = model()
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((64, 64, 3), np.float32), "weights"))
    onnx.save_model(made, tmp_path / "two.onnx", save_as_external_data=True, location="weights.bin")
    with pytest.raises(DataError, match=r"weights\.bin"):
        require_sound(tmp_path / "two.onnx")
    onnx.save_model(onnx.load(tmp_path / "two.onnx"), tmp_path / "one.onnx", save_as_external_data=False)
    require_sound(tmp_path / "one.onnx")
