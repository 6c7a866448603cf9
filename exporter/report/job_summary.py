"""Write the Markdown that a CI server shows on a job's page."""

from collections.abc import Iterable, Sequence
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME
from mbexport.escaping.markdown import code, details, prose, table
from mbexport.report import formatting
from mbexport.report.advice import advice
from mbexport.report.formatting import Json, interval, number
from mbexport.report.warnings import warnings_of

_MARKS: Final = {formatting.FAIL: "❌", formatting.UNDECIDED: "⚠️", formatting.PASS: "✅"}
_MOST_BYTES: Final = 1_000_000  # GitHub takes 1 MiB from a step; below what follows is left out
_WORST: Final = 10  # classes, confusions, images: the page and report.json have more
_MOST_NAMES: Final = 4
_REST: Final = "The rest is too long for this page: see report.json."


def markdown(report: Json) -> str:
    """Summarize a report: verdict, gates and next steps, artifacts, speed, twins, worst classes; the rest folded away.

    In GitHub's dialect, which GitLab reads too; less than 1 MiB in UTF-8. Names and labels are shown as text, whatever
    they hold.
    """
    sections = [
        _heading(report),
        _warnings(report),
        _gates(report),
        _artifacts(report["artifacts"]),
        _speedups(report["speedups"]),
        _pairs(report["pairs"]),
        _classes(report["artifacts"]),
        _confusions(report["artifacts"]),
        _disagreements(report["artifacts"]),
        _paths(report["paths"]),
        _speeds(report["artifacts"]),
        _provenance(report),
    ]
    return _within(_MOST_BYTES, [section for section in sections if section])


def _within(most_bytes: int, sections: Sequence[str]) -> str:
    """Join the sections with empty lines as far as `most_bytes` reach; a last line says what is missing."""
    kept: list[str] = []
    room = most_bytes - len(_REST) - 2
    for section in sections:
        room -= len(section.encode()) + 2
        if room < 0:
            kept.append(_REST)
            break
        kept.append(section)
    return "\n\n".join(kept) + "\n"


def _heading(report: Json) -> str:
    reference, data = report["reference"], report["data"]
    mark, word = (_MARKS[formatting.PASS], "passed") if report["passed"] else (_MARKS[formatting.FAIL], "failed")
    images = f"{reference['samples']} images" + (f" of {code(data['name'])}" if data["name"] else "")
    compared = f"Compared with {prose(reference['name'], LONGEST_NAME)} ({formatting.top1(reference, 'top-1 ')}) on "
    if reference["precision"] is None:
        compared = f"Reference: {prose(formatting.compared_with(reference))}. On "
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


def _artifacts(artifacts: Sequence[Json]) -> str:
    names = (
        "artifact",
        "size",
        "top-1 [95 %]",
        "points lost [95 %]",
        "agreement [95 %]",
        "p50 ms",
        "p99 ms",
        "int8 convs",
    )
    rows = [
        [
            code(entry["file"]),
            formatting.size(entry["size_bytes"]),
            formatting.top1(entry),
            formatting.drop(entry["difference"]),
            number(entry["agreement"], ".2%") + interval(entry["agreement_ci95"], ".1%"),
            number(entry["latency_ms"]["p50"], ".2f"),
            number(entry["latency_ms"]["p99"], ".2f"),
            formatting.integer_convolutions(entry["kernels"]),
        ]
        for entry in artifacts
    ]
    return "### Artifacts\n\n" + table(names, rows)


def _speedups(speedups: Sequence[Json]) -> str:
    rows = [[code(ratio["b"]), code(ratio["a"]), _ratio(ratio), str(ratio["threads"])] for ratio in speedups]
    return _section("Speed of int8", table(("int8", "fp32", "times as fast [95 %]", "threads"), rows, texts=2), rows)


def _pairs(pairs: Sequence[Json]) -> str:
    rows = [
        [
            code(pair["a"]),
            code(pair["b"]),
            "twins" if pair["is_twin"] else "",
            number(pair["agreement"], ".2%") + interval(pair["agreement_ci95"], ".1%"),
            f"{number(pair['max_lsb'], 'g')} LSB",
            _ratio(pair),
        ]
        for pair in pairs
    ]
    names = ("a", "b", "", "answer alike [95 %]", "at most apart", "b is times as fast [95 %]")
    return _section("Files with the same steps", table(names, rows, texts=3), rows)


