"""How far integers answer from float, image by image, and whether two sets of integers differ in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from calibrating.variants import EVALUATED
from numpy.typing import NDArray

_DRAWS: Final = 2000

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The Kullback-Leibler divergence from float's probabilities on each image, in nats, (images,) each.

    `integers` is that of the file, `raw` that with logits which are not rounded; `agreement` the share of images, 0 to
    1, on which the file and float have the same top class.
    """

    integers: Array
    raw: Array
    agreement: float

    @classmethod
    def of(cls, answers: Path) -> "Divergence":
        """That of the logits in a file that `measured.py` wrote."""
        stored = np.load(answers)
        expected = stored["float"]
        return cls(
            integers=_divergences(expected, stored["integers"]),
            raw=_divergences(expected, stored["raw"]),
            agreement=float((expected.argmax(axis=1) == stored["integers"].argmax(axis=1)).mean()),
        )


def compared(one: Divergence, other: Divergence) -> str:
    """The change of the mean divergence from `other` to `one` in percent, with a 95 % interval.

    Bootstrapped over photos: the variants of one are no images of their own.
    """
    first, second = (each.integers.reshape(len(EVALUATED), -1).mean(axis=0) for each in (one, other))
    drawn = np.random.default_rng(0).integers(0, len(first), (_DRAWS, len(first)))
    ratios = first[drawn].mean(axis=1) / second[drawn].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    change = first.mean() / second.mean()
    return f"{100 * (change - 1):+.1f} % [{100 * (low - 1):+.1f}, {100 * (high - 1):+.1f}]"


def _divergences(expected: NDArray[np.float32], found: NDArray[np.float32]) -> Array:
    p, q = (_log_softmax(values.astype(np.float64)) for values in (expected, found))
    return np.asarray((np.exp(p) * (p - q)).sum(axis=1))


def _log_softmax(values: Array) -> Array:
    shifted = values - values.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
