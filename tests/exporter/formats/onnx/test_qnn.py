"""The plugin for Qualcomm's NPU, with a stand-in for it: what it is asked for, and what it takes of a graph."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from mbexport.errors import DataError
from mbexport.formats.onnx.qnn import QnnRunner, qnn_share
from mbexport.formats.registry import open_path, open_runner

QNN = "QNNExecutionProvider"


class Session:
    """onnxruntime's session on the CPU, which says that the plugin took some of its nodes."""

    def __init__(self, session: Any, pieces: list[tuple[str, list[str]]]) -> None:
        self._session, self._pieces = session, pieces

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [
            SimpleNamespace(ep_name=name, get_nodes=lambda ops=ops: [SimpleNamespace(op_type=op) for op in ops])
            for name, ops in self._pieces
        ]


@pytest.fixture
def graph(save):
    return save([("image", TensorProto.FLOAT, (1, 4, 4, 3))], [("scores", TensorProto.FLOAT, [1, 48])])


@pytest.fixture
def plugin(monkeypatch):
    """A plugin with these pieces of the graph and so many devices; gives what it was asked for."""
    asked: dict[str, Any] = {"registered": [], "devices": [], "settings": [], "entries": []}
    real = onnxruntime.InferenceSession

    def install(*pieces: tuple[str, list[str]], devices: int = 1) -> dict[str, Any]:
        known: list[Any] = []

        def register(name: str, path: str) -> None:
            asked["registered"].append((name, path))
            known.extend(SimpleNamespace(ep_name=QNN, number=number) for number in range(devices))

        def opened(path: str, options: Any, **given: Any) -> Any:
            if given:
                return real(path, options, **given)
            return Session(real(path, providers=["CPUExecutionProvider"]), list(pieces))

        def add(_options: Any, chosen: list[Any], settings: dict[str, str]) -> None:
            asked["devices"].append(chosen)
            asked["settings"].append(settings)

        package = SimpleNamespace(get_library_path=lambda: "libplugin.so", get_qnn_htp_path=lambda: "libQnnHtp.so")
        monkeypatch.setitem(sys.modules, "onnxruntime_qnn", package)
        monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: [SimpleNamespace(ep_name="CPU"), *known])
        monkeypatch.setattr(onnxruntime, "register_execution_provider_library", register)
        monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
        monkeypatch.setattr(onnxruntime, "SessionOptions", options_that(add))
        return asked

    return install


def options_that(add: Any) -> type:
    """onnxruntime's options, whose devices are taken by `add`."""

    class Options(onnxruntime.SessionOptions):
        add_provider_for_devices = add

    return Options


def test_the_plugin_is_loaded_once_and_asked_for_the_version(graph, plugin):
    asked = plugin((QNN, ["Conv"]), devices=2)
    for version in ("v75", "v81"):
        open_path(graph, f"qnn-htp:{version}")
    assert asked["registered"] == [(QNN, "libplugin.so")]
    assert [[device.number for device in devices] for devices in asked["devices"]] == [[0], [0]]
    assert asked["settings"] == [
        {"backend_path": "libQnnHtp.so", "htp_arch": "75"},
        {"backend_path": "libQnnHtp.so", "htp_arch": "81"},
    ]


def test_share_by_hand(graph, plugin):
    plugin((QNN, ["Conv", "Clip", "Conv"]), ("CPU", ["Reshape"]), (QNN, ["Gemm"]), ("CPU", ["Softmax", "Reshape"]))
    runner = open_path(graph, "qnn-htp:v73")
    share = qnn_share(runner)
    assert (share.taken, share.total, share.partitions) == (4, 7, 2)
    assert (share.left, share.executor) == ((("Reshape", 2), ("Softmax", 1)), "the CPU")
    assert share.device.startswith("Hexagon v73")
    np.testing.assert_array_equal(
        runner.invoke(np.zeros((1, 4, 4, 3), np.float32))[0],
        open_runner(graph).invoke(np.zeros((1, 4, 4, 3), np.float32))[0],
    )


def test_a_whole_graph_leaves_nothing(graph, plugin):
    plugin((QNN, ["Conv", "Softmax"]))
    share = qnn_share(open_path(graph, "qnn-htp"))
    assert (share.taken, share.total, share.partitions, share.left) == (2, 2, 1, ())


def test_a_plugin_without_a_device_is_one_line(graph, plugin):
    plugin(devices=0)
    with pytest.raises(DataError, match="offers no device on this machine"):
        QnnRunner(graph, hexagon="v75")


def test_what_cannot_be_compiled_is_one_line(graph, plugin, monkeypatch):
    plugin()

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Failed to finalize QNN graph.\nand more")

    monkeypatch.setattr("mbexport.formats.onnx.runner.cuts_sums", lambda: False)  # it opens a session, too
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(DataError, match=r"cannot be compiled for the NPU: Failed to finalize QNN graph\.$"):
        QnnRunner(graph, hexagon="v75")


def test_another_runner_has_no_share_of_the_npu(graph):
    with pytest.raises(DataError, match="must be opened through QNN"):
        qnn_share(open_runner(graph))
