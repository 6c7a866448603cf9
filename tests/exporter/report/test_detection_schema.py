"""detection.schema.json: it accepts what we write of detectors, and nothing that lacks a number or has a wrong one."""

import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest
from detectors_by_hand import detector_json, detectors_json
from example_detectors import DETECTORS
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mbexport.report import schema
from mbexport.report.content import report_json
from mbexport.report.schema import detection_schema, report_schema
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import judge

CLASSIFIER: Final = json.loads(Path(__file__).with_name("example_report.json").read_bytes())
TAKER: Final = Draft202012Validator(detection_schema())
ROW: Final = {"class": 0, "label": "RBC", "objects": 9, "ap": 0.5, "ap50": 0.8, "curve": [1.0, 0.5]}
BOX: Final = {"box": [0.1, 0.2, 0.3, 0.4], "label": "RBC", "score": 0.5, "paired": True}


def report(**changes: Any) -> Any:
    """What `verify` writes of twins, one of them beside its kernel paths."""
    worst = {"image": "a.jpg", "lost": 1, "invented": 0, "reference": [BOX], "artifact": []}
    shown = {"per_class": [{**ROW, "reference_ap": 0.6, "reference_ap50": None}], "worst_images": [worst]}
    files = [detector_json(f"net_int8.{kind}", **shown) for kind in ("tflite", "onnx")]
    measured = detectors_json(*files, twins={}, paths={}, reference={"per_class": [ROW]})
    data = {
        key: CLASSIFIER["data"][key] for key in ("name", "fingerprint", "mean", "std", "channel_order", "unreadable")
    }
    facts = {
        "tool": {"name": "mbexport", "libraries": {}},
        "model": {"reference": "net_fp32.tflite", "resolution_px": 192, "classes": 3},
        "data": {**data, "crop_fraction": 1.0},
    }
    gates = judge(gate_values(measured, DETECTION_GATES), {}, defaults={}, gates=DETECTION_GATES)
    written = json.loads(json.dumps(report_json(measured, gates, facts)))
    return {**written, **changes}


WRITTEN: Final = report()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key in every object."""
    if isinstance(value, list):
        return [place for index, item in enumerate(value[:2]) for place in places(item, (*path, index))]
    if not isinstance(value, dict):
        return []
    return [(*path, key) for key in value] + [
        place for key, item in value.items() for place in places(item, (*path, key))
    ]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def changed(path: tuple[Any, ...], value: Any) -> Any:
    found = copy.deepcopy(WRITTEN)
    at(found, path[:-1])[path[-1]] = value
    return found


MEASURED: Final = [
    place for place in places(WRITTEN) if place[0] in ("reference", "artifacts", "pairs", "paths", "gates")
]
OPTIONAL: Final = {"small", "medium", "large", "conflict", "reason"}  # of sizes; of parts that classifiers have, too
NUMBERS: Final = [place for place in MEASURED if isinstance(at(WRITTEN, place), int | float)]


def test_is_a_schema_that_takes_what_is_written():
    Draft202012Validator.check_schema(detection_schema())
    assert [f"{error.json_path}: {error.message}" for error in TAKER.iter_errors(WRITTEN)] == []


@pytest.mark.parametrize("kind", DETECTORS)
def test_takes_the_examples_of_builds_and_of_what_verify_writes(kind):
    assert [f"{error.json_path}: {error.message}" for error in TAKER.iter_errors(DETECTORS[kind]())] == []


def test_a_report_is_of_one_task():
    assert not TAKER.is_valid(CLASSIFIER)
    assert not Draft202012Validator(report_schema()).is_valid(WRITTEN)
    assert not TAKER.is_valid(report(task="classify"))


def test_takes_what_is_not_known_beside_labels():
    found = report()
    nothing = dict.fromkeys(("ap", "ap_ci95", "ap50", "ap50_ci95", "ap75", "chance"))
    found["reference"] |= {**nothing, "precision": None, "ap_by_size": {}, "curve": [], "per_class": []}
    unknown = (
        *("ap_drop", "ap_drop_ci95", "ap50_drop", "ap50_drop_ci95", "anchors", "tail"),
        *("paired", "paired_ci95", "paired_back", "paired_back_ci95", "score_error"),
    )
    found["artifacts"] = [{**entry, **dict.fromkeys(unknown)} for entry in found["artifacts"]]
    assert TAKER.is_valid(found)


@given(st.sampled_from([place for place in MEASURED if place[-1] not in OPTIONAL]))
def test_a_key_that_is_missing_is_missed(place):
    found = copy.deepcopy(WRITTEN)
    del at(found, place[:-1])[place[-1]]
    assert not TAKER.is_valid(found)


@given(st.sampled_from([place for place in MEASURED if isinstance(at(WRITTEN, place), dict)]))
def test_a_key_that_nobody_knows_is_refused(place):
    assert not TAKER.is_valid(changed((*place, "surprise"), 1))


@given(st.sampled_from(NUMBERS), st.sampled_from(["0.5", [0.5], {}]))
def test_a_number_is_a_number(place, value):
    assert not TAKER.is_valid(changed(place, value))


@pytest.mark.parametrize("key", ["ap", "ap50", "ap75", "paired", "paired_back", "inside", "ap_drop", "score_error"])
@pytest.mark.parametrize("value", [1.5, -1.5])
def test_a_share_is_at_most_one(key, value):
    assert not TAKER.is_valid(changed(("artifacts", 0, key), value))


def test_gates_are_those_of_detectors():
    names = detection_schema()["$defs"]["gate"]["properties"]["name"]["enum"]
    assert names == list(DETECTION_GATES)
    assert report_schema()["$defs"]["gate"]["properties"]["name"]["enum"] != names


def test_the_verdict_follows_from_the_gates():
    assert not TAKER.is_valid({**WRITTEN, "passed": not WRITTEN["passed"]})
    assert not TAKER.is_valid({**WRITTEN, "gates": [], "passed": True})


def test_the_published_files_refer_to_each_other_by_what_there_is():
    published = Path(str(schema.__file__)).with_name(schema.DETECTION_SCHEMA_FILE).read_text("utf-8")
    shared = json.loads(Path(str(schema.__file__)).with_name(schema.SCHEMA_FILE).read_bytes())
    pointers = {tuple(part.split('"')[0].split("/")) for part in published.split(f"{schema.SCHEMA_FILE}#/")[1:]}
    assert len(pointers) > 20
    for pointer in pointers:
        assert at(shared, tuple(int(step) if step.isdigit() else step for step in pointer))
    own = json.loads(published)["$defs"]
    assert not {name for kind, name in pointers if kind == "$defs"} & set(own)


def test_says_what_every_number_is():
    own = json.loads(Path(str(schema.__file__)).with_name(schema.DETECTION_SCHEMA_FILE).read_bytes())["$defs"]
    silent = [
        f"{name}.{key}"
        for name, definition in own.items()
        for key, property_ in definition.get("properties", {}).items()
        if '"number"' in json.dumps(property_) or "fraction" in json.dumps(property_)
        if property_.get("type") != "array" and "description" not in property_
    ]
    assert silent == []
