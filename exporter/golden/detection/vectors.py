"""Golden vectors of a detector as values: write them to golden.json, and read them back.

Images lie beside it as plain bytes, as a classifier's do; the rows that are expected stand in it.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from mbexport.documents import read_json, refusal
from mbexport.errors import OptionError
from mbexport.golden.detection.form import DETECTOR_GOLDEN
from mbexport.golden.form import SCHEMA
from mbexport.golden.vectors import FOLDER, INDEX, GoldenInput, input_from_json
from mbexport.models.preprocess import Preprocess, preprocess_from_json, preprocess_to_json
from mbexport.models.task import Task

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenTensor:
    """An output of an artifact; apps know it by its name."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far two answers are apart: in the score of a row, and in a corner of its box as a fraction of the photo."""

    score: float
    corner: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorArtifact:
    """One exported file, as the vectors were made with it.

    Runtimes may differ by `tolerance`; `spread` is how far the kernels of one runtime differed on such photos.
    """

    file: str
    sha256: str
    format: str
    precision: str
    input: GoldenInput
    outputs: tuple[GoldenTensor, ...]
    tolerance: Distance
    spread: Distance


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An object that was found: its class with its label, its score and its box.

    `box` is ymin, xmin, ymax, xmax in fractions of the photo, `pixels` the left, top, right and bottom edge in pixels
    of the raw photo. Every runtime that is within the tolerance gives a row that `is_safe`.
    """

    index: int
    label: str
    score: float
    box: Corners
    pixels: Corners
    is_safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorCase:
    """One real photo: `raw` (height, width, 3) and `resized` (height, width, channels) are files of bytes.

    `sha256` is that of the resized ones, which are the exact input. `expected` has the rows of each artifact, by file
    name, the most certain first. Paths start at the folder of golden.json.
    """

    name: str
    width: int
    height: int
    raw: str
    resized: str
    sha256: str
    expected: dict[str, tuple[Row, ...]]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return self.raw, self.resized

    def only(self, name: str, *, renamed: str) -> "DetectorCase":
        """What is expected of one artifact alone, as if that were called `renamed`."""
        return replace(self, expected={renamed: self.expected[name]})


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorGolden:
    """All golden vectors of a run; the file names of its artifacts start with `stem`.

    Rows are expected from `least_score` on, as an app asks for them.
    """

    stem: str
    classes: int
    licence: str | None
    preprocess: Preprocess
    least_score: float
    artifacts: tuple[DetectorArtifact, ...]
    cases: tuple[DetectorCase, ...]

    @property
    def task(self) -> Task:
        """What the artifacts are for."""
        return Task.DETECT

    def to_bytes(self) -> bytes:
        """The content of golden.json."""
        content = {
            "schema": SCHEMA,
            "task": self.task,
            **asdict(self),
            "preprocess": preprocess_to_json(self.preprocess),
            "cases": [_case_json(each) for each in self.cases],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode(errors="backslashreplace")  # half of a UTF-16 pair becomes JSON's own escape


def detector_golden_from_bytes(content: bytes) -> DetectorGolden:
    """The golden vectors that `DetectorGolden.to_bytes` wrote. Raises `DataError` for anything else."""
    source = f"{FOLDER}/{INDEX}"
    fields: dict[str, Any] = read_json(content, DETECTOR_GOLDEN, source=source)
    del fields["schema"], fields["task"]
    try:
        fields["preprocess"] = preprocess_from_json(fields["preprocess"])
        fields["artifacts"] = tuple(_artifact(each) for each in fields["artifacts"])
    except OptionError as error:
        raise refusal(DETECTOR_GOLDEN, source, error) from None
    fields["cases"] = tuple(_case(each) for each in fields["cases"])
    return DetectorGolden(**fields)


def _case_json(case: DetectorCase) -> dict[str, Any]:
    expected = {name: {"rows": [_row_json(row) for row in rows]} for name, rows in case.expected.items()}
    return {**asdict(case), "expected": expected}


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "class": row.index,
        "label": row.label,
        "score": row.score,
        "box": row.box,
        "pixels": row.pixels,
        "safe": row.is_safe,
    }


def _artifact(fields: dict[str, Any]) -> DetectorArtifact:
    outputs = tuple(GoldenTensor(**{**each, "shape": tuple(each["shape"])}) for each in fields["outputs"])
    tolerance, spread = (Distance(**fields[name]) for name in ("tolerance", "spread"))
    given = {"input": input_from_json(fields["input"]), "outputs": outputs, "tolerance": tolerance, "spread": spread}
    return DetectorArtifact(**{**fields, **given})


def _case(fields: dict[str, Any]) -> DetectorCase:
    expected = {name: tuple(map(_row, each["rows"])) for name, each in fields["expected"].items()}
    return DetectorCase(**{**fields, "expected": expected})


def _row(fields: dict[str, Any]) -> Row:
    return Row(
        index=fields["class"],
        label=fields["label"],
        score=fields["score"],
        box=tuple(fields["box"]),
        pixels=tuple(fields["pixels"]),
        is_safe=fields["safe"],
    )
