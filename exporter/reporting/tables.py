"""Turns a report into the tables that the command line prints."""

import json
import math
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from mbexport.calibration.choices import Observer
from mbexport.report import Json

_WIDTH = 130  # of a file or a pipe; a terminal says its own
_MOST_CLIPPED = 0.01
_FEWEST_CODES = 64  # of 256: six bits
_CODES = 256
_CLEARLY_BETTER = 0.05  # top-1: beyond what a few hundred images can do by chance


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
    console.print(f"\nfloat reference: {_top1(reference, 'top-1 ')} on {reference['samples']} images")
    if report.get("data", {}).get("best_epoch_chosen_on_test"):
        console.print("(the best epoch was chosen on these images: `mbexport verify` on others is the stricter test)")
    console.print(_artifact_table(report))
    for pair in report["pairs"]:
        console.print(
            f"{pair['a']} and {pair['b']}: {pair['agreement']:.2%} of the answers alike, at most "
            f"{pair['max_lsb']} LSB apart"
        )
    for ratio in report["speedups"]:
        low, high = ratio["latency_ratio_ci95"]
        console.print(f"{ratio['b']} is {ratio['latency_ratio']:.2f} [{low:.2f}, {high:.2f}] times as fast as fp32")
    if report.get("qat"):
        console.print(distillation_line(report["qat"]))
    console.print(_gate_table(report))
    if "stages" in report:
        console.print("stages: " + ", ".join(_stage(stage) for stage in report["stages"]))
    if out is not None:
        console.print(f"files: {out}/")
    console.print("PASSED" if report["passed"] else "FAILED: " + _failed(report), style="bold")


def print_warnings(report: Json, stream: TextIO) -> None:
    """What the user must not miss: images that were left out, and a network that only guesses or is fed wrongly."""
    lines = []
    fed, reference, bad = _fed(report["data"]), report["reference"], report["data"]["unreadable"]
    if bad:
        lines.append(f"{len(bad)} images cannot be read and were left out; report.json lists them")
    guesses = [gate for gate in report["gates"] if gate["name"] == "above_chance" and gate["value"] is not None]
    if guesses and not guesses[0]["passed"]:
        lines.append(
            f"the FLOAT network itself reaches {_top1(reference)}; always giving the most frequent class reaches "
            f"{reference['chance']:.1%}. It was fed {fed}: does it expect something else (--preprocess, --mean, "
            "--scale)? Are its classes in another order (--classes)?"
        )
    killed = (report.get("health") or {}).get("killed", {})
    if killed:
        lines.append(
            f"{sum(killed.values())} channels are zero on every image in int8 and are not in float: "
            + ", ".join(f"{count} of {site}" for site, count in killed.items())
        )
    tried = report.get("tried_normalizations")
    if tried:
        best = max(tried["top1"], key=tried["top1"].get)
        if tried["top1"][best] - tried["top1"]["mobilenet"] > _CLEARLY_BETTER:
            lines.append(
                f"the model does not say what it expects and was fed {fed}, which gave top-1 "
                f"{tried['top1']['mobilenet']:.1%} on {tried['samples']} images; with --preprocess {best} it gives "
                f"{tried['top1'][best]:.1%}"
            )
    unsettled = (report.get("qat") or {}).get("unsettled", [])
    if unsettled:
        lines.append(f"training moved {len(unsettled)} activation tensors out of their ranges: " + ", ".join(unsettled))
    lines += _storage_warnings(report.get("calibration") or {"sites": [], "corrections": []})
    console = _console(stream)
    for line in lines:
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


def _storage_warnings(calibration: Json) -> list[str]:
    """Tensors whose ranges do not suit what is stored in them; not the input, nor logits that were cut on purpose."""
    sites = calibration["sites"][1:-1] if "logits" in calibration["corrections"] else calibration["sites"][1:]
    clipped = [site for site in sites if site["clipped"] > _MOST_CLIPPED]
    coarse = [site for site in sites if _CODES - site["unused_codes"] < _FEWEST_CODES]
    lines = []
    if clipped:
        worst = max(clipped, key=lambda site: site["clipped"])
        lines.append(
            f"{len(clipped)} activation tensors cut more than {_MOST_CLIPPED:.0%} of their values, most of all "
            f"{worst['site']} ({worst['clipped']:.1%}): does --observer {Observer.MINMAX} answer better?"
        )
    if coarse:
        worst = max(coarse, key=lambda site: site["unused_codes"])
        lines.append(
            f"{len(coarse)} activation tensors use fewer than {_FEWEST_CODES} of {_CODES} codes on the calibration "
            f"images, least of all {worst['site']} ({_CODES - worst['unused_codes']}): does --observer "
            f"{Observer.AUTO} answer better?"
        )
    return lines


