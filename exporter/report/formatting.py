"""Format the numbers of a report for the tables of terminal, job summary and card."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

Json = dict[str, Any]

OTHER_SPEEDS: Final = "images/s: batch x threads; cold start: opening the file and the first image, in a fresh process"

FAIL, UNDECIDED, PASS = "fail", "undecided", "pass"
_ORDER: Final = (FAIL, UNDECIDED, PASS)


def number(value: float | None, form: str) -> str:
    """Format the value; a dash for None."""
    return "-" if value is None else format(value, form)


def interval(ci95: list[float | None] | None, form: str) -> str:
    """Format both ends in brackets behind a space; empty without an interval, or where an end is null."""
    return "" if ci95 is None or None in ci95 else f" [{ci95[0]:{form}}, {ci95[1]:{form}}]"


def integer_convolutions(kernels: Json) -> str:
    """How many of the convolutions run in integers; a dash where the runtime does not tell its kernels (Keras)."""
    total = kernels["int8_convs"] + kernels["float_convs"]
    return f"{kernels['int8_convs']} of {total}" if total else "-"


def size(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1e6:.2f} MB"


def limit(gate: Json) -> str:
    """Format the limit with the side on which a value has to be."""
    return f"{'>=' if gate['direction'] == 'at least' else '<='} {gate['limit']:.4g}"


def measured(gate: Json) -> str:
    return "not measured" if gate["value"] is None else f"{gate['value']:.4g}"


def verdict(gate: Json) -> str:
    """pass, fail or undecided."""
    return str(gate["verdict"])


def by_urgency(gates: Iterable[Json]) -> list[Json]:
    """Sort gates: failed ones, undecided ones, then the others, each in the report's order."""
    return sorted(gates, key=lambda gate: _ORDER.index(verdict(gate)))


def speedup(ratio: Json) -> str:
    """Say how many times as fast as its fp32 file an int8 file is."""
    threads = ratio["threads"]
    where = f" on {threads} threads" if threads > 1 else ""
    return f"{ratio['latency_ratio']:.2f}{interval(ratio['latency_ratio_ci95'], '.2f')} times as fast as fp32{where}"


def kernel_paths(pairs: Sequence[Json], text: Callable[[Json], str]) -> str:
    """How alike each two kernel paths of a file answer, by the `text` of its task, or why one could not be run."""
    return "; ".join(
        f"{pair['a']}/{pair['b']} not known: {pair['failure']}" if pair.get("failure") else text(pair) for pair in pairs
    )


def shares(report: Json) -> list[str]:
    """A line on each kernel path that was asked for: the part of the graph that it takes."""
    return [f"{file['file']}, {taken(share)}" for file in report["paths"] for share in file.get("shares", ())]


def taken(share: Json) -> str:
    """Format the part of a graph that a kernel path takes, and who executes what it leaves."""
    device = f" on {share['device']}" if share["device"] else ""
    arena = "" if share["arena_bytes"] is None else f", in an arena of {share['arena_bytes']:,} bytes"
    said = f"{share['path']}{device}{arena}"
    if share["taken"] is None:
        return f"{said}: not all of {share['total']} ops; the runtime does not say which are left"
    if share["taken"] == share["total"]:
        return f"{said}: the whole graph, {share['total']} ops"
    left = ", ".join(f"{count} {op}" for op, count in share["left"].items())
    return (
        f"{said}: {share['taken']} of {share['total']} ops in {share['partitions']} piece(s); "
        f"by {share['executor']}: {left}"
    )


def compiled_files(report: Json) -> list[str]:
    """A line on each file that was compiled for an NPU: for which chip, and how alike it answers."""
    return [
        f"{each['file']}, {size(each['size_bytes'])} for {each['title']} ({each['chip']}): {_emulated(each)}"
        for each in report.get("npu", ())
    ]


def _emulated(entry: Json) -> str:
    if "failure" in entry:
        return f"not known: {entry['failure']}"
    steps = "" if entry["max_lsb"] is None else f", at most {entry['max_lsb']:g} LSB apart"
    return (
        f"{number(entry['agreement'], '.2%')} of {entry['images']} images as {entry['source']} on the CPU{steps}, on "
        f"{entry['device']}"
    )


