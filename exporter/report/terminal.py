"""Print reports, latencies and sensitivities for people to read on a terminal, or as JSON."""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from mbexport.escaping.terminal import json_text, shell_word
from mbexport.report import formatting
from mbexport.report.advice import advice
from mbexport.report.device import print_device
from mbexport.report.formatting import FAIL, PASS, UNDECIDED, Json, number
from mbexport.report.screen import Screen, Table
from mbexport.report.tasks.registry import compared_with, text_of
from mbexport.report.warnings import warnings_of

_STYLES: Final = {PASS: "green", UNDECIDED: "yellow", FAIL: "bold red"}
_OPENERS: Final = {"darwin": "open", "win32": "start"}  # elsewhere xdg-open, of freedesktop.org


def print_report(
    report: Json, stream: TextIO, *, out: Path | None, as_json: bool = False, warnings: TextIO | None = None
) -> None:
    """Artifacts, gates, the folder `out` with what to do next, and at the end the verdict; or the report as JSON.

    Warnings go to the stream `warnings`, if there is one, so that both on one terminal end with the verdict.
    """
    if as_json:
        stream.write(json_text(report) + "\n")
        if warnings is not None:
            print_warnings(report, warnings)
        return
    screen = Screen(stream, names=[entry["file"] for entry in report["artifacts"]])
    screen.line("")
    screen.line(f"reference: {compared_with(report)}")
    if report.get("data", {}).get("best_epoch_chosen_on_test"):
        screen.line("(the best epoch was chosen on these images: `mbexport verify` on others is the stricter test)")
    screen.table(_artifact_table(report))
    for line in _comparisons(report):
        screen.line(line)
    if report.get("qat"):
        screen.line(distillation_line(report["qat"], agreement=text_of(report).agreement))
    screen.table(_gate_table(report, has_report=out is not None))
    if out is not None:
        screen.line(f"files: {out}/")
        screen.line("next:")
        for command in next_commands(report, out):
            screen.copyable(f"  {command}")
    if warnings is not None:
        print_warnings(report, warnings)
    screen.line("")
    screen.line(formatting.conclusion(report), style=f"bold {'green' if report['passed'] else 'red'}")


def next_commands(report: Json, out: Path) -> Iterator[str]:
    """Commands for whoever has just made what lies in the folder `out`, each ready to be copied.

    After `verify` that is a report, which can be opened; after `build` and `export`, artifacts and their proof too.
    """
    folder = shell_word(str(out))
    kind = "tflite" if any(entry["format"] == "tflite" for entry in report["artifacts"]) else "onnx"
    yield open_command(f"{folder}/report.html")
    if "stages" not in report:
        return
    yield f"mbexport verify {folder}/*.{kind} --data YOUR_IMAGES"
    yield f"mbexport bench {folder}/*.{kind}"
    yield f"mbexport bundle --check {folder}"


def open_command(word: str) -> str:
    """The command that shows a page in the browser; `word` is its path as a word of a shell."""
    return f"{_OPENERS.get(sys.platform, 'xdg-open')} {word}"


def print_warnings(report: Json, stream: TextIO) -> None:
    """What the user must not miss: images that were left out, a network that only guesses or is fed wrongly."""
    screen = Screen(stream)
    for line in warnings_of(report):
        screen.line(f"WARNING: {line}", style="bold red")


def print_check(findings: Iterable[str], verdict: str, *, is_good: bool, stream: TextIO) -> None:
    """The findings of a check, a line each, and below them its verdict, green or red on a terminal."""
    screen = Screen(stream)
    for line in findings:
        screen.line(line)
    screen.line(verdict, style=f"bold {'green' if is_good else 'red'}")


def distillation_line(qat: Json, *, agreement: str = "agreement") -> str:
    """What became of quantization-aware training, in one line; the share of like answers is called `agreement`."""
    start, best, judges = qat["start"], qat["best"], f"on {qat['held_out']} held-out images"
    if not qat["steps"]:
        return (
            f"quantize: kept the calibrated integers without training: their divergence from float, "
            f"{start['divergence']:.4g} {judges}, is too small to tell a gain from chance"
        )
    moved = f"{start['divergence']:.4g} -> {best['divergence']:.4g}"
    if qat["kept"] == "calibrated":
        return (
            f"quantize: kept the calibrated integers: {_steps(qat)} of training did not bring them nearer to "
            f"float ({moved} {judges})"
        )
    alike = f"{start['agreement']:.1%} -> {best['agreement']:.1%}"
    return f"quantize: divergence from float {moved}, {agreement} {alike} {judges}"


def _steps(qat: Json) -> str:
    return "1 step" if qat["steps"] == 1 else f"{qat['steps']} steps"


def print_latencies(result: Json, stream: TextIO, *, as_json: bool) -> None:
    """Latencies side by side, and each one's ratio to the first; then starts, memory and throughput."""
    if as_json:
        stream.write(json_text(result) + "\n")
        return
    screen = Screen(stream, names=[entry["file"] for entry in result["artifacts"]])
    screen.table(_latency_table(result))
    names, rows = formatting.other_speeds(result["artifacts"], besides=result["threads"])
    screen.table(Table(header=tuple(names), rows=list(map(tuple, rows))))
    for entry in result["artifacts"]:
        for rate in entry["throughput"]:
            if rate["reason"]:
                screen.line(f"{entry['file']}, batch {rate['batch']}: {rate['reason']}")
    screen.line(formatting.OTHER_SPEEDS)
    screen.line(f"{result['threads']} thread(s), {result['artifacts'][0]['latency_ms']['runs']} runs, interleaved")
    if result.get("android") is not None:
        print_device(result["android"], screen)


