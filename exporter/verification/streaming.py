"""Feed images to a reference and to artifacts, a batch at a time, on all cores.

While the artifacts work on a batch, the next one is decoded and the reference answers it. LiteRT and onnxruntime
release the interpreter lock while they infer, so that threads are enough. What an answer is belongs to the task: it
gives functions from images to answers of any type.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Pixels, Preprocess

BATCH: Final = 32

Expected = TypeVar("Expected")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Images that are answered together: uint8 `pixels` (n, h, w, channels), and their `places` in the image set."""

    pixels: Pixels
    places: slice


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredBatch(Generic[Expected, Answer]):
    """What the reference expects of one batch, and the answers of the artifacts, in the order of these."""

    expected: Expected
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending(Generic[Expected, Answer]):
    """A batch that the artifacts are at work on."""

    expected: Expected
    answers: list[Future[Answer]]

    def result(self) -> AnsweredBatch[Expected, Answer]:
        return AnsweredBatch(expected=self.expected, answers=tuple(future.result() for future in self.answers))


def answered_batches(
    images: ImageSet,
    pixels: Preprocess,
    *,
    reference: Callable[[Batch], Expected],
    artifacts: Sequence[Callable[[Batch, Expected], Answer]],
    is_reference_shared: bool = False,
    batch: int = BATCH,
    workers: int | None = None,
) -> Iterator[AnsweredBatch[Expected, Answer]]:
    """The answers to all images, batch by batch in their order; at most three batches are held at once.

    Each of `artifacts` answers a batch beside what `reference` expects of it; none is called in two threads at once.
    The reference answers ahead, unless `is_reference_shared` says that it is one of the artifacts. `workers` artifacts
    run at once, as many as there are cores if it is None. Raises what the functions raise.
    """
    done, pending = 0, None
    with ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="verify") as pool:
        for content in _decoded_ahead(iter_pixels(images, pixels, batch=batch)):
            if pending and is_reference_shared:
                yield pending.result()
                pending = None
            current = Batch(pixels=content, places=slice(done, done + len(content)))
            done += len(content)
            expected = reference(current)
            if pending:
                yield pending.result()
            pending = _Pending(
                expected=expected, answers=[pool.submit(answer, current, expected) for answer in artifacts]
            )
        if pending:
            yield pending.result()


def _decoded_ahead(batches: Iterator[Pixels]) -> Iterator[Pixels]:
    """The same batches, each made while the one before it is worked on."""
    # Not one of the threads that decode: a task there must not wait for others of theirs.
    with ThreadPoolExecutor(1, thread_name_prefix="decode-ahead") as ahead:
        following = ahead.submit(next, batches, None)
        while (content := following.result()) is not None:
            following = ahead.submit(next, batches, None)
            yield content
