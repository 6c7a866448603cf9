"""Names of observers and corrections, as the command line and plans have them. Imports nothing heavy."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mbexport.errors import OptionError

ALL: Final = "all"
NONE: Final = "none"
_FLOAT: Final = "float"
_AUTO: Final = "auto"


class Observer(StrEnum):
    """How the range of a tensor is derived from the values that pass through it."""

    MINMAX = "minmax"
    MOVING_AVERAGE = "moving-average"
    PERCENTILE = "percentile"
    MSE = "mse"
    ENTROPY = "entropy"
    AUTO = "auto"  # tries the others, and takes the one whose answers are nearest to float's


# What `auto` chooses from; of two that are equally near, the first.
CANDIDATES: Final = tuple(each for each in Observer if each is not Observer.AUTO)


class Correction(StrEnum):
    """What calibration does beyond rounding each weight to its nearest code."""

    COPIES = "copies"
    EQUALIZATION = "equalization"
    ROUNDING = "rounding"
    BIAS = "bias"
    LOGITS = "logits"


def parse_observer(text: str) -> Observer:
    """The observer called `text`. Raises `OptionError` for any other text."""
    if text not in set(Observer):
        raise OptionError(f"observer must be one of {', '.join(Observer)}, got {text}")
    return Observer(text)


def parse_corrections(text: str) -> tuple[Correction, ...]:
    """The corrections that `text` names, in the order of `Correction`: `all`, `none`, or names with commas between.

    Raises `OptionError` for a name that is none of them.
    """
    if text == ALL:
        return tuple(Correction)
    if text == NONE:
        return ()
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in set(Correction)]
    if unknown:
        raise OptionError(
            f"corrections must be {ALL}, {NONE} or some of {', '.join(Correction)}, got {unknown[0] or 'an empty name'}"
        )
    return tuple(each for each in Correction if each in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The convolutions of an int8 network that stay in float: the `layers`, and the `costliest` that cost most."""

    layers: tuple[str, ...] = ()
    costliest: int = 0

    @property
    def texts(self) -> list[str]:
        """The values of --keep that ask for this."""
        return [f"{_FLOAT}:{name}" for name in self.layers] + ([f"{_AUTO}:{self.costliest}"] if self.costliest else [])

    def require_in(self, convolutions: Collection[str]) -> None:
        """Raises `OptionError` unless a network with these `convolutions` has the layers, and as many."""
        unknown = next((name for name in self.layers if name not in convolutions), None)
        if unknown is not None:
            raise OptionError(f"--keep float: must name one of {', '.join(convolutions)}, got {unknown}")
        free = len(convolutions) - len(self.layers)
        if self.costliest > free:
            raise OptionError(f"--keep auto: must be at most {free}, the convolutions left, got {self.costliest}")


def parse_keep(texts: Sequence[str]) -> Keep:
    """What the values of --keep ask for: `float:LAYER` each, and `auto:N` at most once.

    Raises `OptionError` for any other form.
    """
    layers: dict[str, None] = {}
    counts: list[int] = []
    for text in texts:
        kind, _, value = text.partition(":")
        if kind == _FLOAT and value:
            layers[value] = None
        elif kind == _AUTO and value.isdecimal() and int(value) > 0:
            counts.append(int(value))
        else:
            raise OptionError(f"--keep must be float:LAYER or auto:N with N from 1, got {text}")
    if len(counts) > 1:
        raise OptionError(f"--keep auto:N can be given once, got {len(counts)} of them")
    return Keep(layers=tuple(layers), costliest=sum(counts))
