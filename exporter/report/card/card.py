"""Render MODEL_CARD.md: what the files are for, what was measured, what is not known.

The card has the YAML front matter that the Hugging Face Hub reads.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from markupsafe import Markup

from mbexport.escaping.characters import LONGEST_NAME
from mbexport.escaping.markdown import code, prose, table
from mbexport.escaping.templates import markdown_templates
from mbexport.report import formatting
from mbexport.report.card import sentences
from mbexport.report.card.front_matter import front_matter
from mbexport.report.card.registry import card_of
from mbexport.report.formatting import Json, interval, number
from mbexport.report.tasks.registry import task_of, text_of
from mbexport.report.warnings import network_warnings, noise

CARD: Final = "MODEL_CARD.md"
_HERE: Final = "mbexport.report.card"
_TIMES: Final = ("p50", "p90", "p99")


def model_card(
    report: Json,
    *,
    licence: str | None,
    files: Collection[str] = (),
    bundles: Mapping[str, str] = MappingProxyType({}),
    base_model: str | None = None,
) -> str:
    """Render the content of MODEL_CARD.md; names and labels are shown as text, whatever they hold.

    `licence` is that of the model, None where it is not known. `files` are the paths, from the folder of the card, of
    what lies beside it: the card names no vectors or proof that are not there. `bundles` are those beside it, as a
    line of Markdown by platform. `base_model` is the Hub's name of the network that this one was made from, None where
    it is not known.
    """
    body = markdown_templates(_HERE).get_template("model_card.j2").render(_context(report, licence, files, bundles))
    return front_matter(report, licence=licence, base_model=base_model) + body


def _context(report: Json, licence: str | None, files: Collection[str], bundles: Mapping[str, str]) -> dict[str, Any]:
    """The names that the template uses: texts, which it escapes, and finished tables."""
    beside = {path.split("/")[0] for path in files}
    card = card_of(report)
    is_timed = any(entry["latency_ms"]["p50"] is not None for entry in report["artifacts"])
    return {
        "task": task_of(report).value,
        "name": formatting.model_name(report),
        "passed": report["passed"],
        "verdict": sentences.verdict(report),
        "warnings": network_warnings(report),
        "about": sentences.about(report, card),
        "beside": beside,
        "bundles": {platform: Markup(summary) for platform, summary in bundles.items()},
        "feeding": card.feeding(report),
        "ends": _ends(report["artifacts"], card.output),
        "training": sentences.training(report, card),
        "reference": report["reference"]["name"],
        "labelled": report["reference"]["labelled"],
        "metrics": _metrics(report),
        "machine": sentences.machine(report),
        "noise": noise(report["machine"]),
        "is_timed": is_timed,
        "latencies": _latencies(report["artifacts"], is_timed=is_timed),
        "speeds": [
            *(f"Here {ratio['b']} is {formatting.speedup(ratio)}." for ratio in report["speedups"]),
            *(f"{line}." for line in formatting.slowdowns(report)),
            *card.speeds(report),
        ],
        "gates": _gates(report["gates"]),
        "limits": sentences.limits(report, card),
        "classes_title": card.classes_title,
        "classes": Markup(card.classes(report["artifacts"])),
        "licence": sentences.licence_line(licence),
        "hashes": _hashes(report["artifacts"]),
        "tools": [f"{name} {version}" for name, version in _tools(report["tool"]).items()],
    }


def _ends(artifacts: Sequence[Json], output: Callable[[Json], str]) -> Markup:
    rows = [
        [
            code(entry["file"]),
            prose(f"{entry['input']['dtype']} {entry['input']['layout']}, {entry['input']['channel_order']}"),
            prose(sentences.fed(entry["input"])),
            prose(output(entry)),
        ]
        for entry in artifacts
    ]
    return Markup(table(("file", "input", "takes", "output"), rows, texts=4))


def _metrics(report: Json) -> Markup:
    """The float network first, then every file."""
    reference, columns = report["reference"], text_of(report).card
    first = [
        prose(reference["name"], LONGEST_NAME),
        "-",
        *("-" if column.compares else column.text(reference) for column in columns),
    ]
    rows = [
        [code(entry["file"]), formatting.size(entry["size_bytes"]), *(column.text(entry) for column in columns)]
        for entry in report["artifacts"]
    ]
    return Markup(table(("", "size", *(column.title for column in columns)), [first, *rows]))


def _latencies(artifacts: Sequence[Json], *, is_timed: bool) -> Markup:
    """Times, where there are any, and how each file's convolutions run."""
    rows = [
        [
            code(entry["file"]),
            prose(entry["runtime"], LONGEST_NAME),
            *(number(entry["latency_ms"][name], ".2f") for name in (_TIMES if is_timed else ())),
            *([str(entry["latency_ms"]["runs"])] if is_timed else []),
            formatting.integer_convolutions(entry["kernels"]),
        ]
        for entry in artifacts
    ]
    times = (*(f"{name} ms" for name in _TIMES), "runs") if is_timed else ()
    return Markup(table(("file", "runtime", *times, "int8 convolutions"), rows, texts=2))


def _gates(gates: Sequence[Json]) -> Markup:
    rows = [
        [
            formatting.verdict(gate),
            code(gate["name"]),
            prose(gate["meaning"]),
            formatting.measured(gate) + interval(gate["ci95"], ".4g"),
            formatting.limit(gate).replace("<=", "≤").replace(">=", "≥"),
        ]
        for gate in formatting.by_urgency(gates)
    ]
    return Markup(table(("verdict", "gate", "what it is", "value [95 %]", "limit"), rows, texts=3) if rows else "")


def _hashes(artifacts: Sequence[Json]) -> Markup:
    rows = [[code(entry["file"]), f"`{entry['sha256']}`", str(entry["size_bytes"])] for entry in artifacts]
    return Markup(table(("file", "sha256", "bytes"), rows, texts=2))


def _tools(tool: Json) -> dict[str, str]:
    own = {tool["name"]: tool["version"]} if "version" in tool else {}
    return {**own, **tool["libraries"]}
