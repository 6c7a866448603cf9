"""What texts ask of the task that a report is on: its gates, its columns, and how it puts quality into words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mbexport.report.formatting import Json
from mbexport.verification.gates import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column in a table of artifacts: its title, and the text in the row of an artifact of the report.

    One that `compares` says how an artifact differs from the reference, which itself has no such number.
    """

    title: str
    text: Callable[[Json], str]
    compares: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskText:
    """How a report on one task is told in words.

    - `gates`: the table of its gates.
    - `untitled(model)`: what a network is called whose title is not known.
    - `quality(entry)`: how good the reference or an artifact is, in a few words.
    - `guess(entry, reference)`: the same of a network that only guesses, beside what guessing gives; `orders` asks
      which order of its outputs may be another one.
    - `cut_on_purpose(sites)`: the tensors whose values the correction of logits cuts off on purpose.
    - `terminal`, `summary`, `card`: the columns on quality in the tables of artifacts there.
    - `agreement`: what the share of answers that two networks give alike is called; `alike` says what it is of.
    - `likeness(pair)`: how alike two files answer; `kernel_path(pair)`: the same of two kernel paths, in short.
    - `remarks(report)`: lines on what this task alone has.
    - `mediapipe`: the class of MediaPipe Tasks that reads its files.
    """

    gates: Gates
    untitled: Callable[[Json], str]
    quality: Callable[[Json], str]
    guess: Callable[[Json, Json], str]
    orders: str
    cut_on_purpose: Callable[[Sequence[str]], Sequence[str]]
    terminal: tuple[Column, ...]
    summary: tuple[Column, ...]
    card: tuple[Column, ...]
    agreement: str
    alike: str
    likeness: Callable[[Json], str]
    kernel_path: Callable[[Json], str]
    remarks: Callable[[Json], list[str]]
    mediapipe: str
