"""Tests of the benchmark of calibration: how answers are compared, and which photos more are made of."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from mbexport.models.data.open import ImageSet

BENCH = Path(__file__).resolve().parent / "bench"


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """The modules of the benchmark, which are found beside its script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield {name: importlib.import_module(f"calibrating.{name}") for name in ("divergence", "variants")}


def divergence_of(bench: dict[str, ModuleType], path: Path, logits: np.ndarray, found: np.ndarray):
    np.savez(path, float=logits, integers=found, raw=logits)
    return bench["divergence"].Divergence.of(path)


def test_divergence_and_agreement_by_hand(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    # Two classes alike in float, three to one in integers: log(1/2 / (3/4)) / 2 + log(1/2 / (1/4)) / 2.
    logits = np.zeros((8, 2), np.float32)
    found = np.tile(np.log(np.float32([1, 3])), (8, 1))
    one = divergence_of(bench, tmp_path / "one.npz", logits, found)
    np.testing.assert_allclose(one.integers, np.log(4 / 3) / 2, rtol=1e-6)
    np.testing.assert_allclose(one.raw, 0, atol=1e-12)
    assert one.agreement == 0
    assert bench["divergence"].compared(one, one) == "+0.0 % [+0.0, +0.0]"


def test_variants_by_hand(bench: dict[str, ModuleType]) -> None:
    photo = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    variant = bench["variants"].Variant
    assert np.asarray(variant(is_mirrored=True).of(photo))[0].tolist() == [3, 2, 1, 0]
    assert np.asarray(variant(zoom=0.5).of(photo)).tolist() == [[5, 6], [9, 10]]
    images = ImageSet(labels=np.array([7, 8]), names=("a", "b"), read=lambda _: photo)
    more = bench["variants"].varied(images, [variant(), variant(zoom=0.5)], 3)
    assert (len(more), list(more.labels)) == (3, [7, 8, 7])
    assert [more.read(index).size for index in range(3)] == [(4, 4), (4, 4), (2, 2)]
    with pytest.raises(ValueError, match="2 images have 2 variants each, got 5"):
        bench["variants"].varied(images, [variant(), variant()], 5)
