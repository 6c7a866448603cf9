"""Collect the answers to images: of all in this process, or of parts in several, which are then put together.

The parts of a set, each a whole number of batches, hold the same bytes as the set answered at once: no answer depends
on a batch beside its own.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.answers import Answers, empty, joined
from mbexport.verification.classification.baseline import Baseline, Expected, answered_by, answered_by_baseline
from mbexport.verification.classification.pairs import PairTally, tallies_of
from mbexport.verification.streaming import BATCH, AnsweredBatch, answered_batches

OnStep = Callable[[int, int, str], None]
_COLUMNS: Final = tuple(field.name for field in fields(Answers))
_REFERENCE: Final = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Everything that is kept of batches: answers, and the distances of pairs by the places of both artifacts."""

    reference: list[Answers]
    artifacts: list[list[Answers]]
    tallies: Mapping[tuple[int, int], PairTally]

    @classmethod
    def of(cls, subjects: Sequence[Subject]) -> "Collected":
        """Nothing yet."""
        return cls(
            reference=[empty()],
            artifacts=[[empty()] for _ in subjects],
            tallies=tallies_of(subjects),
        )

    def add(self, batch: AnsweredBatch[Expected, tuple[Answers, NDArray[Any]]]) -> None:
        """Add the answers to a batch."""
        self.reference.append(batch.expected.answers)
        for batches, (answers, _) in zip(self.artifacts, batch.answers, strict=True):
            batches.append(answers)
        for (a, b), tally in self.tallies.items():
            tally.add(batch.answers[a][1], batch.answers[b][1])

    def to_bytes(self) -> bytes:
        """All of it as an .npz file: a column each, and of each pair its distances."""
        arrays = dict(_columns(_REFERENCE, joined(self.reference)))
        for place, batches in enumerate(self.artifacts):
            arrays |= _columns(str(place), joined(batches))
        for (a, b), tally in self.tallies.items():
            arrays |= {f"{a}-{b}/{name}": values for name, values in tally.arrays().items()}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        return content.getvalue()

    def add_bytes(self, content: bytes) -> None:
        """Add what `to_bytes` made of the next images. Raises `DataError` for anything else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                self.reference.append(_answers(_REFERENCE, arrays))
                for place, batches in enumerate(self.artifacts):
                    batches.append(_answers(str(place), arrays))
                for (a, b), tally in self.tallies.items():
                    tally.add_arrays({name: arrays[f"{a}-{b}/{name}"] for name in tally.arrays()})
        except (KeyError, ValueError, OSError, EOFError) as error:
            raise DataError(f"the answers to a part of the images cannot be read: {error}") from None


class Collect(Protocol):
    """A way to collect the answers to all images."""

    def __call__(
        self,
        subjects: Sequence[Subject],
        images: ImageSet,
        pixels: Preprocess,
        *,
        reference: Baseline,
        on_step: OnStep,
    ) -> Collected:
        """The answers of the reference and of every artifact; `on_step` is told how many images are done."""


def collect(
    subjects: Sequence[Subject],
    images: ImageSet,
    pixels: Preprocess,
    *,
    reference: Baseline,
    batch: int = BATCH,
    workers: int | None = None,
    on_step: OnStep = lambda _done, _total, _text: None,
) -> Collected:
    """Feed the same images, cropped and resized by `pixels`, to the reference and to every artifact, in this process.

    The artifacts run side by side, `workers` at once, one a core if it is None; the result does not depend on it.
    Raises `DataError` for an image that cannot be read or an artifact that cannot be run.
    """
    collected = Collected.of(subjects)
    answered = 0
    for done in answered_batches(
        images,
        pixels,
        reference=answered_by_baseline(reference, images.labels),
        artifacts=[answered_by(subject, reference, images.labels) for subject in subjects],
        is_reference_shared=any(subject.runner is reference.runner for subject in subjects),
        batch=batch,
        workers=workers,
    ):
        collected.add(done)
        answered += len(done.expected.answers)
        on_step(answered, len(images), "images")
    return collected


def _columns(name: str, answers: Answers) -> Iterator[tuple[str, NDArray[Any]]]:
    return ((f"{name}/{column}", getattr(answers, column)) for column in _COLUMNS)


def _answers(name: str, arrays: Mapping[str, NDArray[Any]]) -> Answers:
    return Answers(**{column: arrays[f"{name}/{column}"] for column in _COLUMNS})
