"""Tests of the benchmark of quantizers: its verdict fails closed, and a peer that breaks costs one row only."""

import importlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.formats.runner import Runner
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

BENCH = Path(__file__).resolve().parent / "bench"


@pytest.fixture(scope="module")
def quality() -> Iterator[dict[str, ModuleType]]:
    """The modules of the benchmark, which are found beside its script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        names = ("peers.copies", "peers.making", "quality.judging", "quality.table")
        yield {name.rpartition(".")[2]: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def row(quality):
    """Makes a row of alpha 0.25: right in `top1`, like float in `agreement` of the images."""

    def make(name, suffix="tflite", *, top1=0.5, agreement=1.0, size_bytes=1000, seconds=10.0, ratio=None):
        answers = quality["judging"].Answers(top1=top1, top1_ci95=(0.0, 1.0), agreement=agreement, changed=0, moved=0.0)
        made = quality["making"].Made(alpha=0.25, name=name, suffix=suffix, seconds=seconds)
        return quality["judging"].Row(made=made, answers=answers, size_bytes=size_bytes, p50_ms=1.0, ratio=ratio)

    return make


@pytest.fixture(scope="module")
def verdict(quality, row):
    """What is said of a target, given rows; float is right on half of the images."""
    reference = quality["judging"].Answers(top1=0.5, top1_ci95=(0.0, 1.0), agreement=1.0, changed=0, moved=0.0)

    def judge(quantity, limit, rows):
        target = quality["table"].Target(alpha=0.25, name="ours", quantity=quantity, limit=limit)
        return quality["table"].verdict(target, reference, rows, baseline="PTQ")

    return judge


def test_the_worse_of_two_files_decides(verdict, row):
    rows = [row("ours", agreement=0.97), row("ours", "onnx", agreement=0.955), row("peer", agreement=0.5)]

    assert verdict("agreement", 0.96, rows) == "target alpha 0.25, ours: agreement >= 96.0 % missed: 95.5 %"
    assert verdict("agreement", 0.95, rows) == "target alpha 0.25, ours: agreement >= 95.0 % reached: 95.5 %"


def test_points_lost_are_counted_from_float(verdict, row):
    rows = [row("ours", top1=0.496), row("ours", "onnx", top1=0.51)]

    assert verdict("top-1 lost", 0.005, rows).endswith("top-1 lost <= 0.5 points reached: 0.4 points")
    assert verdict("top-1 lost", 0.003, rows).endswith("top-1 lost <= 0.3 points missed: 0.4 points")


def test_size_is_compared_with_the_tflite_peer(verdict, row, quality):
    ratio = quality["judging"].Ratio(a="ours", b="PTQ", ratio=1.01, ci95=(1.0, 1.02))
    rows = [row("ours", size_bytes=1030, ratio=ratio), row("ours", "onnx", size_bytes=9000), row("PTQ")]

    assert verdict("size", 1.02, rows).endswith("size <= x 1.020 missed: x 1.030")
    assert verdict("latency", 1.03, rows).endswith("latency <= x 1.030 reached: x 1.010")


@pytest.mark.parametrize("quantity", ["agreement", "top-1 lost", "seconds", "latency", "size"])
def test_what_was_not_measured_is_missed(verdict, row, quality, quantity):
    failed = quality["judging"].Row(made=quality["making"].Made(alpha=0.25, name="ours", suffix="onnx", reason="x"))

    for rows in ([], [failed], [row("ours"), failed], [row("peer")]):
        assert "missed: not measured" in verdict(quantity, math.inf, rows)


@given(st.floats(0, 1), st.floats(0, 1))
def test_agreement_is_reached_exactly_from_its_limit_on(verdict, row, agreement, limit):
    assert (" reached: " in verdict("agreement", limit, [row("ours", agreement=agreement)])) == (agreement >= limit)


def test_a_failed_row_has_as_many_cells_as_the_others(quality, row):
    made = quality["making"].Made(alpha=0.25, name="peer", suffix="onnx", reason="no a|b")
    rows = [row("ours"), quality["judging"].Row(made=made)]

    lines = quality["table"].markdown(row("x").answers, rows).splitlines()[2:]

    assert {line.count("|") for line in lines if line} == {10}
    assert "failed: no a/b" in lines[-1]


def test_copies_of_images_count_for_agreement_alone(quality, tmp_path):
    np.save(tmp_path / "labels.npy", np.array([1, 2]))
    np.save(tmp_path / "scores.npy", np.eye(3)[[1, 1, 0, 2]])  # of two images and their copies
    scores = np.eye(3)[[1, 0, 0, 2]]
    scores[3] = 0.2, 0.0, 0.8
    found = quality["judging"]._judged(scores, tmp_path)
    assert (found.top1, found.agreement, found.changed) == (0.5, 0.75, 1)
    assert found.moved == pytest.approx((1 + 0.2) / 4)  # all of the second image's probability, a fifth of the last's


def test_copies_are_zoomed_about_the_centre_and_mirrored(quality):
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1).repeat(3, axis=3)
    found = quality["copies"].with_copies(image, [1.0, 2.0], is_mirrored=True)
    assert found.shape == (6, 4, 4, 3)
    np.testing.assert_array_equal(found[1], image[0])
    np.testing.assert_array_equal(found[2][0, 0, 0], 4)  # a quarter of a pixel off pixel 1: 0.75 * (4 + 1)
    np.testing.assert_array_equal(found[3:], found[:3, :, ::-1])


@pytest.mark.parametrize(
    ("dtype", "affine", "expected"),
    [
        ("uint8", Affine(scale=(1 / 127.5,), zero_point=(127,)), [0, 127, 255]),
        ("float32", Affine(scale=(1 / 128,), zero_point=(0,)), [-1.0, -0.5 / 127.5, 1.0]),
        ("int8", Affine(scale=(0.01,), zero_point=(1,)), [-99, 1, 101]),
        ("int8", Affine(scale=(0.007,), zero_point=(1,)), [-128, 0, 127]),
    ],
)
def test_every_file_is_fed_what_it_wants(quality, dtype, affine, expected):
    source = TensorSpec(name="image", shape=(1, 1, 3, 1), dtype=dtype, affine=affine)

    class Fed(Runner):
        def __init__(self):
            self.input, self.path = source, Path("x.tflite")

        def metadata(self):
            return {}

        def _invoke(self, feed):
            return feed

    image = np.array([0, 127, 255], np.uint8).reshape(1, 1, 3, 1)
    fed = quality["judging"].feed(Fed(), image, Preprocess(resolution=Resolution.square(3), channels=1))

    assert fed.dtype == dtype
    assert fed.reshape(-1).tolist() == pytest.approx(expected)


def test_a_peer_that_breaks_is_a_row_with_its_reason(quality, tmp_path):
    script = tmp_path / "breaks.py"
    script.write_text("print('at work')\nraise SystemExit('the disk is made of cheese')\n")
    peer = quality["making"].Peer(name="peer", script=str(script), suffix="onnx")

    made = quality["making"].made_by_peer(peer, 0.25, tmp_path, tmp_path)

    assert (made.path, made.reason) == (None, "the disk is made of cheese")
    assert math.isnan(made.seconds)


def test_a_peer_that_works_leaves_its_file_and_seconds(quality, tmp_path):
    script = tmp_path / "works.py"
    script.write_text(
        f"import sys\nsys.path.append({str(BENCH / 'peers')!r})\nfrom task import run\n"
        "run(lambda given, made, rest: made.write_text(f'{given.name} {rest}'), package='numpy')\n"
    )
    peer = quality["making"].Peer(name="peer", script=str(script), suffix="onnx", arguments=("7",))

    made = quality["making"].made_by_peer(peer, 0.25, Path("given"), tmp_path)

    assert made.path is not None
    assert made.path.read_text() == "given ['7']"
    assert made.seconds >= 0
    assert made.version == f"numpy {np.__version__}"


def test_what_is_thinned_is_spread_over_the_folder(quality, tmp_path):
    for index in range(10):
        file = tmp_path / "all" / f"class{index}" / f"{index}.jpg"
        file.parent.mkdir(parents=True)
        file.write_text(str(index))

    few = quality["making"].thinned(tmp_path / "all", 4, tmp_path / "few")

    assert sorted(file.read_text() for file in few.glob("*/*")) == ["0", "2", "5", "7"]


def test_without_the_shared_data_it_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCH / "bench_quality.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MBEXPORT_SHARED_DATA": str(tmp_path / "missing")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "MBEXPORT_SHARED_DATA" in done.stderr
