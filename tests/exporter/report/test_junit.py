"""junit.xml: what CI servers read of a verdict, whatever files and labels are called."""

import json
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from junitparser import JUnitXml

from mbexport.report.junit import junit

EXAMPLE: Final = json.loads(Path(__file__).with_name("example_report.json").read_bytes())
INT8: Final = "mobilenet_v1_0.75_224_int8.tflite"
# Jenkins' junit-10.xsd: the attributes that an element must have, those that it may have, and its children.
RULES: Final = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"time", "skipped", "timestamp", "hostname", "id", "package", "file"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": ({"name"}, {"classname", "time"}, {"skipped", "errors", "failure", "system-out", "system-err"}),
    "failure": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}


def with_gates(*gates: dict[str, Any], strict: bool = False) -> Any:
    return {**EXAMPLE, "gates": [{**EXAMPLE["gates"][4], **gate} for gate in gates], "strict": strict}


def cases(content: bytes) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(content).iter("testcase"))


def require_valid(content: bytes) -> None:
    for element in ElementTree.fromstring(content).iter():
        needed, allowed, children = RULES[element.tag]
        assert needed <= set(element.attrib) <= needed | allowed, element.tag
        assert {child.tag for child in element} <= children, element.tag


def test_a_gate_is_a_test_and_one_that_failed_says_why():
    found = {case.get("name"): case for case in cases(junit(EXAMPLE))}
    assert list(found) == [gate["name"] for gate in EXAMPLE["gates"]]
    assert found["samples"].get("classname") == "mobilenet_v1_0.75_224"
    assert found["size_ratio"].get("classname") == INT8
    failure = found["size_ratio"].find("failure")
    assert failure is not None
    assert failure.attrib == {"message": "fail: 0.31, <= 0.2926 is asked for", "type": "fail"}
    assert failure.text == (
        "size_ratio: 0.31, <= 0.2926 is asked for\nverdict: fail\nvalue: int8 size over fp32 size, same format\n"
        f"of: {INT8}\nwhat to do: see README, section Gates"
    )
    assert [name for name, case in found.items() if case.find("failure") is not None] == ["size_ratio"]


def test_an_undecided_gate_passes_and_says_so():
    (case,) = cases(junit(with_gates({"verdict": "undecided", "passed": True})))
    assert case.find("failure") is None
    said = case.findtext("system-out")
    assert said is not None
    assert said.startswith("top1_drop: 0.008 [-0.0034, 0.0206], <= 0.005 is asked for\nverdict: undecided\n")
    assert "what to do: give more test images: about 7,300 would decide it" in said


def test_a_strict_run_fails_what_is_undecided():
    (case,) = cases(junit(with_gates({"verdict": "undecided", "passed": False}, strict=True)))
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "undecided"
    assert failure.get("message") == "undecided: 0.008 [-0.0034, 0.0206], <= 0.005 is asked for"


def test_a_value_that_was_not_measured_is_told_as_such():
    (case,) = cases(junit(with_gates({"value": None, "ci95": None, "verdict": "fail", "passed": False})))
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "fail: not measured, <= 0.005 is asked for"


def test_no_gates_are_a_failure():
    whole = JUnitXml.fromstring(junit({**EXAMPLE, "gates": [], "passed": False}))
    assert (whole.tests, whole.failures) == (1, 1)


def test_counts_and_properties_are_those_of_the_report():
    content = junit(EXAMPLE)
    whole = JUnitXml.fromstring(content)
    (suite,) = whole
    for each in (whole, suite):
        assert (each.name, each.tests, each.failures, each.errors, each.time) == ("mbexport", 10, 1, 0, 0)
    assert suite.skipped == 0
    assert {prop.name: prop.value for prop in suite.properties()} == {
        "tool": "mbexport 0.1.0",
        "model": "mobilenet_v1_0.75_224",
        "machine": "Linux x86_64, AMD EPYC, 2 cores",
        "strict": "false",
    }
    assert all(case.get("time") == "0.0" for case in cases(content))


def test_a_report_of_verify_has_neither_name_nor_version():
    report = {**EXAMPLE, "model": {"reference": "a_fp32.tflite"}, "tool": {"name": "mbexport", "libraries": {}}}
    (suite,) = JUnitXml.fromstring(junit(report))
    assert [prop.value for prop in suite.properties()][:2] == ["mbexport", "a_fp32.tflite"]


@pytest.mark.parametrize("report", [EXAMPLE, with_gates({"passed": False}, {"name": "agreement"})])
def test_is_what_the_published_schema_allows(report):
    require_valid(junit(report))


NAMES: Final = st.text(st.characters(exclude_categories=()), max_size=20)


@given(subject=NAMES, model=NAMES, advice=NAMES, passed=st.booleans())
@example(subject="a\x00b\x1b[1m\ud800\ufffe]]><&\"'.tflite", model="</testsuite>", advice="a\r\n\tb", passed=False)
def test_any_name_stays_readable_and_the_same_bytes_come_again(subject, model, advice, passed):
    gate = {"subject": subject, "advice": advice, "passed": passed, "verdict": "undecided"}
    report = {**with_gates(gate, {}), "model": {"name": model or "m"}}
    content = junit(report)
    assert content == junit(report)
    require_valid(content)
    (suite,) = JUnitXml.fromstring(content)
    first, second = suite
    assert (suite.tests, suite.failures) == (2, int(not passed))
    assert second.classname == INT8
    if subject.isprintable() and subject.strip():
        assert first.classname == " ".join(subject.split())
