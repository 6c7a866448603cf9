"""Read the question of `--pick`: what a file must be, and what is best among those that are.

    query      =  term { ( "," | "and" ) term }
    term       =  condition | objective | "any"
    condition  =  name ( ">=" | "<=" | ">" | "<" | "=" ) value
    objective  =  "smallest" | "fastest" | "cheapest" | "most-accurate"

Case, spaces, and `-` for `_` do not matter. Numbers are compared: `top1` and `agreement` (0.8 or 80%), `latency` (ms,
us or s; ms where no unit is given), `size` (B, KB, MB, GB, KiB, MiB), `mult_adds` and `parameters` (a count, or one
with K, M or B), `alpha`, and `resolution` (96, or 96x128: all but `=` compare pixels). Words are only equal: `format`,
`precision`, `arch`, `conv`, `point`. Without an objective the smallest file is asked for where a query says how
accurate it must be, else the most accurate one. Points that failed a gate are taken with `any` only.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mbexport.artifact import Precision
from mbexport.errors import OptionError, did_you_mean
from mbexport.formats.registry import FORMATS
from mbexport.models.architectures import ARCHITECTURES
from mbexport.models.mobilenet_v1.spec import Convolution
from mbexport.models.resolution import Resolution

Json = dict[str, Any]
Value = float | str
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}
)
_CONDITION: Final = re.compile(r"([a-z0-9_-]+)\s*(>=|<=|==|>|<|=)\s*(\S.*)", re.IGNORECASE)
_SEPARATOR: Final = re.compile(r",|(?<!\S)and(?!\S)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z%]*)", re.IGNORECASE | re.ASCII)
_COUNTS: Final = MappingProxyType({"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9})
_ANY: Final = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number that a query may bound: where it stands in an artifact's entry or its point's, and its units.

    `legal` says what may be given. `interval` is where its 95 % interval stands. `is_good` says that a query which
    bounds it from below has asked for accuracy.
    """

    of: Callable[[Json, Json], float | None]
    units: Mapping[str, float]
    legal: str
    interval: Callable[[Json], Any] = lambda _entry: None
    is_good: bool = False
    most: float = math.inf


def _in_latency(entry: Json, name: str) -> Any:
    return entry["latency_ms"] and entry["latency_ms"][name]


