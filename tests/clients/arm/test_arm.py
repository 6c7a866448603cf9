"""Our files on emulated ARM processors, with and without dot products, answer as on this machine.

`FIGURES` says how far they were apart, for people to look at.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from clients.arm.processors import PROCESSORS, Answered, Processor, answer_here, answer_on
from clients.arm.sysroot import sysroot
from clients.environments import ROOT, UnreachableError

from mbexport.models.data.open import open_data, open_unlabelled

pytestmark = [pytest.mark.client, pytest.mark.timeout(3600)]

INT8, FP32 = ("int8.tflite", "int8.onnx"), ("fp32.tflite", "fp32.onnx")
DIGITS, PHOTOS = 225, 40
FIGURES = ROOT / "build" / "tests" / "arm.md"
# Sums of floats are added up in another order: some units of the last place of a probability, over 30 layers.
FLOAT_ERROR = 1e-5
# LiteRT's softmax of codes is another one on ARM (TFLITE_SOFTMAX_USE_UINT16_LUT in its optimized_ops.h): it looks up
# 16 bits, where x86 computes floats. What is one rounding apart is one code apart.
SOFTMAX_LSB = 1
Pair = tuple[Answered, Answered]


@pytest.fixture(scope="session", params=["digits", "photos"])
def network(request):
    """The shared small network with many digits, or the one of ImageNet with photos, where the shared data is."""
    found = request.getfixturevalue("digits_network" if request.param == "digits" else "imagenet_network")
    if request.param == "digits":
        _, images = open_data("digits").split(0)
        count = DIGITS
    else:
        images = open_unlabelled(request.getfixturevalue("shared_data") / "imagenet" / "eval").images
        count = PHOTOS
    chosen = [index * len(images) // count for index in range(count)]
    return replace(found, pixels=np.stack([found.preprocess.pixels(images.read(index)) for index in chosen]))


@pytest.fixture(scope="session")
def pair_of(network, tmp_path_factory) -> Callable[[str, Processor], Pair]:
    """What the artifact of a kind answers here and on a processor; each is asked once."""
    try:
        root = sysroot()
    except UnreachableError as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("arm")

    @cache
    def here(kind: str) -> Answered:
        return answer_here(network.file(kind), network.fed(kind), folder)

    @cache
    def pair(kind: str, processor: Processor) -> Pair:
        return here(kind), answer_on(processor, network.file(kind), network.fed(kind), folder, root=root)

    return pair


@pytest.fixture(params=PROCESSORS, ids=lambda each: each.name)
def processor(request) -> Processor:
    """Each of the emulated processors."""
    return request.param


@pytest.mark.parametrize("kind", [*INT8, *FP32])
def test_the_same_release_answers_with_the_kernels_of_that_processor(pair_of, network, processor, kind):
    here, there = pair_of(kind, processor)

    assert there.said == {**here.said, "machine": "aarch64", "has_dotprod": processor.has_dotprod}
    assert there.dot_products is not None
    assert (there.dot_products > 0) == (processor.has_dotprod and kind in INT8)
    assert len(np.unique(here.rows["outputs"], axis=0)) > 5  # one answer to everything would prove nothing
    np.testing.assert_array_equal(here.rows["outputs"], network.answers(kind))


def test_integers_are_the_same_to_the_bit(pair_of, processor):
    """All that XNNPACK and onnxruntime compute in integers: their roundings are one definition everywhere."""
    for kind, rows in zip(INT8, ("delegated", "outputs"), strict=True):
        here, there = pair_of(kind, processor)
        np.testing.assert_array_equal(there.rows[rows], here.rows[rows], err_msg=kind)


@pytest.mark.parametrize("kind", INT8)
def test_int8_files_give_the_same_class_and_codes_at_most_one_apart(pair_of, processor, kind):
    here, there = (answered.rows["outputs"].astype(np.int16) for answered in pair_of(kind, processor))

    assert np.abs(there - here).max() <= (SOFTMAX_LSB if kind == "int8.tflite" else 0)
    np.testing.assert_array_equal(there.argmax(axis=1), here.argmax(axis=1))


@pytest.mark.parametrize("kind", FP32)
def test_float_files_give_the_same_class_and_nearly_the_same_scores(pair_of, processor, kind):
    here, there = (answered.rows["outputs"] for answered in pair_of(kind, processor))

    np.testing.assert_allclose(there, here, rtol=0, atol=FLOAT_ERROR)
    np.testing.assert_array_equal(there.argmax(axis=1), here.argmax(axis=1))


def test_figures_are_kept_for_people(pair_of, network):
    lines = [_figures(*pair_of(kind, each), kind, each) for each, kind in product(PROCESSORS, [*INT8, *FP32])]

    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with FIGURES.open("a") as table:
        table.write("\n".join([f"{network.folder.name}, {len(network.pixels)} images", *lines, ""]))
    assert len(set(lines)) == len(PROCESSORS) * 4


def _figures(here: Answered, there: Answered, kind: str, processor: Processor) -> str:
    """A row of the table: how many images have the same class and the same bytes, and how far others are apart."""
    ours, theirs = (answered.rows["outputs"].astype(np.float64) for answered in (here, there))
    classes = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    distance: Any = np.abs(ours - theirs).max(axis=1)
    cells = (processor.name, kind, there.dot_products, classes, int((distance == 0).sum()), f"{distance.max():.2g}")
    return f"| {' | '.join(map(str, cells))} |"
