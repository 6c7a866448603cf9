"""Run .onnx files on Qualcomm's Hexagon NPU: through onnxruntime's plugin, whose backend emulates it on x86."""

import platform
from pathlib import Path
from threading import Lock
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.formats.kernel_path import Share, counted
from mbexport.formats.onnx.runner import OnnxRunner
from mbexport.formats.runner import Runner, first_line

_PROVIDER: Final = "QNNExecutionProvider"
# onnxruntime_session_options_config_keys.h: kOrtSessionOptionsRecordEpGraphAssignmentInfo, since version 1.24.
_RECORD_ASSIGNMENT: Final = "session.record_ep_graph_assignment_info"
_registering: Final = Lock()


class QnnRunner(OnnxRunner):
    """An .onnx file whose nodes the NPU of version `hexagon` executes, as `v75`; onnxruntime's CPU executes others."""

    runtime = "onnxruntime, QNN"

    def __init__(self, path: Path, *, threads: int = 1, hexagon: str) -> None:
        self.hexagon = hexagon
        super().__init__(path, threads=threads)

    def _opened(self, path: Path, options: Any) -> Any:
        import onnxruntime
        import onnxruntime_qnn

        options.add_session_config_entry(_RECORD_ASSIGNMENT, "1")
        settings = {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), "htp_arch": self.hexagon.removeprefix("v")}
        options.add_provider_for_devices([npu_device()], settings)
        try:
            return onnxruntime.InferenceSession(str(path), options)
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{path} cannot be compiled for the NPU: {first_line(error)}") from None

    def assignment(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Each piece of the graph: the provider that executes it, and the names of its ops."""
        pieces = self._session.get_provider_graph_assignment_info()
        return tuple((piece.ep_name, tuple(node.op_type for node in piece.get_nodes())) for piece in pieces)


def npu_device() -> Any:
    """The plugin's device; the plugin is loaded once. Raises `DataError` where it offers none."""
    import onnxruntime
    import onnxruntime_qnn

    with _registering:
        found = _devices(onnxruntime)
        if not found:
            onnxruntime.register_execution_provider_library(_PROVIDER, onnxruntime_qnn.get_library_path())
            found = _devices(onnxruntime)
    if not found:
        raise DataError("onnxruntime-qnn is installed, but offers no device on this machine")
    return found[0]


def _devices(onnxruntime: Any) -> list[Any]:
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == _PROVIDER]


def qnn_share(runner: Runner) -> Share:
    """The nodes that the NPU takes. Raises `DataError` for a runner of another path."""
    if not isinstance(runner, QnnRunner):
        raise DataError(f"{runner.path} must be opened through QNN, got {runner.runtime}")
    pieces = runner.assignment()
    own = [ops for provider, ops in pieces if provider == _PROVIDER]
    left = [op for provider, ops in pieces if provider != _PROVIDER for op in ops]
    taken = sum(map(len, own))
    simulated = platform.machine().lower() in ("x86_64", "amd64")
    return Share(
        taken=taken,
        total=taken + len(left),
        partitions=len(own),
        left=counted(left),
        device=f"Hexagon {runner.hexagon}{', simulated' if simulated else ''}",
    )
