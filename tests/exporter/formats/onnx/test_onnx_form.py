"""The form of an .onnx file, chosen and checked without loading anything heavy."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import OPSETS, Layout, OnnxForm, require_opset
from mbexport.errors import OptionError


def test_the_form_by_default_is_the_camera_s_layout_for_old_runtimes():
    form = OnnxForm(graph_name="mobilenet_v1")
    assert (form.layout, form.opset, dict(form.properties)) == (Layout.NHWC, 17, {})


@given(st.integers())
def test_an_opset_is_legal_exactly_from_13_to_23(opset):
    if 13 <= opset <= 23:
        assert require_opset(opset) == OnnxForm(graph_name="mobilenet_v1", opset=opset).opset == opset
    else:
        with pytest.raises(OptionError, match=f"^opset must be from 13 to 23, got {opset}$"):
            OnnxForm(graph_name="mobilenet_v1", opset=opset)
    assert (opset in OPSETS) is (13 <= opset <= 23)


def test_choosing_a_form_loads_neither_onnx_nor_tensorflow():
    heavy = "{'onnx', 'onnxruntime', 'tensorflow', 'tf2onnx'}"
    made = "import mbexport.artifact as form; form.OnnxForm(graph_name='net', opset=13)"
    code = f"import sys; {made}; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
