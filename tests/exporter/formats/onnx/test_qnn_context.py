"""Compiled .onnx files as they are shipped, and the plugin that compiles them, with a stand-in for it."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from mbexport.errors import DataError
from mbexport.formats.npu.chips import CHIPS
from mbexport.formats.npu.context import context_model
from mbexport.formats.onnx.qnn_context import compile_context, shipped

ENDS = [("image", TensorProto.FLOAT, (1, 4, 4, 3))], [("scores", TensorProto.FLOAT, [1, 48])]


@pytest.fixture
def source(save):
    return save(*ENDS)


def context_of(source: Path, binary: bytes = b"abc") -> onnx.ModelProto:
    graph = onnx.load(str(source)).graph
    made = onnx.ModelProto.FromString(context_model("g", binary, sources=graph.input, targets=graph.output))
    made.ir_version = 14
    made.opset_import.append(helper.make_opsetid("com.ms.internal.nhwc", 17))
    helper.set_model_props(made, {"name": "net", "external_dependencies": "", "ep_compatibility_info": "75"})
    return made


@pytest.fixture
def plugin(monkeypatch):
    """A plugin that writes this model; gives the options of the session."""
    asked: dict[str, Any] = {}

    def install(model: onnx.ModelProto | None) -> dict[str, Any]:
        def opened(content: bytes, options: Any) -> None:
            asked["source"] = content
            if model is not None:
                Path(options.get_session_config_entry("ep.context_file_path")).write_bytes(model.SerializeToString())

        def add(_options: Any, _devices: Any, settings: dict[str, str]) -> None:
            asked["settings"] = settings

        class Options(onnxruntime.SessionOptions):
            add_provider_for_devices = add

        package = SimpleNamespace(get_qnn_htp_path=lambda: "htp.so", get_library_path=lambda: "plugin.so")
        device = SimpleNamespace(ep_name="QNNExecutionProvider")
        monkeypatch.setitem(sys.modules, "onnxruntime_qnn", package)
        monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: [device])
        monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
        monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
        monkeypatch.setattr("mbexport.formats.onnx.runner.cuts_sums", lambda: False)
        return asked

    return install


def test_the_plugin_is_asked_for_the_chip(plugin, source, tmp_path):
    asked = plugin(context_of(source))
    content = compile_context(source, CHIPS[3], tmp_path)
    assert asked["settings"] == {"backend_path": "htp.so", "htp_arch": "75", "soc_model": "57"}
    assert asked["source"] == source.read_bytes()
    assert content == shipped(context_of(source), onnx.load(str(source)))


def test_a_compiler_that_writes_nothing_is_an_error(plugin, source, tmp_path):
    plugin(None)
    with pytest.raises(DataError, match=r"^the compiler gave no file$"):
        compile_context(source, CHIPS[3], tmp_path)


def test_an_empty_graph_is_an_error(plugin, source, tmp_path):
    plugin(context_of(source, b""))
    with pytest.raises(DataError, match=r"^the compiler gave an empty graph$"):
        compile_context(source, CHIPS[3], tmp_path)


def test_what_is_shipped_is_of_the_version_of_its_source(source):
    like = onnx.load(str(source))
    model = onnx.ModelProto.FromString(shipped(context_of(source), like))
    assert model.ir_version == like.ir_version
    opsets = {each.domain: each.version for each in model.opset_import}
    assert opsets == {**{each.domain: each.version for each in like.opset_import}, "com.microsoft": 1}
    assert [(each.key, each.value) for each in model.metadata_props] == [
        ("ep_compatibility_info", "75"),
        ("name", "net"),
    ]
