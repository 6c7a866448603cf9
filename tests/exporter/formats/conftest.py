"""What tests of the runtimes share: graphs made by hand."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

Edge = tuple[str, int, Sequence[int | str]]


@pytest.fixture
def save(tmp_path) -> Callable[..., Path]:
    """Writes a graph whose outputs are constants of the right shape, or what `steps` compute, and gives its path.

    `attributes` are those of each kind of step; `has_nodes` writes constants as nodes.
    """

    def write(
        sources: Sequence[Edge],
        targets: Sequence[Edge],
        steps: str = "",
        *,
        properties: Mapping[str, str] = MappingProxyType({}),
        attributes: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
        has_nodes: bool = False,
        **constants: object,
    ) -> Path:
        nodes = []
        for step in filter(None, steps.split(";")):
            kind, *inputs, _, output = step.split()
            nodes.append(helper.make_node(kind, inputs, [output], **attributes.get(kind, {})))
        made = {node.output[0] for node in nodes}
        for name, kind, shape in targets:
            if name not in made:
                value = np.zeros([size if isinstance(size, int) else 1 for size in shape])
                stored = numpy_helper.from_array(value.astype(helper.tensor_dtype_to_np_dtype(kind)))
                nodes.append(helper.make_node("Constant", [], [name], value=stored))
        ends = [[helper.make_tensor_value_info(*edge) for edge in edges] for edges in (sources, targets)]
        tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
        if has_nodes:
            nodes = [*(helper.make_node("Constant", [], [each.name], value=each) for each in tensors), *nodes]
            tensors = []
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(helper.make_graph(nodes, "tiny", *ends, tensors), opset_imports=[opset], ir_version=8)
        helper.set_model_props(model, dict(properties))
        onnx.checker.check_model(model, full_check=True)
        path = tmp_path / "tiny.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write