_FRACTIONS: Final = MappingProxyType({"": 1.0, "%": 0.01})
QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {
        "top1": Quantity(
            of=lambda _point, entry: entry["top1"],
            interval=lambda entry: entry["top1_ci95"],
            units=_FRACTIONS,
            legal="a fraction such as 0.8 or 80%",
            is_good=True,
            most=1,
        ),
        "agreement": Quantity(
            of=lambda _point, entry: entry["agreement"],
            units=_FRACTIONS,
            legal="a fraction such as 0.95 or 95%",
            is_good=True,
            most=1,
        ),
        "latency": Quantity(
            of=lambda _point, entry: _in_latency(entry, "p50"),
            interval=lambda entry: _in_latency(entry, "ci95"),
            units=MappingProxyType({"": 1.0, "ms": 1.0, "us": 1e-3, "s": 1e3}),
            legal="a time such as 5ms, 800us or 0.1s",
        ),
        "size": Quantity(
            of=lambda _point, entry: entry["size_bytes"],
            units=MappingProxyType({"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20}),
            legal="a size with its unit, such as 3MB or 500KiB",
        ),
        "mult_adds": Quantity(
            of=lambda point, _entry: point["mult_adds"], units=_COUNTS, legal="a count such as 150M or 1.2B"
        ),
        "parameters": Quantity(
            of=lambda point, _entry: point["parameters"], units=_COUNTS, legal="a count such as 500K or 4.2M"
        ),
        "alpha": Quantity(
            of=lambda point, _entry: point["alpha"], units=MappingProxyType({"": 1.0}), legal="a number such as 0.5"
        ),
    }
)
RESOLUTION: Final = "resolution"
WORDS: Final[Mapping[str, Callable[[Json, Json], str | None]]] = MappingProxyType(
    {
        "format": lambda _point, entry: entry["format"],
        "precision": lambda _point, entry: entry["precision"],
        "arch": lambda point, _entry: point["arch"],
        "conv": lambda point, _entry: point["conv"],
        "point": lambda point, _entry: point["name"],
    }
)
_LEGAL_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "format": tuple(each.name for each in FORMATS),
        "precision": tuple(each.value for each in Precision),
        "arch": tuple(each.name for each in ARCHITECTURES),
        "conv": tuple(each.value for each in Convolution),
    }
)
NAMES: Final = (*QUANTITIES, RESOLUTION, *WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is best: the file with the least of `quantity`, or with the most of it."""

    name: str
    quantity: str
    is_most: bool = False


OBJECTIVES: Final[Mapping[str, Objective]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Objective(name="smallest", quantity="size"),
            Objective(name="fastest", quantity="latency"),
            Objective(name="cheapest", quantity="mult_adds"),
            Objective(name="most-accurate", quantity="top1", is_most=True),
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition, as it was written (`text`) and as it is compared: `limit` is in the units of sweep.json."""

    name: str
    sign: str
    limit: Value
    text: str

    @property
    def is_limit(self) -> bool:
        """Whether it bounds what was measured or counted; the others choose among files by what they are."""
        return self.name in QUANTITIES and self.name != "alpha" and self.sign != "="

    def value(self, point: Json, entry: Json) -> Value | None:
        """What is compared with the limit; None where it was not measured, or there is none."""
        if self.name in QUANTITIES:
            return QUANTITIES[self.name].of(point, entry)
        if self.name == RESOLUTION:
            resolution = Resolution.parse(point["resolution_px"])
            return str(resolution) if self.sign == "=" else float(resolution.pixels)
        return WORDS[self.name](point, entry)

    def holds(self, point: Json, entry: Json) -> bool:
        """Whether the file `entry` of `point` satisfies it; not if the value is missing."""
        value = self.value(point, entry)
        return value is not None and _COMPARE[self.sign](value, self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """All conditions, of which a file must satisfy every one, and what is best among those that do."""

    conditions: tuple[Condition, ...]
    objective: Objective
    takes_failed: bool = False

    def takes(self, point: Json, entry: Json) -> bool:
        """Whether the file `entry` of `point` satisfies every condition."""
        return all(each.holds(point, entry) for each in self.conditions)

    @property
    def text(self) -> str:
        """The query with its objective, as it may be written."""
        words = [*(each.text for each in self.conditions), *([_ANY] if self.takes_failed else []), self.objective.name]
        return ", ".join(words)


def parse_query(text: str) -> Query:
    """The query that `text` asks. Raises `OptionError`, in one line, for anything else."""
    conditions, objectives, takes_failed = list[Condition](), list[Objective](), False
    for term in map(str.strip, _SEPARATOR.split(text)):
        word = term.lower().replace("_", "-")
        if word == _ANY:
            takes_failed = True
        elif word in OBJECTIVES:
            objectives.append(OBJECTIVES[word])
        else:
            conditions.append(_condition(term))
    if len(objectives) > 1:
        asked = " and ".join(each.name for each in objectives)
        raise OptionError(f"--pick must ask for one of {', '.join(OBJECTIVES)}, got {asked}")
    objective = objectives[0] if objectives else _usual_objective(conditions)
    return Query(conditions=tuple(conditions), objective=objective, takes_failed=takes_failed)


def _usual_objective(conditions: list[Condition]) -> Objective:
    asks_accuracy = any(
        each.sign in (">", ">=") and each.name in QUANTITIES and QUANTITIES[each.name].is_good for each in conditions
    )
    return OBJECTIVES["smallest" if asks_accuracy else "most-accurate"]


def _condition(term: str) -> Condition:
    found = _CONDITION.fullmatch(term)
    if found is None:
        hint = did_you_mean(term.lower(), [*OBJECTIVES, _ANY])
        raise OptionError(
            f"--pick must be conditions such as 'top1>=0.8' or 'size<=3MB', {_ANY}, or one of {', '.join(OBJECTIVES)}, "
            f"got {term or 'nothing'}" + (f"; {hint}" if hint else "")
        )
    name, sign = found[1].lower().replace("-", "_"), found[2].replace("==", "=")
    given = found[3].strip()
    if name not in NAMES:
        hint = did_you_mean(name, NAMES)
        raise OptionError(
            f"--pick must compare one of {', '.join(NAMES)}, got {found[1]}" + (f"; {hint}" if hint else "")
        )
    if name in WORDS and sign != "=":
        raise OptionError(f"--pick compares {name} with = only, got {found[0]}")
    return Condition(name=name, sign=sign, limit=_limit(name, sign, given), text=f"{name}{sign}{given}")


def _limit(name: str, sign: str, given: str) -> Value:
    if name in WORDS:
        return _word(name, given)
    if name == RESOLUTION:
        resolution = Resolution.parse(given)
        return str(resolution) if sign == "=" else float(resolution.pixels)
    quantity, found = QUANTITIES[name], _NUMBER.fullmatch(given)
    factor = quantity.units.get(found[2].lower()) if found else None
    value = math.inf if found is None or factor is None else _scaled(float(found[1]), factor)
    if not (math.isfinite(value) and value <= quantity.most):
        raise OptionError(f"{name} of --pick must be {quantity.legal}, got {given}")
    return value


def _word(name: str, given: str) -> str:
    """The word as sweep.json has it: a point's name may be any."""
    legal = _LEGAL_WORDS.get(name)
    if legal is None:
        return given
    if given.lower() not in legal:
        raise OptionError(f"{name} of --pick must be one of {', '.join(legal)}, got {given}")
    return given.lower()


def _scaled(value: float, factor: float) -> float:
    """The product; 80 % is the float that is nearest to 0.8."""
    return value / round(1 / factor) if factor < 1 else value * factor
