"""The tree of errors, each with its exit code, and the limits of options that several commands share.

    MbexportError
    ├── InputError           2   options or files of the user cannot be used; nothing was written
    │   ├── OptionError      2   an option's value is outside its legal range
    │   ├── DataError        2   a data folder, an image or an artifact cannot be used
    │   └── OutputError      2   the output folder cannot be written to, or another run is using it
    └── StageError           3   a stage failed after the work had begun
        └── StorageError     3   the disk is read-only or full

A gate that fails is a result, not an error (exit code 1). Any other exception is a bug and keeps its traceback.
A message names the option or file, what is legal and what was given: `alpha must be in (0, 1], got 3`.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_DONE = 0
EXIT_GATE_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_STAGE_FAILED = 3
EXIT_SIGNALLED = 128  # and the number of the signal, as in shells: 129 hang-up, 130 Ctrl-C, 143 termination
MAX_THREADS: Final = 256  # more than any phone or runner has; runtimes crash on absurd counts
MAX_RUNS: Final = 1_000_000
MAX_BATCH: Final = 1024  # a gigabyte of float activations at alpha 1 and 224 px
MAX_SEED: Final = 2**31 - 1
_LIKENESS: Final = 0.7  # of spellings, from 0 to 1: below, a suggestion is a guess


class MbexportError(Exception):
    """The root of the tree. The command line catches it, once, and prints it as one line."""

    exit_code = EXIT_STAGE_FAILED


class InputError(MbexportError):
    """Options or files of the user cannot be used; nothing was written."""

    exit_code = EXIT_BAD_INPUT


class OptionError(InputError):
    """An option's value is outside its legal range."""


class DataError(InputError):
    """A data folder, an image or an artifact cannot be used."""


class OutputError(InputError):
    """The output folder cannot be written to, or another run is using it."""


class StageError(MbexportError):
    """A stage failed after the work had begun."""


class StorageError(StageError):
    """The disk is read-only or full."""


def did_you_mean(word: str, known: "Iterable[str]", *, prefix: str = "") -> str:
    """The question whether the known word that is spelled most like `word` is meant; empty if none is like it."""
    from difflib import get_close_matches  # only an error needs it

    nearest = get_close_matches(word, known, n=1, cutoff=_LIKENESS)
    return f"did you mean {prefix}{nearest[0]}?" if nearest else ""


def require_within(name: str, value: int, least: int, most: int | None = None) -> None:
    """Raise `OptionError` unless `least` <= `value` <= `most`; without `most` there is no upper limit."""
    if most is None and not value >= least:
        raise OptionError(f"{name} must be at least {least}, got {value}")
    if most is not None and not least <= value <= most:
        raise OptionError(f"{name} must be from {least} to {most}, got {value}")
