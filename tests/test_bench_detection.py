"""Tests of the benchmark of detectors: its table by hand, and what a peer's network becomes with our tail behind it."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from detection_scenes import changed, scenes
from heads_by_hand import core_tflite, onnx_model
from hypothesis import given
from hypothesis import strategies as st

from mbexport.formats.detection_tail import OUTPUTS, DetectionTail
from mbexport.formats.onnx.detection_core import detection_tail_of as onnx_tail_of
from mbexport.formats.onnx.detection_core import without_detection_tail
from mbexport.formats.tflite.detection_core import detection_tail_of as tflite_tail_of
from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.models.detection.settings import PostProcess
from mbexport.models.resolution import Resolution
from mbexport.verification.detection.collect import Collected
from mbexport.verification.detection.comparison import Asked, compared

BENCH = Path(__file__).resolve().parent / "bench"
SIZES = (3, 2)  # places of each map
LEFT, RIGHT = [0.0, 0.0, 1.0, 0.5], [0.0, 0.5, 1.0, 1.0]
NOTHING = Detections.of([], [], [])
SEEDS = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """The modules of the benchmark, which are found beside its script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        names = ("peers.making", "peers.tails", "quality.judging", "detection.table")
        yield {name.rpartition(".")[2]: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def row(bench):
    """Makes the row of a .tflite that finds `own` where float finds `reference` and there are the objects `truth`."""

    def make(name, truth, reference, own, *, ratio=None, path=None):
        collected = Collected(reference=reference, artifacts=(own,), sizes=(Resolution.square(200),) * len(truth))
        asked = Asked(names=[str(place) for place in range(len(truth))], truth=truth, classes=3)
        (answers,) = compared(collected, [name], asked, is_network=True).artifacts
        made = bench["making"].Made(alpha=0.25, name=name, suffix="tflite", path=path)
        return bench["judging"].Row(made=made, answers=answers, size_bytes=390_000, p50_ms=1.234, ratio=ratio)

    return make


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def value_of(cell: str) -> float:
    return float(cell.split(maxsplit=1)[0])


def test_a_table_by_hand(bench, row):
    """Of four images with two objects each, both found by float, one is left empty and one keeps the first object."""
    truth = (Boxes.of([LEFT, RIGHT], [0, 1]),) * 4
    every = (Detections.of([LEFT, RIGHT], [0, 1], [0.9, 0.8]),) * 4
    lossy = (*every[:2], NOTHING, every[3].take(np.array([0])))
    ratio = bench["judging"].Ratio(a="ours", b="PTQ", ratio=1.5, ci95=(1.25, 1.75))

    head, rule, line, *_ = bench["table"].markdown([row("ours", truth, every, lossy, ratio=ratio)]).splitlines()

    cells = dict(zip(cells_of(head), cells_of(line), strict=True))
    assert rule.count("---") == len(cells)
    assert (cells["quantizer"], cells["file"]) == ("ours", ".tflite")
    # Three of four objects of one class, two of four of the other: recalls up to 0.75 and 0.5 are reached.
    precision = (76 / 101 + 51 / 101) / 2
    assert value_of(cells["AP [95 %]"]) == value_of(cells["AP50 [95 %]"]) == round(precision, 3)
    assert value_of(cells["AP points lost [95 %]"]) == round(100 * (1 - precision), 1)
    assert value_of(cells["float's detections kept % [95 %]"]) == 62.5
    assert value_of(cells["its own that float has % [95 %]"]) == 100
    assert (cells["MB"], cells["p50 ms"]) == ("0.39", "1.23")
    assert cells["x its runtime's own PTQ [95 %]"] == "1.50 [1.25, 1.75]"


def test_where_nothing_is_found_there_is_no_share(bench, row):
    truth = (Boxes.of([LEFT], [0]),) * 3

    line = bench["table"].markdown([row("ours", truth, (NOTHING,) * 3, (NOTHING,) * 3)]).splitlines()[2]

    assert cells_of(line)[2:7] == ["0.000 [0.000, 0.000]", "0.000 [0.000, 0.000]", "0.0 [0.0, 0.0]", "-", "-"]


def test_float_itself_loses_nothing(bench, row):
    drawn = scenes(3, images=8)

    line = bench["table"].markdown([row("float", drawn.truth, drawn.detections, drawn.detections)]).splitlines()[2]

    lost, *shares = cells_of(line)[4:7]
    assert lost == "0.0 [0.0, 0.0]"
    assert [value_of(share) for share in shares] == [100, 100]


@given(SEEDS, st.floats(0, 0.1))
def test_what_one_keeps_of_the_other_is_what_the_other_has_too(bench, row, seed, by):
    drawn = scenes(seed, images=3)
    moved = changed(drawn.detections, seed, by=by)

    text = bench["table"].markdown(
        [row("there", drawn.truth, drawn.detections, moved), row("back", drawn.truth, moved, drawn.detections)]
    )

    there, back = map(cells_of, text.splitlines()[2:4])
    assert len(there) == len(back) == 10
    assert (there[5], there[6]) == (back[6], back[5])
    assert value_of(there[4]) == -value_of(back[4])


def test_a_failed_row_has_as_many_cells_as_the_others(bench):
    made = bench["making"].Made(alpha=0.25, name="peer", suffix="onnx", version="peer 1", reason="no a|b")

    head, _, line, *_ = bench["table"].markdown([bench["judging"].Row(made=made)]).splitlines()

    assert len(cells_of(line)) == len(cells_of(head))
    assert line.startswith("| peer (peer 1) | .onnx | failed: no a/b |")


def test_what_changed_nothing_is_said(bench, row, tmp_path):
    truth, found = (Boxes.of([LEFT], [0]),) * 2, (NOTHING,) * 2
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, content in zip(paths, (b"one", b"one", b"other"), strict=True):
        path.write_bytes(content)

    text = bench["table"].markdown([row(path.name, truth, found, found, path=path) for path in paths])

    assert text.splitlines()[6:] == ["The .tflite of a and that of b are one file, byte for byte."]


def tail_by_hand(maps: int = len(SIZES)) -> DetectionTail:
    """The tail of so many maps."""
    return DetectionTail(
        anchors=np.tile(np.float32([0.5, 0.5, 0.4, 0.4]), (sum(SIZES[:maps]), 1)),
        code_scales=(10.0, 10.0, 5.0, 5.0),
        classes=3,
        settings=PostProcess(score_threshold=0.25, max_detections=4),
        maps=maps,
    )


CORES = {
    "tflite": core_tflite,
    "onnx": lambda tail, sizes: without_detection_tail(onnx_model(tail, sizes)),
}
TAIL_OF = {"tflite": tflite_tail_of, "onnx": onnx_tail_of}


def core_of(bench, folder: Path, suffix: str, *, maps: int = len(SIZES)):
    """The row of a network with the heads of so many maps, as a peer's script leaves it."""
    path = folder / f"peer.{suffix}"
    path.write_bytes(CORES[suffix](tail_by_hand(maps), SIZES[:maps]))
    return bench["making"].Made(alpha=0.25, name="peer", suffix=suffix, path=path, version="peer 1")


@pytest.mark.parametrize("suffix", CORES)
def test_a_peers_network_gets_our_tail(bench, tmp_path, suffix):
    tail, core, to = tail_by_hand(), core_of(bench, tmp_path, suffix), tmp_path / "files"
    to.mkdir()

    whole = bench["tails"].with_our_tail(core, tail, to)

    assert (whole.name, whole.version, whole.path) == ("peer", "peer 1", to / core.path.name)
    assert TAIL_OF[suffix](core.path.read_bytes()) is None
    found = TAIL_OF[suffix](whole.path.read_bytes())
    assert (found.settings, found.classes, found.code_scales) == (tail.settings, 3, tail.code_scales)
    np.testing.assert_array_equal(found.anchors, tail.anchors)


def test_the_tail_gives_the_four_outputs_of_an_onnx(bench, tmp_path):
    whole = bench["tails"].with_our_tail(core_of(bench, tmp_path, "onnx"), tail_by_hand(), tmp_path)

    model = onnx.load(whole.path)
    onnx.checker.check_model(model, full_check=True)
    assert tuple(value.name for value in model.graph.output) == OUTPUTS


@pytest.mark.parametrize("suffix", CORES)
def test_a_network_without_all_heads_is_a_row_with_the_reason(bench, tmp_path, suffix):
    whole = bench["tails"].with_our_tail(core_of(bench, tmp_path, suffix, maps=1), tail_by_hand(), tmp_path)

    assert whole.path is None
    assert "boxes_1" in whole.reason


def test_a_peer_that_made_nothing_stays_as_it_is(bench, tmp_path):
    made = bench["making"].Made(alpha=0.25, name="peer", suffix="onnx", reason="it broke")

    assert bench["tails"].with_our_tail(made, tail_by_hand(), tmp_path) is made


def test_without_the_shared_data_it_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCH / "bench_detection.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MBEXPORT_SHARED_DATA": str(tmp_path / "missing")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "MBEXPORT_SHARED_DATA" in done.stderr
