"""Write junit.xml: each gate as a test, as CI servers list them.

Elements and attributes are those of Jenkins' junit-10.xsd. GitLab and Bamboo show a failure's text and not its message,
GitHub's reporters show both: the text says everything.
"""

import io
from typing import Final

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from mbexport.escaping.characters import LONGEST_TEXT, one_line
from mbexport.report import formatting
from mbexport.report.advice import advice
from mbexport.report.formatting import Json

_SUITE: Final = "mbexport"
_NO_TIME: Final = 0.0  # judging takes none, and readers want a number
_NOTHING: Final[Json] = {
    "name": "gates",
    "value": None,
    "limit": 1,
    "direction": "at least",
    "verdict": formatting.FAIL,
    "passed": False,
    "subject": None,
    "ci95": None,
    "meaning": "gates that were judged: without any, nothing was proved",
    "advice": "give labelled images, or a gate",
}


def junit(report: Json) -> bytes:
    """Write the gates as a suite of tests, in UTF-8; the same report gives the same bytes.

    A test fails where its gate did not pass: an undecided one only with --strict. Without gates there is one failure.
    """
    suite = TestSuite(_SUITE)
    for name, value in _properties(report):
        suite.add_property(name, _line(value))
    suite.add_testcases([_case(gate, report) for gate in report["gates"] or [_NOTHING]])
    whole = JUnitXml(_SUITE)
    whole.add_testsuite(suite)
    # Not update_statistics(): it counts skipped ones here too, for which the schema has no attribute.
    whole.tests, whole.failures, whole.errors, whole.time = suite.tests, suite.failures, suite.errors, suite.time
    content = io.BytesIO()
    whole.write(content, pretty=True)
    return content.getvalue()


def _properties(report: Json) -> list[tuple[str, str]]:
    machine, tool = report["machine"], report["tool"]
    return [
        ("tool", " ".join(filter(None, (tool["name"], tool.get("version"))))),
        ("model", formatting.model_name(report)),
        ("machine", f"{machine['system']}, {machine['cpu']}, {machine['cores']} cores"),
        ("strict", str(report["strict"]).lower()),
    ]


def _case(gate: Json, report: Json) -> TestCase:
    """One test; its class is the file or pair that the value is of, else the model."""
    case = TestCase(gate["name"], classname=_line(gate["subject"] or formatting.model_name(report)), time=_NO_TIME)
    interval = formatting.interval(gate["ci95"], ".4g")
    found = f"{formatting.measured(gate)}{interval}, {formatting.limit(gate)} is asked for"
    next_step = advice(gate, samples=report["reference"]["samples"])
    lines = [
        f"{gate['name']}: {found}",
        f"verdict: {formatting.verdict(gate)}",
        f"value: {gate['meaning']}",
        *([f"of: {gate['subject']}"] if gate["subject"] else []),
        *([f"what to do: {next_step}"] if next_step else []),
    ]
    text = "\n".join(map(_line, lines))
    if gate["passed"]:
        case.system_out = text
        return case
    failure = Failure(_line(f"{formatting.verdict(gate)}: {found}"), formatting.verdict(gate))
    failure.text = text
    case.result = failure
    return case


def _line(text: str) -> str:
    return one_line(text, LONGEST_TEXT)
