"""Compare what Core ML packages are simulated to answer with the float network: Core ML itself runs elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.coreml.package import Files, package_of
from mbexport.formats.coreml.simulation import SimulatedPackage
from mbexport.models.data.imageset import ImageSet, iter_pixels
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.progress import Progress
from mbexport.verification.classification.answers import NO_ANSWER, best
from mbexport.verification.kernel_paths import evenly_spread
from mbexport.verification.statistics import wilson_interval

Json = dict[str, Any]
_BATCH: Final = 8


def compare_packages(
    packages: Mapping[str, Files],
    reference: Callable[[Pixels], NDArray[np.float32]],
    images: ImageSet,
    pixels: Preprocess,
    *,
    most: int,
    progress: Progress,
) -> list[Json]:
    """How each package, by its name, is simulated to answer beside `reference`, on at most `most` of the images.

    `reference` gives the scores (n, classes) of uint8 images (n, h, w, channels). A package that cannot be simulated is
    an entry with the reason.
    """
    chosen = images.subset(evenly_spread(len(images), most))
    content = [(batch, reference(batch)) for batch in iter_pixels(chosen, pixels, batch=_BATCH)]
    found = []
    for done, (name, files) in enumerate(packages.items()):
        progress.step(done, len(packages), name)
        try:
            simulated = SimulatedPackage(package_of(files, name=name), name=name)
            pairs = [(simulated.scores(batch), expected) for batch, expected in content]
            found.append(_compared(pairs))
        except DataError as error:
            found.append({**_compared([]), "failure": str(error)})
    return found


def _compared(pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Json:
    """Agreement of the simulated scores with those expected, batch by batch."""
    count = sum(len(scores) for scores, _ in pairs)
    alike = sum(int(each.sum()) for each in _alike(pairs))
    worst = max((float(np.abs(scores - expected).max()) for scores, expected in pairs), default=np.nan)
    return {
        "images": count,
        "agreement": alike / count if count else None,
        "agreement_ci95": list(wilson_interval(alike, count)) if count else None,
        "max_abs_error": worst,
    }


def _alike(pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Iterator[NDArray[np.bool_]]:
    for scores, expected in pairs:
        answers = best(scores), best(expected)
        yield (answers[0] == answers[1]) & (answers[0] != NO_ANSWER)
