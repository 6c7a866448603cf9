"""Make golden vectors of verified detectors and a few photos: an app's unit test, in any language, replays them."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError, StageError
from mbexport.files import sha256_of
from mbexport.formats.registry import format_of
from mbexport.golden.answers import feeding_mistakes
from mbexport.golden.detection.answers import (
    LEAST_SCORE,
    Found,
    GoldenDetector,
    compare_brighter,
    compare_kernels,
    found_by,
    least_lost,
)
from mbexport.golden.detection.choice import Candidates, choose_photos
from mbexport.golden.detection.readme import readme_text
from mbexport.golden.detection.vectors import (
    Corners,
    DetectorArtifact,
    DetectorCase,
    DetectorGolden,
    GoldenTensor,
    Row,
)
from mbexport.golden.inputs import golden_input
from mbexport.golden.pictures import Pictures, drawn_pictures
from mbexport.golden.rounds import CANDIDATES, CASES, FAST_KERNELS, REFERENCE_KERNELS, SHORTLIST, SLOW, side_by_side
from mbexport.golden.vectors import FOLDER, INDEX, README
from mbexport.models.data.imageset import ImageSet
from mbexport.models.preprocess import Pixels, Preprocess

Files = dict[str, bytes]


def detector_golden_files(
    *,
    stem: str,
    licence: str | None,
    preprocess: Preprocess,
    labels: Sequence[str],
    detectors: Sequence[GoldenDetector],
    images: ImageSet,
    seed: int,
) -> Files:
    """The files of `golden/`, by their names from the folder above it; the same for the same files and images.

    `detectors` are the artifacts, at least one; `labels` name their classes. Of up to 24 images, drawn by `seed`, the
    best three make cases: `choose_photos` ranks them. Raises `StageError` if there is no image, or none in which every
    artifact finds something, `DataError` for a class without a label.
    """
    if not len(images):
        raise StageError("golden vectors need at least one image, got none")
    pictures, found = _cases(detectors, drawn_pictures(images, preprocess, most=CANDIDATES, seed=seed))
    golden = DetectorGolden(
        stem=stem,
        classes=len(labels),
        licence=licence,
        preprocess=preprocess,
        least_score=LEAST_SCORE,
        artifacts=tuple(map(_artifact, found)),
        cases=tuple(_case(place, pictures, found, labels) for place in range(len(pictures.raw))),
    )
    vectors = {}
    for place, case in enumerate(golden.cases):
        vectors[case.raw] = pictures.raw[place].tobytes()
        vectors[case.resized] = pictures.resized[place].tobytes()
    return {
        f"{FOLDER}/{INDEX}": golden.to_bytes(),
        f"{FOLDER}/{README}": readme_text(preprocess).encode(),
        **{f"{FOLDER}/{name}": content for name, content in vectors.items()},
    }


def _cases(detectors: Sequence[GoldenDetector], candidates: Pictures) -> tuple[Pictures, list[Found]]:
    """The photos that make cases, and what each artifact finds in them.

    In three rounds: what the slow kernels of the last one find otherwise makes rows unsafe, and may leave photos out.
    """
    with side_by_side() as each:
        quick = [detector for detector in detectors if detector.runner.precision not in SLOW] or detectors
        first = each(lambda detector: found_by(detector, candidates.resized), quick)
        kept = _choose(first, np.zeros(len(candidates.raw)), most=SHORTLIST)
        pictures, known = candidates.only(kept), {id(own.detector): own.only(kept) for own in first}
        second = each(lambda detector: _by_fast_kernels(known.get(id(detector)), detector, pictures.resized), detectors)
        mistakes = feeding_mistakes(pictures.resized)
        quick_found = [own for own in second if id(own.detector) in known]
        lost = np.min(each(lambda own: least_lost(own, mistakes), quick_found), axis=0)
        kept = _choose(second, lost, most=CASES)
        pictures, lost, second = pictures.only(kept), lost[kept], [own.only(kept) for own in second]
        third = each(lambda own: compare_kernels(own, pictures.resized, kernels=REFERENCE_KERNELS), second)
        kept = _choose(third, lost, most=CASES)
        return pictures.only(kept), [own.only(kept) for own in third]


def _by_fast_kernels(known: Found | None, detector: GoldenDetector, pixels: Pixels) -> Found:
    found = compare_kernels(known or found_by(detector, pixels), pixels, kernels=FAST_KERNELS)
    return compare_brighter(found, pixels)


def _choose(found: Sequence[Found], lost: NDArray[np.float64], *, most: int) -> list[int]:
    chosen = choose_photos(Candidates.of(found, lost), most=most)
    if not chosen:
        raise StageError(
            f"golden vectors need an image in which every artifact finds something, got none among {len(lost)}"
        )
    return chosen


def _artifact(found: Found) -> DetectorArtifact:
    runner = found.detector.runner
    return DetectorArtifact(
        file=runner.name,
        sha256=sha256_of(runner.path),
        format=format_of(runner.path).name,
        precision=runner.precision.value,
        input=golden_input(runner, found.detector.preprocess),
        outputs=tuple(GoldenTensor(name=each.name, dtype=each.dtype, shape=each.shape) for each in runner.outputs),
        tolerance=found.tolerance,
        spread=found.spread,
    )


def _case(place: int, pictures: Pictures, found: Sequence[Found], labels: Sequence[str]) -> DetectorCase:
    name, ending = f"case_{place}", pictures.ending(place)
    width, height = pictures.raw[place].size
    return DetectorCase(
        name=name,
        width=width,
        height=height,
        raw=f"{name}/raw.{ending}",
        resized=f"{name}/resized.{ending}",
        sha256=sha256(pictures.resized[place].tobytes()).hexdigest(),
        expected={own.detector.name: _rows(own, place, (width, height), labels) for own in found},
    )


def _rows(found: Found, photo: int, size: tuple[int, int], labels: Sequence[str]) -> tuple[Row, ...]:
    listed, safe = found.listed(photo), found.safe(photo)
    unknown = next((each for each in listed.classes.tolist() if each >= len(labels)), None)
    if unknown is not None:
        raise DataError(f"{found.detector.runner.path}: it finds class {unknown}, and there are {len(labels)} labels")
    return tuple(
        Row(
            index=int(index),
            label=labels[index],
            score=float(score),
            box=box,
            pixels=in_pixels(box, size),
            is_safe=bool(is_safe),
        )
        for index, score, box, is_safe in zip(
            listed.classes, listed.scores, map(_corners, listed.corners.tolist()), safe, strict=True
        )
    )


def _corners(values: Sequence[float]) -> Corners:
    ymin, xmin, ymax, xmax = values
    return ymin, xmin, ymax, xmax


def in_pixels(box: Corners, size: tuple[int, int]) -> Corners:
    """Left, top, right and bottom of a box in fractions of a photo, in its pixels; `size` is (width, height)."""
    (ymin, xmin, ymax, xmax), (width, height) = box, size
    return xmin * width, ymin * height, xmax * width, ymax * height
