"""Turns a whole number that a user gave into itself, if it lies within its legal range."""

from typing import Final

from mbexport.errors import OptionError

MAX_THREADS: Final = 256  # more than any phone or runner has; runtimes crash on absurd counts
MAX_RUNS: Final = 1_000_000
MAX_BATCH: Final = 1024  # a gigabyte of float activations at alpha 1 and 224 px
MAX_SEED: Final = 2**31 - 1


def require_within(name: str, value: int, least: int, most: int | None = None) -> None:
    """Raises `OptionError` unless `least` <= `value` <= `most`; without `most` there is no upper end."""
    if most is None and not value >= least:
        raise OptionError(f"{name} must be at least {least}, got {value}")
    if most is not None and not least <= value <= most:
        raise OptionError(f"{name} must be from {least} to {most}, got {value}")
