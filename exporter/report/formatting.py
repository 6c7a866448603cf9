"""Format the numbers of a report for the tables of terminal, job summary and card."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from mbexport.models.architectures import MOBILENET_V1, family_named
from mbexport.verification.gates import comparing_gates

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


def top1(entry: Json, label: str = "") -> str:
    """Format top-1 accuracy with its interval; `no labels` where it is null."""
    if entry["top1"] is None:
        return "no labels"
    return f"{label}{entry['top1']:.2%}{interval(entry['top1_ci95'], '.1%')}"


def compared_with(reference: Json) -> str:
    """Say what the artifacts are compared with: a network and its accuracy, or labels and what these leave out."""
    images = f"{reference['samples']} images"
    if reference["precision"] is not None:
        return f"{top1(reference, 'top-1 ')} on {images} ({reference['name']})"
    left_out = ", ".join(comparing_gates())
    return (
        f"{reference['name']}, {images}; gates that compare with a network are left out ({left_out}): --reference FILE "
        "brings them"
    )


def drop(difference: Json | None) -> str:
    """Format the points of top-1 that were lost, with the score interval; below 0 they were gained."""
    if difference is None:
        return "-"
    low, high = (100 * end for end in difference["score_ci95"])
    return f"{100 * difference['top1_drop']:.1f} [{low:.1f}, {high:.1f}]"


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


def likeness(pair: Json) -> str:
    """Say how alike two files answer."""
    alike = f"{number(pair['agreement'], '.2%')}{interval(pair['agreement_ci95'], '.1%')} of the answers alike"
    if pair.get("conflict"):
        return f"{alike}; {pair['conflict']}"
    return alike + ("" if pair["max_lsb"] is None else f", at most {pair['max_lsb']:g} LSB apart")


def kernel_path(pair: Json) -> str:
    """Say in short how alike two kernel paths of one file answer."""
    steps = "" if pair["max_lsb"] is None else f", {pair['max_lsb']:g} LSB"
    return f"{pair['a']}/{pair['b']} {number(pair['agreement'], '.2%')}{steps}"


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


def network_title(report: Json) -> str:
    """What kind of network it is; reports of `verify` have no `title`, and those of older versions knew one family."""
    model = report["model"]
    older = MOBILENET_V1 if model.get("alpha") is not None else family_named(None)
    return str(model.get("title") or older.title)


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
