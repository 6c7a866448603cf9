"""Golden vectors as values: write them to golden.json, and read them back.

The vectors themselves lie beside it as plain bytes, which any language reads: images as RGB rows from the top,
tensors as they lie in memory, little-endian.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from mbexport.documents import read_json, refusal
from mbexport.errors import OptionError
from mbexport.formats.runner import FLOAT
from mbexport.golden.form import GOLDEN, SCHEMA
from mbexport.models.preprocess import Normalization, Preprocess, preprocess_from_json, preprocess_to_json
from mbexport.models.task import Task

FOLDER: Final = "golden"
INDEX: Final = "golden.json"
README: Final = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenInput:
    """An artifact's input: for byte b of channel c it takes b (uint8), b - 128 (int8) or (b - mean[c]) / std[c].

    The last in float32, blue first where `channel_order` is BGR; `mean` and `std` have one number for each channel
    and are empty for codes. `shape` has 1 for a batch of any size; `layout` is nhwc or nchw.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str
    channel_order: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenOutput:
    """An artifact's output: a score is scale * (code - zero_point), or the number itself where `scale` is None.

    `kind` says what scores are: softmax, sigmoid or logits. Runtimes may differ by `tolerance`, in codes where there
    are codes, else in scores; `spread` is how far the kernels of one runtime differed on such images.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: str
    tolerance: float
    spread: float
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenArtifact:
    """One exported file, as the vectors were made with it."""

    file: str
    sha256: str
    format: str
    precision: str
    input: GoldenInput
    output: GoldenOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An artifact's answer to one image: the file of its output, and the best class with its label and score.

    Of several classes that tie, `top` is the lowest. It leads by more than twice the tolerance, except in a golden.json
    with a single case, which may be of an image without a safe lead.
    """

    output: str
    top: int
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One real image: `raw` (height, width, 3) and `resized` (height, width, channels) are files of bytes.

    `truth` is the number of its class, if it is known; `expected` has an entry for each artifact, by file name. Paths
    start at the folder of golden.json.
    """

    name: str
    width: int
    height: int
    raw: str
    resized: str
    truth: int | None
    expected: dict[str, Expected]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return (self.raw, self.resized, *(each.output for each in self.expected.values()))

    def only(self, name: str, *, renamed: str) -> "Case":
        """What is expected of one artifact alone, as if that were called `renamed`."""
        expected = self.expected[name]
        return replace(self, expected={renamed: replace(expected, output=expected.output.replace(name, renamed))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """All golden vectors of a run; the file names of its artifacts start with `stem`."""

    stem: str
    classes: int
    licence: str | None
    preprocess: Preprocess
    artifacts: tuple[GoldenArtifact, ...]
    cases: tuple[Case, ...]

    @property
    def task(self) -> Task:
        """What the artifacts are for."""
        return Task.CLASSIFY

    def to_bytes(self) -> bytes:
        """The content of golden.json."""
        content = {"schema": SCHEMA, **asdict(self), "preprocess": preprocess_to_json(self.preprocess)}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode(errors="backslashreplace")  # half of a UTF-16 pair becomes JSON's own escape


def golden_from_bytes(content: bytes) -> Golden:
    """The golden vectors that `Golden.to_bytes` wrote. Raises `DataError` for anything else."""
    source = f"{FOLDER}/{INDEX}"
    fields: dict[str, Any] = read_json(content, GOLDEN, source=source)
    del fields["schema"]
    try:
        fields["preprocess"] = preprocess_from_json(fields["preprocess"])
        fields["artifacts"] = tuple(_artifact(each) for each in fields["artifacts"])
    except OptionError as error:
        raise refusal(GOLDEN, source, error) from None
    fields["cases"] = tuple(_case(each) for each in fields["cases"])
    return Golden(**fields)


def input_from_json(fields: dict[str, Any]) -> GoldenInput:
    """An artifact's input. Raises `OptionError` for floats that no byte becomes."""
    numbers = {name: tuple(fields[name]) for name in ("shape", "mean", "std")}
    if fields["dtype"] == FLOAT:
        Normalization(mean=numbers["mean"], std=numbers["std"])
    return GoldenInput(**{**fields, **numbers})


def _artifact(fields: dict[str, Any]) -> GoldenArtifact:
    target = fields["output"]
    output = GoldenOutput(**{**target, "shape": tuple(target["shape"])})
    return GoldenArtifact(**{**fields, "input": input_from_json(fields["input"]), "output": output})


def _case(fields: dict[str, Any]) -> Case:
    expected = {name: Expected(**each) for name, each in fields["expected"].items()}
    return Case(**{**fields, "expected": expected})
