"""Write the Markdown that a CI server shows on a job's page."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME
from mbexport.escaping.markdown import code, details, prose, table
from mbexport.models.task import Task
from mbexport.report import formatting
from mbexport.report.advice import advice
from mbexport.report.formatting import Json, interval, number
from mbexport.report.summary.classification import classification_sections
from mbexport.report.summary.detection import detection_sections
from mbexport.report.summary.parts import folded, section, times_as_fast
from mbexport.report.tasks.registry import compared_with, task_of, text_of
from mbexport.report.warnings import warnings_of

_MARKS: Final = {formatting.FAIL: "❌", formatting.UNDECIDED: "⚠️", formatting.PASS: "✅"}
_MOST_BYTES: Final = 1_000_000  # GitHub takes 1 MiB from a step; below what follows is left out
_REST: Final = "The rest is too long for this page: see report.json."
_SECTIONS: Final[Mapping[Task, Callable[[Json], list[str]]]] = MappingProxyType(
    {Task.CLASSIFY: classification_sections, Task.DETECT: detection_sections}
)


def markdown(report: Json) -> str:
    """Summarize a report: verdict, gates and next steps, artifacts, speed, twins, worst classes; the rest folded away.

    In GitHub's dialect, which GitLab reads too; less than 1 MiB in UTF-8. Names and labels are shown as text, whatever
    they hold.
    """
    sections = [
        _heading(report),
        _warnings(report),
        _gates(report),
        _artifacts(report),
        _speedups(report["speedups"]),
        *_SECTIONS[task_of(report)](report),
        _speeds(report["artifacts"]),
        _provenance(report),
    ]
    return _within(_MOST_BYTES, [each for each in sections if each])


def _within(most_bytes: int, sections: Sequence[str]) -> str:
    """Join the sections with empty lines as far as `most_bytes` reach; a last line says what is missing."""
    kept: list[str] = []
    room = most_bytes - len(_REST) - 2
    for each in sections:
        room -= len(each.encode()) + 2
        if room < 0:
            kept.append(_REST)
            break
        kept.append(each)
    return "\n\n".join(kept) + "\n"


def _heading(report: Json) -> str:
    reference, data = report["reference"], report["data"]
    mark, word = (_MARKS[formatting.PASS], "passed") if report["passed"] else (_MARKS[formatting.FAIL], "failed")
    images = f"{reference['samples']} images" + (f" of {code(data['name'])}" if data["name"] else "")
    compared = f"Compared with {prose(reference['name'], LONGEST_NAME)} ({text_of(report).quality(reference)}) on "
    if reference["precision"] is None:
        compared = f"Reference: {prose(compared_with(report))}. On "
    return (
        f"## {mark} mbexport: {code(formatting.model_name(report))} {word}\n\n"
        f"**{prose(formatting.conclusion(report))}**\n\n"
        f"{compared}{images}, {reference['classes_seen']} classes."
    )


def _warnings(report: Json) -> str:
    return "\n>\n".join(f"> {_MARKS[formatting.UNDECIDED]} **Warning:** {prose(line)}" for line in warnings_of(report))


def _gates(report: Json) -> str:
    """The table of gates, failed ones first, and below it the next step for each that did not pass."""
    ordered, samples = formatting.by_urgency(report["gates"]), report["reference"]["samples"]
    rows = [
        [
            f"{_MARKS[formatting.verdict(gate)]} {formatting.verdict(gate)}",
            code(gate["name"]),
            code(gate["subject"], 2 * LONGEST_NAME) if gate["subject"] else "",
            formatting.measured(gate) + interval(gate["ci95"], ".4g"),
            formatting.limit(gate).replace("<=", "≤").replace(">=", "≥"),
        ]
        for gate in ordered
    ]
    steps = [
        f"- {_MARKS[formatting.verdict(gate)]} {code(gate['name'])}: {prose(gate['meaning'])}. **Next:** "
        f"{prose(advice(gate, samples=samples))}"
        for gate in ordered
        if formatting.verdict(gate) != formatting.PASS
    ]
    shown = table(("verdict", "gate", "of", "value [95 %]", "limit"), rows, texts=3)
    return "\n\n".join(filter(None, ("### Gates", shown if rows else "", "\n".join(steps))))


def _artifacts(report: Json) -> str:
    columns = text_of(report).summary
    names = ("artifact", "size", *(column.title for column in columns), "p50 ms", "p99 ms", "int8 convs")
    rows = [
        [
            code(entry["file"]),
            formatting.size(entry["size_bytes"]),
            *(column.text(entry) for column in columns),
            number(entry["latency_ms"]["p50"], ".2f"),
            number(entry["latency_ms"]["p99"], ".2f"),
            formatting.integer_convolutions(entry["kernels"]),
        ]
        for entry in report["artifacts"]
    ]
    in_float = "\n".join(f"- {prose(line)}" for line in formatting.in_float(report))
    return "\n\n".join(filter(None, ("### Artifacts", table(names, rows), in_float)))


def _speedups(speedups: Sequence[Json]) -> str:
    rows = [[code(ratio["b"]), code(ratio["a"]), times_as_fast(ratio), str(ratio["threads"])] for ratio in speedups]
    return section("Speed of int8", table(("int8", "fp32", "times as fast [95 %]", "threads"), rows, texts=2), rows)


def _speeds(artifacts: Sequence[Json]) -> str:
    names, found = formatting.other_speeds(artifacts, besides=1)
    rows = [[code(name), *cells] for name, *cells in found]
    return folded("Threads, cold start, memory, throughput", f"{table(names, rows)}\n\n{formatting.OTHER_SPEEDS}", rows)


def _provenance(report: Json) -> str:
    tool, data, machine = report["tool"], report["data"], report["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in tool["libraries"].items())
    fed = f"{formatting.fed(data)}, crop {data['crop_fraction']:g}"
    lines = [
        f"mbexport {tool.get('version', '')} with {libraries}",
        f"images: {data['name']}, fingerprint {data['fingerprint']}; the reference is fed {fed}",
        f"machine: {machine['system']}, {machine['cpu']}, {machine['cores']} cores, {' '.join(machine['flags'])}",
    ]
    return details("Provenance", "\n".join(f"- {prose(line)}" for line in lines))
