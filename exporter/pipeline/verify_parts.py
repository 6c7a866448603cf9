"""Split the work of `mbexport verify` into parts of the images, for processes of this or of other machines.

It is split twice: first every image is looked at, since a copy of one may lie in any other part; then those that are
left are answered. Parts leave their results in a folder that all processes see, whole or not at all.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbexport.errors import StageError
from mbexport.files import Folder
from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.data.readable import ImageFindings, Look, joined_looks, look_at
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.collect import Collected, OnStep
from mbexport.verification.streaming import BATCH

LOOK, ANSWER = "look", "answer"
FINDINGS: Final = "findings.json"
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of `count` parts of a kind of work, `LOOK` or `ANSWER`; `number` counts from 0."""

    kind: str
    number: int
    count: int

    @property
    def text(self) -> str:
        """The part as `parse_part` reads it."""
        return f"{self.kind}:{self.number}/{self.count}"

    @property
    def file(self) -> str:
        """The name of the file that it leaves."""
        return f"{self.kind}-{self.number:05}.{'npz' if self.kind == ANSWER else 'json'}"

    def places(self, images: int) -> range:
        """Its share of so many images: whole batches, as one process would have made them."""
        batches = -(-images // BATCH)
        first, last = (batches * at // self.count * BATCH for at in (self.number, self.number + 1))
        return range(min(first, images), min(last, images))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The driver of `count` parts, which leave their results in `folder`.

    `run` has all of these parts done, wherever that is, and returns when they are; it is told nothing of what they are.
    """

    folder: Path
    count: int
    run: Callable[[Sequence[Part], OnStep], None]

    def look(self, images: ImageSet, on_step: OnStep) -> ImageFindings:
        """What is found by a look at every image; it also waits in the folder for those that answer."""
        looks = [_look(json.loads(content)) for content in self._done(LOOK, images, on_step)]
        findings = ImageFindings.of([joined_looks(looks)])
        leave(self.folder, FINDINGS, findings.to_json())
        return findings

    def collect(
        self,
        subjects: Sequence[Subject],
        images: ImageSet,
        pixels: Preprocess,  # noqa: ARG002  # whoever answers finds out the same
        *,
        reference: Baseline,  # noqa: ARG002
        on_step: OnStep,
    ) -> Collected:
        """The answers to all images, as one process would have collected them."""
        collected = Collected.of(subjects)
        for content in self._done(ANSWER, images, on_step):
            collected.add_bytes(content)
        answered = sum(map(len, collected.reference))
        if answered != len(images):
            raise StageError(f"every image must be answered once, got {answered} answers to {len(images)} images")
        return collected

    def _done(self, kind: str, images: ImageSet, on_step: OnStep) -> list[bytes]:
        """The files that all parts with an image leave."""
        parts = [Part(kind=kind, number=number, count=self.count) for number in range(self.count)]
        parts = [part for part in parts if part.places(len(images))]
        self.run(parts, on_step)
        return [(self.folder / part.file).read_bytes() for part in parts]


def leave_look(folder: Path, part: Part, images: ImageSet) -> None:
    """Look at a part of the images, and leave what is found."""
    look = look_at(images, part.places(len(images)))
    unreadable = {str(index): line for index, line in look.unreadable.items()}
    leave(folder, part.file, json.dumps({"unreadable": unreadable, "digests": look.digests.tolist()}).encode())


def findings_in(folder: Path) -> ImageFindings:
    """What the looks at all parts found."""
    return ImageFindings.from_json((folder / FINDINGS).read_bytes())


def leave(folder: Path, name: str, content: bytes) -> None:
    """Write a file that is whole as soon as it is there."""
    files = Folder(folder)
    files.write_new(f".{name}", content, mode=_MODE)
    files.move(f".{name}", name)


def _look(found: Any) -> Look:
    unreadable = {int(index): str(line) for index, line in found["unreadable"].items()}
    return Look(unreadable=unreadable, digests=np.array(found["digests"], np.uint64))
