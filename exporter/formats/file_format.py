"""What a file format is: the fields of one row of `formats.registry`, and what its converter is given.

Rows hold functions whose heavy imports lie inside, so that the command line reads the registry without loading a
runtime.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mbexport.artifact import Io, Layout, Precision
from mbexport.errors import OptionError
from mbexport.formats.kernel_path import KernelPath
from mbexport.formats.npu.compiler import NpuCompiler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mbexport.formats.delegates.op import Op
    from mbexport.formats.description import Description
    from mbexport.formats.detection_tail import Decoding, DetectionTail
    from mbexport.formats.kernels import Kernels
    from mbexport.formats.loader import Loader
    from mbexport.formats.runner import Runner


class Networks(Protocol):
    """The Keras networks behind one artifact, loaded when a converter asks for them."""

    def network(self) -> Any:
        """The tf_keras network of the artifact's precision, with the output that the artifact has."""

    def decided(self) -> Mapping[str, Any]:
        """Each convolution's integers as the file must hold them: `tflite.integers.Decided` by layer, in order."""

    def ranges(self) -> Mapping[str, Any]:
        """The calibrated range of each activation by tensor: `calibration.affine.Range`."""

    def kept(self) -> tuple[str, ...]:
        """The convolutions that an int8 file has in float; `network` has them rounded."""

    def inputs(self) -> "Iterable[NDArray[np.float32]]":
        """The calibration images as normalized batches of one, (1, h, w, channels) each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """One artifact to be made.

    `description` is what it says of itself, `architecture` names its graph, `versions` are those of the libraries. A
    `batch` of None is decided when it is run. `io` is the type of an int8 artifact's input and output, `layout` and
    `opset` are of .onnx files. `source` is the content of the file that it is made from, empty for a format that is
    made from `networks`. `tail` is what a detector's file does behind its network, None for one whose outputs are the
    network's own; with `is_raw` it is said in the file's metadata, for apps that do it themselves, and not done.
    """

    precision: Precision
    description: "Description"
    architecture: str
    versions: Mapping[str, str]
    networks: Networks
    batch: int | None
    io: Io
    layout: Layout
    opset: int
    source: bytes = b""
    tail: "DetectionTail | None" = None
    is_raw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """How charts draw the format: matplotlib's marker, and the path of the same shape in a 12 x 12 SVG."""

    chart: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """One file format: how it is recognised, run, timed, looked into and, where it is exported, made.

    `name` is that of `--format`, of report.json and the ending of exported files. `recognizes` says of a file's first
    bytes whether they can only be of this format, whatever it is called; `endings` are those of files that are read as
    this format where no content is recognized. A format that is exported lists its `precisions` and has a `convert`;
    one that is made from another format's file names that in `made_from`, and in `source` that file's precision, by
    its own. `options` are the fields of a plan that change the bytes of a file of that precision. `labels` gives the
    labels inside a file, None where there are none; formats that can hold none have no such function. `tail` gives the
    detection tail that our converter appended to a detector's file, None for any other, and `core` the content of that
    file without it; formats that get none have no such functions. In the `raw_precisions` a detector is made without
    one, too, and `decoding` gives what the content of such a file says of it, None of any other. `android_tool` is the
    program that times such files on an Android device, None where there is none. `open` takes the file and the number
    of threads; `paths` are the kernel paths that it may be opened with instead, first what the runtime chooses itself.
    `runtime` names the library that opens a file; before it does, `check` raises `DataError` for one whose structure
    does not hold together. `npu` compiles an int8 file for the NPU of a chip, where there is a compiler for the format;
    `ops` lists the ops of a file as delegates judge them, where delegates execute the format.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    recognizes: Callable[[bytes], bool]
    marker: Marker
    runtime: str
    check: Callable[[Path], None]
    open: "Callable[[Path, int], Runner]"
    kernels: "Callable[[Runner], Kernels]"
    labels: "Callable[[Runner], tuple[str, ...] | None] | None" = None
    tail: "Callable[[bytes], DetectionTail | None] | None" = None
    core: Callable[[bytes], bytes] | None = None
    decoding: "Callable[[bytes], Decoding | None] | None" = None
    load: "Callable[[int], Loader] | None" = None
    android_tool: str | None = None
    paths: tuple[KernelPath, ...] = ()
    precisions: tuple[Precision, ...] = ()
    raw_precisions: tuple[Precision, ...] = ()
    options: Callable[[Precision], tuple[str, ...]] = lambda _: ()
    made_from: "FileFormat | None" = None
    source: Callable[[Precision], Precision] = lambda precision: precision
    convert: Callable[[Conversion], bytes] | None = None
    npu: NpuCompiler | None = None
    ops: "Callable[[Path], list[Op]] | None" = None

    @property
    def kernel_paths(self) -> tuple[str, ...]:
        """The names of the usual paths, which every comparison of paths takes where nobody names others."""
        return tuple(each.name for each in self.paths if each.is_usual)

    def path_named(self, name: str) -> tuple[KernelPath, str]:
        """The path of that name with its variant, the first where the name holds none, empty where it has none.

        Raises `OptionError` for a name of none.
        """
        variant = name.partition(":")[2]
        for each in self.paths:
            if name in (each.name, *each.names):
                return each, variant or next(iter(each.variants), "")
        legal = ", ".join(each.spelling for each in self.paths) or "none"
        raise OptionError(f"the kernels of a {self.name} file must be one of {legal}, got {name}")