def packages(report: Json) -> list[str]:
    """A line on each Core ML package: from which system on it is read, and how alike its simulation answers."""
    return [
        f"{each['file']}, {size(each['size_bytes'])}, from {each['target']} on: {_simulated(each)}"
        for each in report.get("coreml", ())
    ]


def _simulated(entry: Json) -> str:
    if "failure" in entry:
        return f"answers not known: {entry['failure']}"
    return (
        f"weights and input proved; {number(entry['agreement'], '.2%')} of {entry['images']} images as float, "
        f"{entry['device']}"
    )


def layers_in_float(report: Json) -> str | None:
    """Say which layers of int8 files stay in float; None where all are integers. Older reports know of none."""
    calibration = report.get("calibration") or {}
    names = [row["layer"] for row in calibration.get("in_float") or ()]
    if not names:
        return None
    stay = "stays" if len(names) == 1 else "stay"
    return (
        f"{len(names)} of {calibration['convolutions']} convolutions of int8 files {stay} in float: {', '.join(names)}"
    )


def slowdowns(report: Json) -> list[str]:
    """Say of each int8 file with layers in float how much longer it takes than with all of them in integers."""
    return [
        f"{ratio['file']} takes {ratio['latency_ratio']:.2f}{interval(ratio['latency_ratio_ci95'], '.2f')} times as "
        "long as with all layers in integers"
        for ratio in report.get("in_float") or ()
    ]


def in_float(report: Json) -> list[str]:
    """Say which layers of int8 files stay in float, and what that costs; nothing where all are integers."""
    kept = layers_in_float(report)
    return [*([kept] if kept else []), *slowdowns(report)]


def other_speeds(artifacts: Sequence[Json], *, besides: int) -> tuple[list[str], list[list[str]]]:
    """Tabulate other speeds than one image on `besides` threads: names of columns, and a row for each artifact."""
    threads = sorted({row["threads"] for entry in artifacts for row in entry["threads"]} - {besides})
    batches = sorted({(row["batch"], row["threads"]) for entry in artifacts for row in entry["throughput"]})
    names = [
        *("artifact", *(f"ms, {each} threads" for each in threads), "cold start ms", "peak memory"),
        *(f"images/s, {batch} x{each}" for batch, each in batches),
    ]
    rows = []
    for entry in artifacts:
        medians = {row["threads"]: row["p50"] for row in entry["threads"]}
        rates = {(row["batch"], row["threads"]): row["images_per_s"] for row in entry["throughput"]}
        start = entry["cold_start_ms"]
        rows.append(
            [
                entry["file"],
                *(number(medians.get(each), ".2f") for each in threads),
                *(number(start and start["total"], ".1f"), size(entry["peak_memory_bytes"])),
                *(number(rates.get(each), ".1f") for each in batches),
            ]
        )
    return names, rows


def model_name(report: Json) -> str:
    """The name of what was built, or of what `verify` compared with."""
    model = report["model"]
    return str(model.get("name") or model["reference"])


def fed(data: Json) -> str:
    """What the float reference takes of a byte, and in which order of channels."""
    order = {"GREY": "grey"}.get(data["channel_order"], data["channel_order"])
    return f"(byte - {data['mean']}) / {data['std']}, {order}"


def conclusion(report: Json) -> str:
    """Say the verdict in one line: which gates failed, and which could not be decided."""
    failed = [f"{gate['name']} ({gate['meaning']})" for gate in report["gates"] if not gate["passed"]]
    words = "PASSED" if report["passed"] else "FAILED: " + ("; ".join(failed) or "there was nothing to judge")
    open_ones = [gate["name"] for gate in report["gates"] if verdict(gate) == UNDECIDED]
    if not open_ones:
        return words
    gates = f"{len(open_ones)} gate{'s are' if len(open_ones) > 1 else ' is'} undecided ({', '.join(open_ones)})"
    them = "them" if len(open_ones) > 1 else "it"
    return f"{words}; {gates}" + ("" if report["strict"] else f": --strict would fail {them}")
