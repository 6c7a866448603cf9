"""Choose one file of a sweep by a query, and say how sure the choice is, or what comes nearest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from mbexport.report.sweep_page.view import PASSED
from mbexport.sweep.query import QUANTITIES, Condition, Query
from mbexport.sweep.results import artifact_path

Json = dict[str, Any]
_WORST: Final = float("inf")
_TIES: Final = ("size", "mult_adds", "latency")  # of files that are equally good, the least of these


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A file of the sweep: the entries of its point and of itself in sweep.json."""

    point: Json
    entry: Json

    @property
    def path(self) -> str:
        """Its path within the sweep's folder."""
        return artifact_path(self.point["folder"], self.entry["file"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a query: the file that was `picked`, or why there is none and the file that comes `nearest`.

    `notes` are sentences: limits that lie inside the interval of the value, and what was left out.
    """

    query: Query
    picked: Chosen | None = None
    nearest: Chosen | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The answer for people: first what was picked or what was missed, then where it lies, then notes."""
        chosen = self.picked or self.nearest
        first = [f"nothing was picked by {self.query.text}: {self.reason}"] if self.picked is None else []
        if chosen is None:
            return [*first, *self.notes]
        prefix = "" if self.picked else "nearest: "
        told = [f"{prefix}{chosen.point['name']}: {_figures(chosen)}", f"folder: {chosen.point['folder']}"]
        return [*first, *told, f"file: {chosen.path}", *(f"note: {note}" for note in self.notes)]

    def json(self) -> Json:
        """The answer as a value: `picked` and `nearest` hold the point's name and folder, and the file's entry."""
        return {
            "query": self.query.text,
            "picked": _chosen_json(self.picked),
            "nearest": _chosen_json(self.nearest),
            "reason": self.reason or None,
            "notes": list(self.notes),
        }


def pick(sweep: Json, query: Query) -> Answer:
    """The best file of the sweep (the value in sweep.json) that satisfies the whole query, or the nearest miss.

    Files of points that passed every gate are looked at, all of them if the query takes failed ones. A value that was
    not measured satisfies nothing, and is no objective.
    """
    judged = [each for each in _files(sweep) if query.takes_failed or each.point["status"] == PASSED]
    fitting = [each for each in judged if query.takes(each.point, each.entry)]
    measured = [each for each in fitting if _value(each, query.objective.quantity) is not None]
    if measured:
        best = min(measured, key=lambda each: _rank(each, query))
        return Answer(query=query, picked=best, notes=tuple(_notes(best, query.conditions)))
    if fitting:
        return Answer(query=query, reason=f"{query.objective.quantity} was not measured")
    return _miss(sweep, judged, query)


def _files(sweep: Json) -> list[Chosen]:
    return [Chosen(point=point, entry=entry) for point in sweep["points"] for entry in point["artifacts"]]


def _value(chosen: Chosen, quantity: str) -> float | None:
    return QUANTITIES[quantity].of(chosen.point, chosen.entry)


def _rank(chosen: Chosen, query: Query) -> tuple[Any, ...]:
    """What the best file has the least of: the objective, then less top-1, then what else it costs, then its path."""
    value, top1 = _value(chosen, query.objective.quantity), _value(chosen, "top1")
    assert value is not None
    costs = [_value(chosen, each) for each in _TIES]
    others = (_WORST if each is None else each for each in costs)
    return (-value if query.objective.is_most else value, _WORST if top1 is None else -top1, *others, chosen.path)


def _notes(chosen: Chosen, conditions: Sequence[Condition]) -> Iterator[str]:
    for each in conditions:
        interval = QUANTITIES[each.name].interval(chosen.entry) if each.is_limit else None
        if interval and interval[0] <= each.limit <= interval[1]:
            value = _shown(each.name, chosen)
            yield f"{each.name} is {value}: the limit of {each.text} lies inside the interval"
    if chosen.point["status"] != PASSED:
        yield f"gates failed at this point: {', '.join(chosen.point['failed_gates'])}"


def _miss(sweep: Json, judged: Sequence[Chosen], query: Query) -> Answer:
    """Why no file satisfies the query; the nearest misses the fewest limits, and the last of them by least."""
    choices = replace(query, conditions=tuple(each for each in query.conditions if not each.is_limit))
    chosen = [each for each in judged if choices.takes(each.point, each.entry)]
    if not chosen:
        has_failed = any(choices.takes(each.point, each.entry) for each in _files(sweep))
        wanted = " and ".join(each.text for each in choices.conditions)
        passed = "of a point that passed every gate" if has_failed else "of the sweep"
        hint = "; `any` takes those that failed one, too" if has_failed else ""
        return Answer(query=query, reason=f"no file {passed} is {wanted or 'there'}{hint}")
    limits = [each for each in query.conditions if each.is_limit]
    nearest = min(chosen, key=lambda each: (*_distance(each, limits), each.path))
    missed = [each for each in limits if not each.holds(nearest.point, nearest.entry)]
    told = " and ".join(f"{each.name} {_shown(each.name, nearest)} for {each.text}" for each in missed)
    return Answer(query=query, nearest=nearest, reason=f"the nearest has {told}")


def _distance(chosen: Chosen, limits: Sequence[Condition]) -> tuple[int, float]:
    """How many limits a file misses, and by how much in all, as fractions of the limits."""
    missed = [each for each in limits if not each.holds(chosen.point, chosen.entry)]
    return len(missed), sum(_relative(each, chosen) for each in missed)


def _relative(limit: Condition, chosen: Chosen) -> float:
    value = limit.value(chosen.point, chosen.entry)
    assert isinstance(limit.limit, float)
    return _WORST if not isinstance(value, int | float) else abs(value - limit.limit) / max(abs(limit.limit), 1e-9)


def _figures(chosen: Chosen) -> str:
    """The file in one line: what it is, and its figures with their intervals."""
    entry = chosen.entry
    shown = [f"{name} {_shown(name, chosen)}" for name in ("top1", "latency", "size", "mult_adds")]
    return f"{entry['precision']} {entry['format']}, {', '.join(shown)}"


_UNITS: Final = {"size": (1e-6, ".2f", " MB"), "mult_adds": (1e-6, ".1f", " M"), "parameters": (1e-6, ".2f", " M")}


def _shown(name: str, chosen: Chosen) -> str:
    """A quantity with its interval, in the units that people use."""
    value, interval = _value(chosen, name), QUANTITIES[name].interval(chosen.entry)
    if value is None:
        return "not measured"
    factor, form, unit = _UNITS.get(name, (1.0, ".4g", " ms" if name == "latency" else ""))
    ends = "" if interval is None else f" [{', '.join(format(factor * end, form) for end in interval)}]"
    return f"{factor * value:{form}}{unit}{ends}"


def _chosen_json(chosen: Chosen | None) -> Json | None:
    if chosen is None:
        return None
    return {"point": chosen.point["name"], "folder": chosen.point["folder"], "path": chosen.path, **chosen.entry}
