"""Turns images and artifacts into each artifact's answers, a batch at a time, on all cores.

While the artifacts work on a batch, the next one is decoded and the reference answers it. LiteRT and onnxruntime
release the interpreter lock while they infer, so that threads are enough.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject, probabilities
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.facts import Output
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.verify.classification.answers import Answers, Given, answers_of

BATCH: Final = 32

Reference = Callable[[Pixels], NDArray[np.float32]]  # uint8 images (n, px, px, channels) to scores (n, classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What artifacts are compared with: a name for people, a function to scores, and what kind of scores they are.

    `runner` is the one that the function uses, if it uses one: no artifact may be in two threads at once.
    """

    name: str
    kind: Output
    scores: Reference
    runner: Runner | None = None

    @classmethod
    def of(cls, subject: Subject) -> "Baseline":
        """An artifact as what others are compared with."""
        return cls(
            name=subject.name,
            kind=subject.kind,
            scores=lambda pixels: subject.scores(subject.raw(pixels)),
            runner=subject.runner,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One batch, answered: by the reference, then by each artifact in the order given, with its raw outputs."""

    reference: Answers
    artifacts: tuple[Answers, ...]
    raw: tuple[NDArray[Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """A batch that the artifacts are at work on."""

    reference: Answers
    artifacts: list[Future[tuple[Answers, NDArray[Any]]]] = field(default_factory=list)

    def result(self) -> Answered:
        done = [future.result() for future in self.artifacts]
        return Answered(
            reference=self.reference,
            artifacts=tuple(answers for answers, _ in done),
            raw=tuple(raw for _, raw in done),
        )


def answered_batches(
    subjects: Sequence[Subject],
    images: ImageSet,
    pixels: Preprocess,
    *,
    reference: Baseline,
    batch: int = BATCH,
    workers: int | None = None,
) -> Iterator[Answered]:
    """The answers to all images, batch by batch in their order; at most three batches are held at once.

    `workers` artifacts run at once, as many as there are cores if it is None. Raises `DataError` for an artifact
    that cannot be run.
    """
    is_shared = any(subject.runner is reference.runner for subject in subjects)
    labels = images.labels
    done, current = 0, None
    with ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="verify") as pool:
        for content in _decoded_ahead(iter_pixels(images, pixels, batch=batch)):
            if current and is_shared:
                yield current.result()
                current = None
            expected = _given(reference.scores(content), reference.kind)
            if current:
                yield current.result()
            truth = labels[done : done + len(content)]
            done += len(content)
            current = _Batch(reference=answers_of(expected, expected, truth))
            for subject in subjects:
                current.artifacts.append(pool.submit(_answers, subject, content, expected, truth, reference.kind))
        if current:
            yield current.result()


def _answers(
    subject: Subject, pixels: Pixels, expected: Given, truth: NDArray[np.int64], kind: Output
) -> tuple[Answers, NDArray[Any]]:
    """One artifact's answers to a batch, and its raw outputs; `kind` is that of the reference's scores."""
    raw = subject.raw(pixels)
    affine = subject.output.affine
    step = affine.scale[0] if affine is not None and subject.kind is kind else None
    return answers_of(_given(subject.scores(raw), subject.kind, step=step), expected, truth), raw


def _given(scores: NDArray[np.float32], kind: Output, *, step: float | None = None) -> Given:
    return Given(scores=scores, probabilities=probabilities(scores, kind), step=step)


def _decoded_ahead(batches: Iterator[Pixels]) -> Iterator[Pixels]:
    """The same batches, each made while the one before it is worked on."""
    # Not one of the threads that decode: a task there must not wait for others of theirs.
    with ThreadPoolExecutor(1, thread_name_prefix="decode-ahead") as ahead:
        following = ahead.submit(next, batches, None)
        while (content := following.result()) is not None:
            following = ahead.submit(next, batches, None)
            yield content
