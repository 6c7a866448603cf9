"""Names of observers and corrections, as the command line and plans have them. Imports nothing heavy."""

from enum import StrEnum
from typing import Final

from mbexport.errors import OptionError

ALL: Final = "all"
NONE: Final = "none"


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
