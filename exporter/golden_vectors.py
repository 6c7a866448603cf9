"""Turns what an app's unit test needs to know of the golden vectors into golden.json, and back.

The vectors themselves lie beside it as plain bytes, which any language reads: images as RGB rows from the top,
tensors as they lie in memory, little-endian.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.models.preprocess import Preprocess, preprocess_from_json

FOLDER: Final = "golden"
INDEX: Final = "golden.json"
README: Final = "README.md"
SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenInput:
    """An artifact's input: of byte b of channel c it takes b (uint8), b - 128 (int8), else (b - mean[c]) / std[c].

    The latter in float32, blue first where `channel_order` is BGR; `mean` and `std` have one number for each channel
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
    are codes, else in scores; `spread` is what the kernels of one runtime were seen to differ by on such images.
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
    """What an artifact answers: the file of its output for this one image, and the best class with its score.

    Of several classes that tie `top` is the lowest. It leads by more than twice the tolerance, but in a golden.json
    with a single case, which may be of an image that nothing is sure of.
    """

    output: str
    top: int
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One real image: `raw` (height, width, 3) and `resized` (px, px, channels) are files of bytes.

    `truth` is the number of its class, if it is known; `expected` is by the artifact's file name. All files are named
    from the folder of golden.json.
    """

    name: str
    width: int
    height: int
    raw: str
    resized: str
    truth: int | None
    expected: dict[str, Expected]


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """All golden vectors of a run: `stem` is what its artifacts' names start with."""

    stem: str
    classes: int
    licence: str | None
    preprocess: Preprocess
    artifacts: tuple[GoldenArtifact, ...]
    cases: tuple[Case, ...]

    def to_bytes(self) -> bytes:
        """The content of golden.json."""
        told = {"schema": SCHEMA, **asdict(self)}
        return (json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def golden_from_bytes(content: bytes) -> Golden:
    """What `Golden.to_bytes` wrote. Raises `DataError` for anything else."""
    try:
        told: dict[str, Any] = json.loads(content)
        schema = told.pop("schema")
        if schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {schema}")
        told["preprocess"] = preprocess_from_json(told["preprocess"])
        told["artifacts"] = tuple(_artifact(each) for each in told["artifacts"])
        told["cases"] = tuple(_case(each) for each in told["cases"])
        return Golden(**told)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"not a golden.json of mbexport: {error}") from None


def _artifact(told: dict[str, Any]) -> GoldenArtifact:
    source, target = told["input"], told["output"]
    numbers = {name: tuple(source[name]) for name in ("shape", "mean", "std")}
    return GoldenArtifact(
        **{
            **told,
            "input": GoldenInput(**{**source, **numbers}),
            "output": GoldenOutput(**{**target, "shape": tuple(target["shape"])}),
        }
    )


def _case(told: dict[str, Any]) -> Case:
    expected = {name: Expected(**each) for name, each in told["expected"].items()}
    return Case(**{**told, "expected": expected})
