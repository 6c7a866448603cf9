"""report.schema.json: it accepts what we write, and nothing that lacks a number or holds an impossible one."""

import copy
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from example_reports import with_named_paths
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from report_schema import objections, validator

from mbexport.artifact import Io, Precision
from mbexport.calibration.choices import Correction, Observer
from mbexport.formats.registry import FORMATS
from mbexport.formats.subject import Source
from mbexport.models.facts import Output
from mbexport.models.mobilenet_v1.spec import Convolution
from mbexport.report import schema
from mbexport.report.schema import report_schema
from mbexport.verification.gates import GATES

EXAMPLE: Final = json.loads(Path(__file__).with_name("example_report.json").read_bytes())
BUILDS: Final = ("options", "stages", "training", "qat", "tried_normalizations")
FOUND: Final = ("calibration", "simulation", "health", "sensitivity")
FRACTIONS: Final = {
    *("top1", "top5", "top1_drop", "agreement", "chance", "tied", "crop_fraction", "differing_fraction", "max_bad"),
    *("severity", "reference_score", "artifact_score", "mcnemar_p", "clipped", "near_ties", "integer_agreement"),
}
COUNTS: Final = {
    *("samples", "images", "classes", "classes_seen", "size_bytes", "distinct_outputs", "count", "right", "class"),
    *("reference_right", "answer", "reference_count", "runs", "threads", "batch", "processes", "peak_memory_bytes"),
    *("only_reference_right", "only_artifact_right", "int8_convs", "float_convs", "unused_codes", "parameters"),
}
SCORES: Final = tuple(each for each in Output if each is not Output.DETECTIONS)  # kinds of a classifier's
WORDS: Final = {"verdict", "direction", "layout", "source", "kind", "format", "precision", "kept", "measure", "io"}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key in every object."""
    if isinstance(value, list):
        return [place for index, item in enumerate(value) for place in places(item, (*path, index))]
    if not isinstance(value, dict):
        return []
    return [(*path, key) for key in value] + [
        place for key, item in value.items() for place in places(item, (*path, key))
    ]


def at(report: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        report = report[step]
    return report


def thinned(value: Any) -> Any:
    """The same with at most two entries in each list of objects: every kind of place once is enough, and faster."""
    if isinstance(value, list):
        return [thinned(each) for each in (value[:2] if value and isinstance(value[0], dict) else value)]
    return {key: thinned(each) for key, each in value.items()} if isinstance(value, dict) else value


INT8: Final = 2  # place of an artifact that has everything
SMALL: Final = {
    **thinned(EXAMPLE),
    "artifacts": [thinned(EXAMPLE["artifacts"][place]) for place in (0, INT8)],
    "gates": EXAMPLE["gates"],
}


def changed(path: tuple[Any, ...], value: Any) -> Any:
    """The small example with another value at one place."""
    report = copy.deepcopy(SMALL)
    at(report, path[:-1])[path[-1]] = value
    return report


PLACES: Final = places(SMALL)
OBJECTS: Final = [(), *(place for place in PLACES if isinstance(at(SMALL, place), dict))]
NUMBERS: Final = [place for place in PLACES if isinstance(at(SMALL, place), int | float)]
FREE: Final = {("tool", "libraries"), ("calibration", "errors"), ("health", "dead"), ("health", "killed")}


def verified() -> Any:
    """What `verify` writes: nothing on how the network was made."""
    report = copy.deepcopy(EXAMPLE)
    for key in (*BUILDS, *FOUND):
        del report[key]
    report["model"] = {"reference": "a_fp32.tflite", "resolution_px": 224, "classes": 1000}
    for key in ("calibration_fingerprint", "images", "best_epoch_chosen_on_test"):
        del report["data"][key]
    del report["tool"]["version"]
    return report


def test_is_a_schema():
    Draft202012Validator.check_schema(validator().schema)


def test_takes_the_example_and_what_verify_writes():
    assert objections(EXAMPLE) == []
    assert objections(SMALL) == []
    assert objections(verified()) == []


def test_takes_a_report_on_images_without_labels():
    report = verified()
    nothing = dict.fromkeys(("top1", "top1_ci95", "top5", "top5_ci95"))
    report["reference"] |= {**nothing, "chance": None, "labelled": False}
    for entry in report["artifacts"]:
        entry |= {**nothing, "difference": None, "per_class": [], "worst_classes": [], "confusions": []}
        for each in entry["disagreements"]["worst"]:
            each["label"] = None
    assert objections(report) == []
    report["reference"]["labelled"] = True
    assert [text.split(":")[0] for text in objections(report)] == [
        f"$.reference.{name}" for name in ("top1", "top1_ci95", "top5", "top5_ci95", "chance")
    ]


@given(st.sampled_from([place for place in PLACES if place[:-1] not in FREE]))
def test_a_key_that_is_missing_is_missed(place):
    report = copy.deepcopy(SMALL)
    del at(report, place[:-1])[place[-1]]
    assert not validator().is_valid(report)


@given(st.sampled_from([place for place in OBJECTS if place not in FREE]))
def test_a_key_that_nobody_knows_is_refused(place):
    assert not validator().is_valid(changed((*place, "surprise"), 1))


@given(st.sampled_from([place for place in NUMBERS if place[-1] in FRACTIONS]), st.sampled_from([2, -2, "0.5", True]))
def test_a_fraction_is_a_number_up_to_one(place, value):
    assert not validator().is_valid(changed(place, value))


@given(st.sampled_from([place for place in NUMBERS if place[-1] in COUNTS]), st.sampled_from([-1, 0.5, "1"]))
def test_a_count_is_a_whole_number_from_zero(place, value):
    assert not validator().is_valid(changed(place, value))


@given(st.sampled_from([place for place in PLACES if place[-1] in WORDS and isinstance(at(SMALL, place), str)]))
def test_a_word_is_one_of_those_that_are_known(place):
    assert not validator().is_valid(changed(place, "maybe"))


INTERVALS: Final = [place for place in PLACES if str(place[-1]).endswith("ci95") and at(SMALL, place) is not None]


@given(st.sampled_from(INTERVALS), st.sampled_from([[0.5], [0.1, 0.2, 0.3], [None, 0.5], "0.1 to 0.2"]))
def test_an_interval_has_two_ends(place, value):
    assert not validator().is_valid(changed(place, value))


def judged(*, strict: bool, passed: bool, **changes: Any) -> Any:
    """A report with one gate, which passed or not."""
    gate = {**EXAMPLE["gates"][4], **changes, "passed": passed}
    return {**verified(), "gates": [gate], "strict": strict, "passed": passed}


@pytest.mark.parametrize("verdict", ["pass", "fail", "undecided"])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("passed", [True, False])
def test_a_gate_passes_as_its_verdict_says(verdict, strict, passed):
    allowed = {"pass": True, "fail": False, "undecided": not strict}[verdict]
    assert validator().is_valid(judged(verdict=verdict, strict=strict, passed=passed)) is (passed is allowed)


def test_nothing_passes_that_was_not_measured_or_judged():
    assert not validator().is_valid(judged(verdict="pass", strict=False, passed=True, value=None))
    assert not validator().is_valid({**verified(), "gates": [], "passed": True})
    assert validator().is_valid({**verified(), "gates": [], "passed": False})
    assert not validator().is_valid({**EXAMPLE, "passed": True})  # one of its gates fails


def test_throughput_has_a_number_or_a_reason():
    place = ("artifacts", 0, "throughput", 0)
    row = at(SMALL, place)
    assert validator().is_valid(changed(place, {**row, "images_per_s": None, "reason": "one image at a time"}))
    assert not validator().is_valid(changed(place, {**row, "images_per_s": None, "reason": None}))
    assert not validator().is_valid(changed(place, {**row, "images_per_s": 1.0, "reason": "one image at a time"}))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("options", "properties", "io"), Io),
        (("options", "properties", "observer"), Observer),
        (("calibration", "properties", "observer"), Observer),
        (("correction",), Correction),
        (("built_model", "properties", "output"), SCORES),
        (("built_model", "properties", "conv"), Convolution),
        (("output", "properties", "kind"), SCORES),
        (("input", "properties", "source"), Source),
        (("precision",), Precision),
    ],
)
def test_knows_every_word_that_the_package_has(path, words):
    known = set(at(validator().schema["$defs"], path)["enum"]) - {None}
    assert known == {word.value for word in words}


def test_enumerations_are_those_of_the_registries():
    found = validator().schema["$defs"]
    assert found["format"]["enum"] == [each.name for each in FORMATS]
    assert found["path"]["enum"] == [
        *("xnnpack", "builtin", "reference", "webgpu", "tflite-micro", "optimized", "unoptimized"),
        *("qnn-htp:v75", "qnn-htp:v68", "qnn-htp:v69", "qnn-htp:v73", "qnn-htp:v79", "qnn-htp:v81"),
    ]
    assert found["gate"]["properties"]["name"]["enum"] == list(GATES)


def test_knows_paths_that_the_user_named():
    report = with_named_paths()
    assert objections(report) == []
    for key, value in (("taken", -1), ("device", 3), ("path", "qnn-htp"), ("more", 1)):
        changed_share = {**report["paths"][0]["shares"][0], key: value}
        bad = {**report, "paths": [{**report["paths"][0], "shares": [changed_share]}]}
        assert objections(bad), key


def test_a_new_gate_needs_no_change_of_the_file(monkeypatch):
    report = judged(verdict="pass", strict=False, passed=True, name="brightness")
    assert not Draft202012Validator(report_schema()).is_valid(report)
    monkeypatch.setattr(schema, "GATES", {**GATES, "brightness": GATES["samples"]})
    assert Draft202012Validator(report_schema()).is_valid(report)


def test_the_published_file_stands_by_itself():
    published = json.loads(Path(str(schema.__file__)).with_name(schema.SCHEMA_FILE).read_bytes())
    Draft202012Validator.check_schema(published)
    taker = Draft202012Validator(published)
    assert taker.is_valid(EXAMPLE)
    assert taker.is_valid(changed(("artifacts", 0, "format"), "a format of the next version"))
    known = schema.registered()
    for node in (published["$defs"][name] for name in ("format", "path", "precision")):
        assert set(node["examples"]) <= set(known[node["$comment"].removeprefix("one of the registry of ")])
    assert set(published["$defs"]["gate"]["properties"]["name"]["examples"]) <= set(GATES)


NUMERIC: Final = re.compile(r'"number"|#/\$defs/(fraction|difference|magnitude|milliseconds)')


def test_says_what_every_number_is():
    silent = [
        f"{name}.{key}"
        for name, definition in validator().schema["$defs"].items()
        for key, property_ in definition.get("properties", {}).items()
        if NUMERIC.search(json.dumps(property_)) and property_.get("type") != "array" and "description" not in property_
    ]
    assert silent == []
