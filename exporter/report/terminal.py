"""Turns a report into the tables that the command line prints."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from mbexport.report import formatting as wording
from mbexport.report.formatting import Json, number
from mbexport.report.warnings import warnings_of

_WIDTH = 130  # of a file or a pipe; a terminal says its own


class _PipeConsole(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line; rich would exit with 1, which here means that a gate failed."""
        raise BrokenPipeError


def print_report(report: Json, stream: TextIO, *, out: Path | None, as_json: bool = False) -> None:
    """Artifacts, gates and verdict, and where the files are; or the report itself as JSON."""
    if as_json:
        stream.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        return
    console = _console(stream)
    reference = report["reference"]
    console.print(
        f"\nreference: {wording.top1(reference, 'top-1 ')} on {reference['samples']} images ({reference['name']})"
    )
    if report.get("data", {}).get("best_epoch_chosen_on_test"):
        console.print("(the best epoch was chosen on these images: `mbexport verify` on others is the stricter test)")
    console.print(_artifact_table(report))
    for line in _comparisons(report):
        console.print(line)
    if report.get("qat"):
        console.print(distillation_line(report["qat"]))
    for line in _gate_lines(report["gates"]):
        console.print(line)
    if "stages" in report:
        console.print("stages: " + ", ".join(_stage(stage) for stage in report["stages"]))
    if out is not None:
        console.print(f"files: {out}/")
    console.print(wording.conclusion(report), style="bold")


def print_warnings(report: Json, stream: TextIO) -> None:
    """What the user must not miss: images that were left out, a network that only guesses or is fed wrongly."""
    console = _console(stream)
    for line in warnings_of(report):
        console.print(f"WARNING: {line}", style="bold red")


def distillation_line(qat: Json) -> str:
    """What became of quantization-aware training, in one line."""
    start, best, judges = qat["start"], qat["best"], f"on {qat['held_out']} held-out images"
    moved = f"{start['divergence']:.4g} -> {best['divergence']:.4g}"
    if qat["kept"] == "calibrated":
        return (
            f"quantize: kept the calibrated integers: {qat['steps']} steps of training did not bring them nearer to "
            f"float ({moved} {judges})"
        )
    agreement = f"{start['agreement']:.1%} -> {best['agreement']:.1%}"
    return f"quantize: divergence from float {moved}, agreement {agreement} {judges}"


def print_latencies(result: Json, stream: TextIO, *, as_json: bool) -> None:
    """Latencies side by side, and each one's ratio to the first; then starts, memory and throughput."""
    if as_json:
        stream.write(json.dumps(result, indent=2) + "\n")
        return
    console = _console(stream)
    table = _table("artifact", "runtime", "size", "p50 ms", "p90 ms", "p99 ms", "ratio to first [95 %]")
    ratios = {ratio["a"]: ratio for ratio in result["ratios"] if ratio["threads"] == result["threads"]}
    for entry in result["artifacts"]:
        ratio, latency = ratios.get(entry["file"]), entry["latency_ms"]
        table.add_row(
            entry["file"],
            entry["runtime"],
            wording.size(entry["size_bytes"]),
            *(number(latency[name], ".2f") for name in ("p50", "p90", "p99")),
            f"{ratio['latency_ratio']:.2f}{wording.interval(ratio['latency_ratio_ci95'], '.2f')}" if ratio else "1",
        )
    console.print(table)
    _print_other_speeds(result, console)
    console.print(f"{result['threads']} thread(s), {result['artifacts'][0]['latency_ms']['runs']} runs, interleaved")


def _print_other_speeds(result: Json, console: Console) -> None:
    """What one image at a time does not show; a line for each reason why there is no number."""
    names, rows = wording.other_speeds(result["artifacts"], besides=result["threads"])
    table = _table(*names)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for entry in result["artifacts"]:
        for rate in entry["throughput"]:
            if rate["reason"]:
                console.print(f"{entry['file']}, batch {rate['batch']}: {rate['reason']}")
    console.print(wording.OTHER_SPEEDS)


def print_sensitivity(found: Json, stream: TextIO, *, as_json: bool) -> None:
    """What each layer costs, those that cost most first; or the same as JSON."""
    if as_json:
        stream.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        return
    console = _console(stream)
    console.print(
        f"{found['file']}: {found['measure']} from float {found['divergence']:.4g}, {found['agreement']:.1%} of the "
        f"answers alike, on {found['samples']} {found['images']} images"
    )
    console.print(_sensitivity_table(found))
    console.print(
        "share: the part of the divergence that goes away when this layer alone stays float (below 0: others have been "
        "fitted to its errors, and do worse without)."
    )


def _sensitivity_table(found: Json) -> Table:
    table = _table("layer", "share", "divergence without", "agreement without", "SNR dB")
    layers = found["layers"]
    for entry in sorted(
        layers, key=lambda entry: -math.inf if entry["share"] is None else entry["share"], reverse=True
    ):
        without = entry["without"]
        table.add_row(
            entry["layer"],
            number(entry["share"], ".1%"),
            number(without["divergence"], ".4g"),
            f"{without['agreement']:.1%}",
            number(entry["snr_db"], ".1f"),
        )
    return table


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _WIDTH
    # File names may hold what rich takes for markup.
    return _PipeConsole(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def _table(first: str, *others: str) -> Table:
    """An empty table: a column of names, then columns of numbers."""
    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _artifact_table(report: Json) -> Table:
    table = _table("artifact", "size", "top-1 [95 %]", "points lost", "agreement", "p50 ms", "p99", "int8 convs")
    for entry in report["artifacts"]:
        latency = entry["latency_ms"]
        table.add_row(
            entry["file"],
            wording.size(entry["size_bytes"]),
            wording.top1(entry),
            wording.drop(entry["difference"]),
            number(entry["agreement"], ".2%"),
            number(latency["p50"], ".2f"),
            number(latency["p99"], ".2f"),
            wording.integer_convolutions(entry["kernels"]),
        )
    return table


def _comparisons(report: Json) -> list[str]:
    """How alike twins and kernel paths answer, and how much faster integers are: a line each."""
    lines = [f"{pair['a']} and {pair['b']}: {wording.likeness(pair)}" for pair in report["pairs"]]
    for file in report["paths"]:
        alike = "; ".join(map(wording.kernel_path, file["pairs"]))
        lines.append(f"{file['file']}, other kernels alike on {file['images']} images: {alike}")
    return lines + [f"{ratio['b']} is {wording.speedup(ratio)}" for ratio in report["speedups"]]


def _gate_lines(gates: Sequence[Json]) -> list[str]:
    """A line for each gate, in columns; below those that did not pass, whose value it is and what to do next."""
    rows = [("gate", "value", "[95 %]", "limit", "")]
    for gate in gates:
        verdict = wording.verdict(gate)
        said = (wording.measured(gate), wording.interval(gate["ci95"], ".4g").strip(), wording.limit(gate))
        rows.append((gate["name"], *said, "FAIL" if verdict == wording.FAIL else verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_row(rows[0], widths)]
    for row, gate in zip(rows[1:], gates, strict=True):
        lines.append(_row(row, widths))
        if wording.verdict(gate) != wording.PASS:
            note = ": ".join(filter(None, (gate["subject"], gate["advice"])))
            lines += [f"    {note}"] if note else []
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *others)).rstrip()


def _stage(stage: Json) -> str:
    return f"{stage['name']} {'reused' if stage['reused'] else format(stage['seconds'], '.1f') + ' s'}"
