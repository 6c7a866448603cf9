"""Compile .onnx files for Qualcomm's NPU ahead of time, by onnxruntime's plugin."""

from pathlib import Path
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.formats.npu.chips import Chip
from mbexport.formats.npu.context import DOMAIN, require_whole
from mbexport.formats.runner import first_line

# onnxruntime_session_options_config_keys.h: kOrtSessionOptionEpContext*, kOrtSessionOptionsDisableCPUEPFallback.
_ENTRIES: Final = {
    "ep.context_enable": "1",
    "ep.context_embed_mode": "1",  # into the file, which is then one
    "session.disable_cpu_ep_fallback": "1",  # an op that the NPU does not take is an error
}
_PLACE: Final = "ep.context_file_path"


def compile_context(source: Path, chip: Chip, folder: Path) -> bytes:
    """The .onnx file of one node that holds the network, compiled for the chip.

    Raises `DataError` where the compiler fails or leaves an op to the CPU.
    """
    import onnx
    import onnxruntime
    import onnxruntime_qnn

    from mbexport.formats.onnx.qnn import npu_device
    from mbexport.formats.onnx.runner import session_options

    target, content = folder / "context.onnx", source.read_bytes()
    options = session_options()
    for key, value in {**_ENTRIES, _PLACE: str(target)}.items():
        options.add_session_config_entry(key, value)
    settings = {
        "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
        "htp_arch": chip.hexagon.removeprefix("v"),
        "soc_model": str(chip.number),
    }
    options.add_provider_for_devices([npu_device()], settings)
    try:
        onnxruntime.InferenceSession(content, options)  # of bytes: the name of a file would get into the graph's
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise DataError(first_line(error)) from None
    if not target.is_file():
        raise DataError("the compiler gave no file")
    return shipped(onnx.ModelProto.FromString(target.read_bytes()), onnx.ModelProto.FromString(content))


def shipped(compiled: Any, source: Any) -> bytes:
    """The compiled model as it is shipped: of the IR version and opset of its source, so that old runtimes read it.

    Both are onnx.ModelProto. Raises `DataError` unless the whole graph was compiled.
    """
    from onnx import helper

    require_whole(compiled.graph, like=source.graph)
    compiled.ir_version = source.ir_version
    opsets = [*source.opset_import, helper.make_opsetid(DOMAIN, 1)]
    del compiled.opset_import[:]
    compiled.opset_import.extend({each.domain: each for each in opsets}.values())
    properties = {each.key: each.value for each in compiled.metadata_props if each.value}
    del compiled.metadata_props[:]
    helper.set_model_props(compiled, dict(sorted(properties.items())))
    content: bytes = compiled.SerializeToString(deterministic=True)
    return content
