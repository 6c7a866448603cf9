"""The images of a run: to train, calibrate, verify and make golden vectors, without those that cannot be read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from mbexport.errors import DataError
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.open import DataSet, ImageSet, LeftOut, Unlabelled, open_unlabelled
from mbexport.models.data.readable import ImageFindings, ReadableSets, check_images, drop_unreadable
from mbexport.pipeline.plan import BuildPlan, Trained
from mbexport.pipeline.stage_files import UNREADABLE

_VALIDATION: Final = "validation"
_MOST_GOLDEN: Final = 100  # they are read before any work, to choose three
Value = TypeVar("Value")


class ImageSets:
    """The images of a run: what it learns from, calibrates on, and is verified on; opened when they are needed.

    Without `data` there are only the calibration images: artifacts are then compared on these, without labels.
    Without a calibration folder the training images serve.
    """

    def __init__(self, plan: BuildPlan, data: DataSet | None) -> None:
        if data is None and plan.calibration is None:
            raise DataError("images are needed to calibrate and to verify on: give --data, --calibration or both")
        self._plan, self._data = plan, data
        links = plan.follow_links
        self._unlabelled = open_unlabelled(plan.calibration, follow_links=links) if plan.calibration else None
        self._golden = _open_golden(plan.golden, follow_links=links) if plan.golden else None
        self._sets: dict[str, ImageSet] | None = None
        self._readable: ReadableSets | None = None

    @property
    def train(self) -> ImageSet:
        """The images to learn from; labels mean something only where a network is trained."""
        sets = self._opened()
        return sets["train"] if "train" in sets else sets["calibration"]

    @property
    def test(self) -> ImageSet:
        """The images that artifacts are verified on: of copies of one picture the first alone, once that is known."""
        return self._of_test(self._readable.distinct) if self._readable else self._whole_test

    @property
    def validation(self) -> ImageSet | None:
        """The images that the user put aside to choose the best epoch on."""
        if self._data is None or not self._data.has_validation:
            return None
        return self._opened().get(_VALIDATION, self._whole_test)

    @property
    def is_validated_on_test(self) -> bool:
        """Whether the best epoch is chosen on the images that artifacts are verified on."""
        return self._data is not None and self._data.has_validation and self._data.validation is None

    @property
    def calibration(self) -> ImageSet:
        """The images whose activations decide the ranges."""
        sets = self._opened()
        return sets["calibration" if self._unlabelled else "train"]

    @property
    def golden(self) -> ImageSet:
        """The images of which golden vectors are made."""
        return self._golden.images if self._golden else self._whole_test

    @property
    def is_golden_labelled(self) -> bool:
        """Whether their labels mean something."""
        return self._golden is None and self.is_labelled

    @property
    def is_labelled(self) -> bool:
        """Whether the test images have labels that mean something."""
        return self._data is not None

    def boxed(self, images: ImageSet) -> BoxedImages:
        """Images of the data with the objects in them."""
        assert self._data is not None
        assert self._data.objects is not None
        return BoxedImages(images=images, boxes=self._data.objects(images.names))

    @property
    def is_photos(self) -> bool:
        """Whether the images are photos, in files of their own."""
        return self._data is None or self._data.is_photos

    @property
    def has_files(self) -> bool:
        """Whether any image is read from a file, which may be damaged."""
        return self.is_photos or self._unlabelled is not None

    @property
    def fingerprints(self) -> tuple[str, str]:
        """What decides the labelled and the calibration images."""
        data = self._data.fingerprint if self._data else ""
        return data, self._unlabelled.fingerprint if self._unlabelled else data

    @property
    def golden_fingerprint(self) -> str | None:
        """What decides the images of golden vectors, where these are others than the test images."""
        return self._golden.fingerprint if self._golden else None

    @property
    def left_out(self) -> LeftOut:
        """What lies in the folders of images and is not read, of each folder once."""
        found = self._data.left_out if self._data else LeftOut()
        listed = {os.path.realpath(root) for root in self._data.class_roots} if self._data else set()
        for folder, images in ((self._plan.calibration, self._unlabelled), (self._plan.golden, self._golden)):
            if folder and images and os.path.realpath(folder) not in listed:
                listed.add(os.path.realpath(folder))
                found = found.and_of(images.left_out)
        return found

    @property
    def checked(self) -> int | None:
        """How many images were decoded, and could be; None where none had to."""
        return self._readable.checked - len(self._readable.bad) if self._readable else None

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """The images that cannot be read, each with the reason."""
        return self._readable.bad if self._readable else ()

    @property
    def copies(self) -> tuple[tuple[str, str], ...]:
        """The test images that are copies of others, each with the first of these."""
        return self._of_test(self._readable.copies) if self._readable else ()

    def contents(self) -> Mapping[str, str]:
        """A hash of what each kind of images holds, labelled ones as `data`; reads every file that there is."""
        contents = {"data": self._data.contents()} if self._data else {}
        if self._unlabelled:
            contents["calibration"] = self._unlabelled.contents()
        if self._golden:
            contents["golden"] = self._golden.contents()
        return contents

    def look(self) -> Mapping[str, bytes]:
        """Decodes every image once: which cannot be read, as a file that `leave_out` takes.

        Raises `DataError` if that is more than the plan allows: a refused run must leave nothing behind.
        """
        sets = list(self._opened().values())
        findings = check_images(sets)
        drop_unreadable(sets, max_bad=self._plan.max_bad, findings=findings)
        return {UNREADABLE: findings.to_json()}

    def leave_out(self, findings: Path) -> None:
        """Takes out what cannot be read. Raises `DataError` if that is more than the plan allows."""
        opened = self._opened()
        found = ImageFindings.from_json(findings.read_bytes())
        self._readable = drop_unreadable(list(opened.values()), max_bad=self._plan.max_bad, findings=found)
        self._sets = dict(zip(opened, self._readable.sets, strict=True))

    @property
    def _whole_test(self) -> ImageSet:
        """The test images, copies among them."""
        return self._opened()["test"] if self._data else self.calibration

    def _of_test(self, parts: tuple[Value, ...]) -> Value:
        """Of values for each set the one for the test images."""
        return parts[list(self._opened()).index("test" if self._data else "calibration")]

    def _opened(self) -> dict[str, ImageSet]:
        """Every set once, by what it is for."""
        if self._sets is None:
            self._sets = {}
            is_trained = isinstance(self._plan.origin, Trained)
            if self._data and (self._unlabelled is None or is_trained):
                self._sets["train"], self._sets["test"] = self._data.split(self._plan.seed)
                if is_trained:
                    _require_every_class(self._data, self._sets["train"])
                    self._sets |= {_VALIDATION: self._data.validation()} if self._data.validation else {}
            elif self._data:
                self._sets["test"] = self._data.evaluation(self._plan.seed)
            if self._unlabelled:
                self._sets["calibration"] = self._unlabelled.images
        return self._sets


def _require_every_class(data: DataSet, train: ImageSet) -> None:
    """Raises `DataError` for a class that nothing could be learned of."""
    labels = train.labels
    if data.objects is not None:
        labels = np.concatenate([each.classes for each in data.objects(train.names)])
    missing = sorted(set(range(len(data.class_names))) - set(np.unique(labels).tolist()))
    if missing:
        raise DataError(
            f"class {data.class_names[missing[0]]} must have an image to learn from, got none in {data.name}"
        )


def _open_golden(folder: Path, *, follow_links: bool) -> Unlabelled:
    """The images of golden vectors. Raises `DataError`, before any work, for one that cannot be read."""
    if not folder.is_dir():
        raise DataError(f"golden images must lie in a folder, got {folder}")
    found = open_unlabelled(folder, follow_links=follow_links)
    images = found.images
    if len(images) > _MOST_GOLDEN:
        raise DataError(f"{folder} must hold at most {_MOST_GOLDEN} golden images, got {len(images)}")
    for index in range(len(images)):
        images.read(index)
    return found