def _fed(data: Json) -> str:
    return f"(byte - {data['mean']}) / {data['std']}, {data['channel_order']}"


def print_latencies(result: Json, stream: TextIO, *, as_json: bool) -> None:
    """Latencies side by side, and each one's ratio to the first."""
    if as_json:
        stream.write(json.dumps(result, indent=2) + "\n")
        return
    console = _console(stream)
    table = Table("artifact", "runtime", "size", "p50 ms", "p90 ms", "p99 ms", "ratio to first [95 %]", box=None)
    ratios = {ratio["a"]: ratio for ratio in result["ratios"]}
    for entry in result["artifacts"]:
        ratio = ratios.get(entry["file"])
        interval = "1"
        if ratio:
            low, high = ratio["latency_ratio_ci95"]
            interval = f"{ratio['latency_ratio']:.2f} [{low:.2f}, {high:.2f}]"
        latency = entry["latency_ms"]
        table.add_row(
            entry["file"],
            entry["runtime"],
            _size(entry["size_bytes"]),
            *(f"{latency[name]:.2f}" for name in ("p50", "p90", "p99")),
            interval,
        )
    console.print(table)
    console.print(f"{result['threads']} thread(s), {result['artifacts'][0]['latency_ms']['runs']} interleaved rounds")


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
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", no_wrap=True)
    for name in ("share", "divergence without", "agreement without", "SNR dB"):
        table.add_column(name, justify="right", no_wrap=True)
    layers = found["layers"]
    for entry in sorted(
        layers, key=lambda entry: -math.inf if entry["share"] is None else entry["share"], reverse=True
    ):
        without = entry["without"]
        table.add_row(
            entry["layer"],
            _number(entry["share"], ".1%"),
            _number(without["divergence"], ".4g"),
            f"{without['agreement']:.1%}",
            _number(entry["snr_db"], ".1f"),
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _WIDTH
    # File names may hold what rich takes for markup.
    return _PipeConsole(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def _artifact_table(report: Json) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("artifact", no_wrap=True)
    for name in ("size", "top-1 [95 %]", "agreement", "p50 ms", "p90", "p99", "int8 convs"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in report["artifacts"]:
        latency, kernels = entry["latency_ms"], entry["kernels"]
        convolutions = kernels["int8_convs"] + kernels["float_convs"]
        table.add_row(
            entry["file"],
            _size(entry["size_bytes"]),
            _top1(entry),
            f"{entry['agreement']:.2%}",
            f"{latency['p50']:.2f}",
            f"{latency['p90']:.2f}",
            f"{latency['p99']:.2f}",
            f"{kernels['int8_convs']} of {convolutions}",
        )
    return table


def _gate_table(report: Json) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("gate", no_wrap=True)
    for name in ("value", "limit", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for gate in report["gates"]:
        value = "not measured" if gate["value"] is None else f"{gate['value']:.4g}"
        sign = ">=" if gate["direction"] == "at least" else "<="
        table.add_row(gate["name"], value, f"{sign} {gate['limit']:.4g}", "pass" if gate["passed"] else "FAIL")
    return table


def _top1(entry: Json, label: str = "") -> str:
    """The accuracy with its interval; images without labels have none."""
    if entry["top1"] is None:
        return "no labels"
    low, high = entry["top1_ci95"]
    return f"{label}{entry['top1']:.2%} [{low:.1%}, {high:.1%}]"


def _failed(report: Json) -> str:
    failed = [f"{gate['name']} ({gate['meaning']})" for gate in report["gates"] if not gate["passed"]]
    return "; ".join(failed) or "there was nothing to judge"


def _stage(stage: Json) -> str:
    return f"{stage['name']} {'reused' if stage['reused'] else format(stage['seconds'], '.1f') + ' s'}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB"
