"""Judge the speed of points by the gates that no single build could: their files are timed behind it."""

from collections.abc import Iterator, Mapping, Sequence

from mbexport.report.content import gate_json
from mbexport.sweep.results import Json, PointResult
from mbexport.sweep.timing import Timed
from mbexport.verification.gates import NetworkFacts, default_limits, speed_gates
from mbexport.verification.judge import judge
from mbexport.verification.measured_values import speedups


def judged(
    points: Sequence[PointResult], timed: Timed | None, limits: Mapping[str, float], *, strict: bool
) -> list[Json]:
    """The results of the gates on speed, as a report has them, each with the name of its `point`.

    `limits` are those that the user set. Nothing is judged where nothing was timed.
    """
    return [] if timed is None else [gate for point in points for gate in _of_point(point, timed, limits, strict)]


def _of_point(point: PointResult, timed: Timed, limits: Mapping[str, float], strict: bool) -> Iterator[Json]:
    # The gates are on one thread, and say so; here that is the number that was asked for.
    ratios = [{**ratio, "threads": 1} for ratio in timed.speedups.get(point.name, ())]
    values = tuple(speedups({"machine": timed.machine, "speedups": ratios}))
    if not values:
        return
    network = NetworkFacts.of_parameters(
        family=point.arch,
        alpha=point.alpha,
        resolution=point.resolution,
        mult_adds=point.mult_adds,
        parameters=point.parameters,
    )
    (name,) = speed_gates()
    own = {gate: limit for gate, limit in limits.items() if gate == name}
    for result in judge({name: values}, own, defaults=default_limits(network), strict=strict):
        if result.name == name:
            yield {"point": point.name, **gate_json(result)}
