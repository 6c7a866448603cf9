"""The delegates, a row each: which files they execute, and how it is known what they take."""

from dataclasses import dataclass
from typing import Final

from mbexport.formats.delegates.lists import COREML, EDGE_TPU, GPU, NNAPI
from mbexport.formats.delegates.published import PublishedList


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """One row: `path` is the kernel path that measures it, `published` its maker's list; at least one is there."""

    name: str
    title: str
    format: str
    path: str | None = None
    published: PublishedList | None = None


DELEGATES: Final = (
    Delegate(name="xnnpack", title="XNNPACK", format="tflite", path="xnnpack"),
    Delegate(name="gpu", title="GPU", format="tflite", path="webgpu", published=GPU),
    Delegate(name="edgetpu", title="Edge TPU", format="tflite", published=EDGE_TPU),
    Delegate(name="nnapi", title="NNAPI (deprecated)", format="onnx", published=NNAPI),
    Delegate(name="coreml", title="Core ML EP", format="onnx", published=COREML),
    Delegate(name="qnn-htp", title="QNN HTP", format="onnx", path="qnn-htp"),
)