def _classes(artifacts: Sequence[Json]) -> str:
    found = [(row, entry["file"]) for entry in artifacts for row in entry["worst_classes"]]
    found.sort(key=lambda pair: pair[0]["right"] - pair[0]["reference_right"])
    rows = _shared(
        (
            [
                prose(row["label"], LONGEST_NAME),
                *(str(row[key]) for key in ("images", "reference_right", "right")),
            ],
            file,
        )
        for row, file in found
    )
    names = ("artifact", "class", "images", "reference right", "artifact right")
    return _section("Classes that lost most", table(names, rows, texts=2, most=_WORST), rows)


def _confusions(artifacts: Sequence[Json]) -> str:
    found = [(row, entry["file"]) for entry in artifacts for row in entry["confusions"]]
    found.sort(key=lambda pair: pair[0]["count"], reverse=True)
    rows = _shared(
        (
            [
                *(prose(row[key], LONGEST_NAME) for key in ("label", "answer_label")),
                *(str(row[key]) for key in ("count", "reference_count")),
            ],
            file,
        )
        for row, file in found
    )
    names = ("artifact", "class", "taken for", "images", "by the reference")
    return _folded("Confusions in these classes", table(names, rows, texts=3, most=_WORST), rows)


def _disagreements(artifacts: Sequence[Json]) -> str:
    found = [(row, entry["file"]) for entry in artifacts for row in entry["disagreements"]["worst"]]
    found.sort(key=lambda pair: pair[0]["severity"], reverse=True)
    rows = _shared(
        (
            [
                code(row["image"]),
                prose(row["label"] or "", LONGEST_NAME),
                *(f"{prose(row[who], LONGEST_NAME)} {row[f'{who}_score']:.0%}" for who in ("reference", "artifact")),
            ],
            file,
        )
        for row, file in found
    )
    names = ("artifact", "image", "shows", "reference says", "artifact says")
    return _folded("Answers furthest from the reference's", table(names, rows, texts=5, most=_WORST), rows)


def _shared(found: Iterable[tuple[list[str], str]]) -> list[list[str]]:
    """Merge equal rows: each once, behind the names of the files that have it. Twins share most rows."""
    files: dict[tuple[str, ...], dict[str, None]] = {}  # dictionaries for the order in which they came
    for cells, file in found:
        files.setdefault(tuple(cells), {})[file] = None
    return [[_names(list(names)), *cells] for cells, names in files.items()]


def _names(files: Sequence[str]) -> str:
    left_out = [f"and {len(files) - _MOST_NAMES} more"] if len(files) > _MOST_NAMES else []
    return "<br>".join([*map(code, files[:_MOST_NAMES]), *left_out])


def _paths(paths: Sequence[Json]) -> str:
    rows = [
        [
            code(file["file"]),
            prose(f"{pair['a']} and {pair['b']}"),
            str(file["images"]),
            number(pair["agreement"], ".2%") + interval(pair["agreement_ci95"], ".1%"),
            number(pair["max_lsb"], "g"),
            number(pair["max_abs_error"], ".3g"),
        ]
        for file in paths
        for pair in file["pairs"]
    ]
    names = ("artifact", "kernels", "images", "answer alike [95 %]", "at most LSB", "at most probability")
    return _folded("Do other kernels answer alike?", table(names, rows, texts=2), rows)


def _speeds(artifacts: Sequence[Json]) -> str:
    names, found = formatting.other_speeds(artifacts, besides=1)
    rows = [[code(name), *cells] for name, *cells in found]
    return _folded(
        "Threads, cold start, memory, throughput", f"{table(names, rows)}\n\n{formatting.OTHER_SPEEDS}", rows
    )


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


def _ratio(ratio: Json) -> str:
    return number(ratio["latency_ratio"], ".2f") + interval(ratio["latency_ratio_ci95"], ".2f")


def _section(title: str, body: str, rows: Sequence[object]) -> str:
    return f"### {title}\n\n{body}" if rows else ""


def _folded(title: str, body: str, rows: Sequence[object]) -> str:
    return details(title, body) if rows else ""
