"""Turns names on the command line into how calibration finds ranges and which corrections it makes; loads nothing."""

from enum import StrEnum
from typing import Final

from mbexport.errors import OptionError

ALL: Final = "all"
NONE: Final = "none"


class Observer(StrEnum):
    """How the values that pass through a tensor become its range."""

    MINMAX = "minmax"
    MOVING_AVERAGE = "moving-average"
    PERCENTILE = "percentile"
    MSE = "mse"
    ENTROPY = "entropy"
    AUTO = "auto"  # the one of the others whose answers are nearest to float's


# What `auto` chooses from; of two that are equally near the first.
CANDIDATES: Final = tuple(each for each in Observer if each is not Observer.AUTO)


class Correction(StrEnum):
    """What is done beside rounding each weight to its nearest code."""

    COPIES = "copies"
    EQUALIZATION = "equalization"
    ROUNDING = "rounding"
    BIAS = "bias"
    LOGITS = "logits"


def parse_observer(text: str) -> Observer:
    """The observer of that name. Raises `OptionError` for another one."""
    if text not in set(Observer):
        raise OptionError(f"observer must be one of {', '.join(Observer)}, got {text}")
    return Observer(text)


def parse_corrections(text: str) -> tuple[Correction, ...]:
    """What `all`, `none` or a list of names with commas says, in the order of `Correction`.

    Raises `OptionError` for another name.
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
