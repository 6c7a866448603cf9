"""What tests of sweeps share: sixteen points with believable figures, and the same as other sweeps would have them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from measured_by_hand import artifact_json

from mbexport.latency.intervals import Interval
from mbexport.models.mobilenet_v1.cost import cost
from mbexport.models.mobilenet_v1.published import PUBLISHED
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.published import Published
from mbexport.models.resolution import Resolution
from mbexport.sweep.results import FileLatency, PointResult, artifact_path, sweep_json
from mbexport.verification.statistics import wilson_interval

Json = dict[str, Any]
IMAGES = 734
MACHINE: Json = {
    "system": "Linux x86_64",
    "cpu": "AMD EPYC",
    "cores": 2,
    "python": "3.11.7",
    "flags": ["avx2", "fma"],
    "memory_bytes": 25769803776,
    "load": {"before": [0.4, 0.5, 0.6], "after": [1.2, 0.8, 0.7]},
    "noise": None,
}
GATE: Json = {
    "name": "agreement",
    "value": 0.8,
    "ci95": [0.76, 0.83],
    "limit": 0.9,
    "direction": "at least",
    "verdict": "fail",
    "passed": False,
    "meaning": "m",
    "advice": "a",
    "subject": None,
    "reason": None,
}
PRECISIONS = ("fp32", "int8")
FORMATS = ("tflite", "onnx")
# Milliseconds for each million of mult-adds, and bytes of a parameter.
_MS = {("fp32", "tflite"): 0.11, ("fp32", "onnx"): 0.1, ("int8", "tflite"): 0.045, ("int8", "onnx"): 0.05}
_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}


@cache
def _interval(right: int) -> tuple[float, float]:
    return wilson_interval(right, IMAGES)


def file_of(row: Published, precision: str, file_format: str) -> Json:
    """One artifact of a network that has learned flowers as well as it once did ImageNet."""
    spec = row.spec
    published = row.top1_float if precision == "fp32" else row.top1_int8 or 0
    right = round(IMAGES * (0.70 + 0.24 * (published - 0.40) / 0.31))
    size = cost(replace(spec, classes=5)).parameters * _BYTES[precision] + 42_000 + 9_000 * (file_format == "onnx")
    name = f"mobilenet_v1_{spec.alpha:g}_{spec.resolution}_{precision}.{file_format}"
    interval = _interval(right)
    return artifact_json(name, top1=right / IMAGES, top1_ci95=interval, size_bytes=size, agreement=0.97)


def point_of(row: Published, *, precisions: Sequence[str] = PRECISIONS) -> PointResult:
    """One point of the sweep, which passed."""
    total, name = cost(replace(row.spec, classes=5)), f"{row.spec.alpha:g}_{row.spec.resolution}"
    options = ("--data", "photos", "--weights", "imagenet", "--alpha", f"{row.spec.alpha:g}", "--int8")
    return PointResult(
        name=name,
        arch="mobilenet_v1",
        alpha=row.spec.alpha,
        resolution=row.spec.resolution,
        conv="separable",
        mult_adds=total.mult_adds,
        parameters=total.parameters,
        exit_code=0,
        seconds=700 * row.spec.alpha,
        command=("mbexport", "build", *options, "--resolution", str(row.spec.resolution), "--out", f"points/{name}"),
        report={
            "data": {"name": "photos"},
            "reference": {"samples": IMAGES},
            "gates": [{**GATE, "verdict": "pass", "passed": True}],
            "artifacts": [file_of(row, each, file_format) for each in precisions for file_format in FORMATS],
        },
    )


def points() -> list[PointResult]:
    """Sixteen points, of which one failed a gate and one has no files."""
    made = [point_of(row) for row in PUBLISHED]
    places = {each.name: place for place, each in enumerate(made)}
    gone, poor = places["1_192"], places["0.5_224"]
    made[gone] = replace(made[gone], exit_code=3, report=None, attempts=3, reason="killed by signal 9 three times")
    report = made[poor].report
    assert report is not None
    made[poor] = replace(made[poor], exit_code=1, report={**report, "gates": [GATE]})
    return made


def latencies(made: Sequence[PointResult]) -> dict[str, FileLatency]:
    """The latency of each file, known to two percent."""
    found = {}
    for point in made:
        for entry in point.report["artifacts"] if point.report else ():
            median = 0.05 + _MS[entry["precision"], entry["format"]] * point.mult_adds / 1e6
            interval = Interval(value=median, low=median / 1.02, high=median * 1.02)
            found[artifact_path(point.folder, entry["file"])] = FileLatency(median=interval, p90_ms=1.1 * median)
    return found


def example() -> Json:
    """The sweep of `points`."""
    return of_points(points())


def of_points(made: Sequence[PointResult], *, is_timed: bool = True, speed_gates: Sequence[Json] = ()) -> Json:
    """What sweep.json holds of those points."""
    timed = latencies(made) if is_timed else {}
    told: Json = {"threads": 1, "machine": MACHINE} if is_timed else {"threads": None, "machine": None}
    return sweep_json(made, timed, **told, speed_gates=speed_gates)


def unlabelled() -> Json:
    """A sweep on images without labels, whose files were not timed."""
    made = points()
    for point in made:
        for entry in point.report["artifacts"] if point.report else ():
            entry |= {"top1": None, "top1_ci95": None}
    return of_points(made, is_timed=False)


def all_failed() -> Json:
    """A sweep of which nothing is left."""
    return of_points([replace(each, exit_code=3, report=None, reason="no disk space") for each in points()])


def oblong() -> Json:
    """Points that are not square, one of which has standard convolutions, and another architecture."""
    first = point_of(PUBLISHED[-1])
    wide = replace(
        first, name="0.25_96x128_standard", resolution=Resolution(height_px=96, width_px=128), conv="standard"
    )
    other = replace(first, name="v3_small_1_224", arch="mobilenet_v3_small", alpha=1.0, conv=None)
    return of_points([wide, other])


KINDS = {
    "sixteen points": example,
    "one point": lambda: of_points([point_of(PUBLISHED[-1])]),
    "not timed": lambda: of_points(points(), is_timed=False),
    "unlabelled": unlabelled,
    "all failed": all_failed,
    "oblong": oblong,
    "a small spec": lambda: of_points(
        [point_of(replace(PUBLISHED[0], spec=ModelSpec(alpha=0.3, resolution=Resolution.square(96))))]
    ),
}
