"""What finished stages hand on: files by what is in them, and the facts read back as they were written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.facts import Facts, Output, facts_to_json
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import CAFFE, MOBILENET, Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.pipeline.stage_files import (
    ARRANGEMENT,
    CALIBRATION,
    LARGEST,
    NETWORK,
    RANGES,
    WEIGHTS,
    Float,
    Quantized,
)
from mbexport.workdir import StageRecord


def record(folder: str, *names: str) -> StageRecord:
    return StageRecord(key=folder, files={name: Path(folder) / name for name in names}, seconds=1.0)


def test_float_network_is_what_one_stage_left():
    source = Float.of(record("train", NETWORK, WEIGHTS, "history.json"))
    assert (source.network, source.weights) == (Path("train") / NETWORK, Path("train") / WEIGHTS)


def test_quantized_network_takes_weights_and_ranges_of_different_stages():
    source = Float.of(record("train", NETWORK, WEIGHTS))
    tuned = record("quantize", WEIGHTS)
    calibrated = record("calibrate", WEIGHTS, RANGES, LARGEST, ARRANGEMENT, CALIBRATION)
    handed = Quantized.of(source, weights=tuned, ranges=calibrated)
    assert handed.source is source
    assert (handed.weights, handed.ranges) == (Path("quantize") / WEIGHTS, Path("calibrate") / RANGES)
    assert handed.largest == Path("calibrate") / LARGEST
    assert handed.arrangement == Path("calibrate") / ARRANGEMENT
    assert handed.calibration == Path("calibrate") / CALIBRATION


def written(facts: Facts, folder: Path) -> Float:
    (folder / NETWORK).write_text(facts_to_json(facts), "utf-8")
    return Float(network=folder / NETWORK, weights=folder / WEIGHTS)


def test_facts_are_read_back_by_hand(facts, tmp_path):
    grey = Preprocess(resolution=Resolution.square(96), crop_fraction=0.5, channels=1, normalization=MOBILENET)
    known = facts(ModelSpec(), alpha=None, output=Output.LOGITS, preprocess=grey, architecture='{"Umlaut": "ü"}')
    read = written(known, tmp_path).facts
    assert read == known
    assert read.output is Output.LOGITS
    assert read.preprocess.normalization.mean == (127.5,)


FINITE = st.floats(-1e6, 1e6)
NORMALIZATIONS = st.sampled_from([MOBILENET, CAFFE]) | st.builds(
    Normalization,
    mean=st.tuples(FINITE) | st.tuples(FINITE, FINITE, FINITE),
    std=st.tuples(st.floats(1e-6, 1e6)),
    is_bgr=st.booleans(),
)


PREPROCESSES = st.builds(
    Preprocess,
    resolution=st.builds(Resolution, height_px=st.integers(1, 2048), width_px=st.integers(1, 2048)),
    crop_fraction=st.floats(0, 1, exclude_min=True),
    normalization=NORMALIZATIONS,
)
CHANGES = st.fixed_dictionaries(
    {"preprocess": PREPROCESSES, "output": st.sampled_from(Output), "alpha": st.none() | FINITE},
    optional={"architecture": st.text()},
)


@given(CHANGES)
def test_whatever_the_facts_are_they_are_read_back(facts, tmp_path_factory, changed):
    known = facts(ModelSpec(), **changed)
    assert written(known, tmp_path_factory.getbasetemp()).facts == known


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"preprocess": {}}'])
def test_file_that_holds_no_facts_is_a_data_error(tmp_path, text):
    (tmp_path / NETWORK).write_text(text)
    with pytest.raises(DataError, match="not a file of facts on a network"):
        _ = Float(network=tmp_path / NETWORK, weights=tmp_path / WEIGHTS).facts
