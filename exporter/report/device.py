"""Print what artifacts took on an Android device."""

from collections.abc import Iterator

from mbexport.report import formatting
from mbexport.report.formatting import Json
from mbexport.report.screen import Screen, Table


def print_device(android: Json, screen: Screen) -> None:
    """Print the device, a row for each artifact with its latency on each target, and what did not run."""
    screen.line("")
    screen.line(_device(android["device"]))
    screen.table(_table(android))
    for line in _remarks(android):
        screen.line(line)


def _device(device: Json) -> str:
    return f"{device['manufacturer']} {device['model']} ({device['soc']}), Android {device['android']}"


def _table(android: Json) -> Table:
    targets = [_title(target) for target in android["artifacts"][0]["targets"]]
    rows = []
    for entry in android["artifacts"]:
        cells = [
            f"{target['ms']:.2f}{formatting.interval(target['ms_ci95'], '.2f')}" if target["ms"] is not None else "-"
            for target in entry["targets"]
        ]
        rows.append((entry["file"], *cells))
    header = ("artifact", *(f"{title} ms [95 %]" for title in targets))
    return Table(header=header, rows=rows)


def _title(target: Json) -> str:
    return "GPU" if target["threads"] is None else f"CPU x{target['threads']}"


def _remarks(android: Json) -> Iterator[str]:
    """A line for each thing that did not run, and one on how the rest was measured."""
    for entry in android["artifacts"]:
        for target in entry["targets"]:
            if target["reason"]:
                yield f"{entry['file']}, {_title(target)}: {target['reason']}"
    for name in android["left_out"]:
        yield f"{name}: not on the device, benchmark_model runs no such file"
    heat = android["thermal_status"] or "unknown"
    yield f"{android['statistic']}s of {android['sittings']} sittings, interleaved; thermal status {heat}"