def _latency_table(result: Json) -> Table:
    ratios = {ratio["a"]: ratio for ratio in result["ratios"] if ratio["threads"] == result["threads"]}
    rows = []
    for entry in result["artifacts"]:
        ratio, latency = ratios.get(entry["file"]), entry["latency_ms"]
        interval = formatting.interval(ratio["latency_ratio_ci95"], ".2f") if ratio else ""
        rows.append(
            (
                entry["file"],
                entry["runtime"],
                formatting.size(entry["size_bytes"]),
                *(number(latency[name], ".2f") for name in ("p50", "p90", "p99")),
                f"{ratio['latency_ratio']:.2f}{interval}" if ratio else "1",
            )
        )
    header = ("artifact", "runtime", "size", "p50 ms", "p90 ms", "p99 ms", "ratio to first [95 %]")
    return Table(header=header, rows=rows, breaks=(header.index("p50 ms"),))


def print_sensitivity(sensitivity: Json, stream: TextIO, *, as_json: bool) -> None:
    """What each layer costs, those that cost most first; or the same as JSON. Its `task` is that of its report."""
    if as_json:
        stream.write(json_text(sensitivity) + "\n")
        return
    screen, text = Screen(stream), text_of(sensitivity)
    screen.line(
        f"{sensitivity['file']}: {sensitivity['measure']} from float {sensitivity['divergence']:.4g}, "
        f"{sensitivity['agreement']:.1%} {text.alike}, on {sensitivity['samples']} {sensitivity['images']} images"
    )
    screen.table(_sensitivity_table(sensitivity["layers"], agreement=text.agreement))
    screen.line(
        "share: the part of the divergence that goes away when this layer alone stays float (below 0: others have been "
        "fitted to its errors, and do worse without)."
    )


def _sensitivity_table(layers: Sequence[Json], *, agreement: str) -> Table:
    costliest = sorted(layers, key=lambda entry: -math.inf if entry["share"] is None else entry["share"], reverse=True)
    rows = [
        (
            entry["layer"],
            number(entry["share"], ".1%"),
            number(entry["without"]["divergence"], ".4g"),
            f"{entry['without']['agreement']:.1%}",
            number(entry["snr_db"], ".1f"),
        )
        for entry in costliest
    ]
    return Table(header=("layer", "share", "divergence without", f"{agreement} without", "SNR dB"), rows=rows)


def _artifact_table(report: Json) -> Table:
    """A row for each artifact; without columns for latencies or comparisons where there are none."""
    has_network = report["reference"]["precision"] is not None
    qualities = [column for column in text_of(report).terminal if has_network or not column.compares]
    times = ("p50", "p99") if any(entry["latency_ms"]["p50"] is not None for entry in report["artifacts"]) else ()
    rows = [
        (
            entry["file"],
            formatting.size(entry["size_bytes"]),
            *(column.text(entry) for column in qualities),
            *(number(entry["latency_ms"][name], ".2f") for name in times),
            formatting.integer_convolutions(entry["kernels"]),
        )
        for entry in report["artifacts"]
    ]
    titles = {"p50": "p50 ms", "p99": "p99"}
    first = ("artifact", "size", *(column.title for column in qualities))
    header = (*first, *(titles[name] for name in times), "int8 convs")
    return Table(header=header, rows=rows, breaks=(len(first),))


def _comparisons(report: Json) -> list[str]:
    """How alike twins and kernel paths answer, how much faster integers are, and what else there is: a line each."""
    text = text_of(report)
    lines = [f"{pair['a']} and {pair['b']}: {text.likeness(pair)}" for pair in report["pairs"]]
    for file in report["paths"]:
        alike = formatting.kernel_paths(file["pairs"], text.kernel_path)
        lines.append(f"{file['file']}, other kernels alike on {file['images']} images: {alike}")
    lines += formatting.shares(report)
    lines += [*formatting.compiled_files(report), *formatting.packages(report)]
    lines += [f"{ratio['b']} is {formatting.speedup(ratio)}" for ratio in report["speedups"]]
    return lines + formatting.in_float(report) + text.remarks(report)


def _gate_table(report: Json, *, has_report: bool) -> Table:
    """A row for each gate; below those that did not pass, whose value it is and what to do next."""
    rows, styles, notes = [], [], []
    for gate in report["gates"]:
        verdict = formatting.verdict(gate)
        interval = formatting.interval(gate["ci95"], ".4g").strip()
        shown = "FAIL" if verdict == FAIL else verdict
        rows.append((gate["name"], formatting.measured(gate), interval, formatting.limit(gate), shown))
        styles.append(_STYLES[verdict])
        next_step = advice(gate, samples=report["reference"]["samples"], has_report=has_report)
        notes.append(": ".join(filter(None, (gate["subject"], next_step))) if next_step else "")
    return Table(header=("gate", "value", "[95 %]", "limit", ""), rows=rows, styles=styles, notes=notes)
