"""The images of a run: to train, calibrate, verify and make golden vectors, without those that cannot be read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.models.data.open import DataSet, ImageSet, open_unlabelled, unlabelled_contents
from mbexport.models.data.readable import ReadableSets, UnreadableImages, check_images, drop_unreadable
from mbexport.pipeline.plan import BuildPlan, Trained
from mbexport.pipeline.stage_files import UNREADABLE

_MOST_GOLDEN: Final = 100  # they are read before any work, to choose three


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
        self.readable: ReadableSets | None = None

    @property
    def train(self) -> ImageSet:
        """The images to learn from; labels mean something only where a network is trained."""
        sets = self._opened()
        return sets["train"] if "train" in sets else sets["calibration"]

    @property
    def test(self) -> ImageSet:
        """The images that artifacts are verified on."""
        return self._opened()["test"] if self._data else self.calibration

    @property
    def validation(self) -> ImageSet | None:
        """The images that the user put aside to choose the best epoch on; artifacts are verified on the same."""
        return self.test if self._data and self._data.has_validation else None

    @property
    def calibration(self) -> ImageSet:
        """The images whose activations decide the ranges."""
        sets = self._opened()
        return sets["calibration" if self._unlabelled else "train"]

    @property
    def golden(self) -> ImageSet:
        """The images of which golden vectors are made."""
        return self._golden[0] if self._golden else self.test

    @property
    def is_golden_labelled(self) -> bool:
        """Whether their labels mean something."""
        return self._golden is None and self.is_labelled

    @property
    def is_labelled(self) -> bool:
        """Whether the test images have labels that mean something."""
        return self._data is not None

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
        return data, self._unlabelled[1] if self._unlabelled else data

    @property
    def golden_fingerprint(self) -> str | None:
        """What decides the images of golden vectors, where these are others than the test images."""
        return self._golden[1] if self._golden else None

    def contents(self) -> Mapping[str, str]:
        """A hash of what each kind of images holds, labelled ones as `data`; reads every file that there is."""
        contents = {"data": self._data.contents()} if self._data else {}
        links = self._plan.follow_links
        if self._plan.calibration:
            contents["calibration"] = unlabelled_contents(self._plan.calibration, follow_links=links)
        if self._plan.golden:
            contents["golden"] = unlabelled_contents(self._plan.golden, follow_links=links)
        return contents

    def look(self) -> Mapping[str, bytes]:
        """Decodes every image once: which cannot be read, as a file that `leave_out` takes.

        Raises `DataError` if that is more than the plan allows: a refused run must leave nothing behind.
        """
        sets = list(self._opened().values())
        findings = check_images(sets)
        drop_unreadable(sets, max_bad=self._plan.max_bad, unreadable=findings)
        return {UNREADABLE: findings.to_json()}

    def leave_out(self, findings: Path) -> None:
        """Takes out what cannot be read. Raises `DataError` if that is more than the plan allows."""
        opened = self._opened()
        found = UnreadableImages.from_json(findings.read_bytes())
        self.readable = drop_unreadable(list(opened.values()), max_bad=self._plan.max_bad, unreadable=found)
        self._sets = dict(zip(opened, self.readable.sets, strict=True))

    def _opened(self) -> dict[str, ImageSet]:
        """Every set once, by what it is for."""
        if self._sets is None:
            self._sets = {}
            if self._data and (self._unlabelled is None or isinstance(self._plan.origin, Trained)):
                self._sets["train"], self._sets["test"] = self._data.split(self._plan.seed)
            elif self._data:
                self._sets["test"] = self._data.evaluation(self._plan.seed)
            if self._unlabelled:
                self._sets["calibration"] = self._unlabelled[0]
        return self._sets


def _open_golden(folder: Path, *, follow_links: bool) -> tuple[ImageSet, str]:
    """The images and their fingerprint. Raises `DataError`, before any work, for one that cannot be read."""
    if not folder.is_dir():
        raise DataError(f"golden images must lie in a folder, got {folder}")
    images, fingerprint = open_unlabelled(folder, follow_links=follow_links)
    if len(images) > _MOST_GOLDEN:
        raise DataError(f"{folder} must hold at most {_MOST_GOLDEN} golden images, got {len(images)}")
    for index in range(len(images)):
        images.read(index)
    return images, fingerprint
