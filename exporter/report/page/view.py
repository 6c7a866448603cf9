"""Prepare what the page's templates show: numbered artifacts, the verdict's reason, notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mbexport.escaping.markup import clean
from mbexport.report import formatting
from mbexport.report.page.numbers import Json, elided, number, sentence, short_names
from mbexport.report.tasks.registry import compared_with
from mbexport.report.warnings import box_warnings, image_warnings, network_warnings

_MOST_REASONS: Final = 3
_ORDER: Final[Mapping[str, int]] = {"fail": 0, "undecided": 1, "pass": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedArtifact:
    """An artifact of the report with its place in the tables, from 1, and the short name that charts use."""

    place: int
    short: str
    entry: Json

    @property
    def label(self) -> str:
        """The name beside its row in a chart."""
        return f"{elided(self.short)}  {self.place}"


def numbered_artifacts(report: Json) -> list[NumberedArtifact]:
    """Number the artifacts in the report's order."""
    entries = report["artifacts"]
    names = short_names([entry["file"] for entry in entries])
    return [
        NumberedArtifact(place=place, short=short, entry=entry)
        for place, (short, entry) in enumerate(zip(names, entries, strict=True), start=1)
    ]


def gates(report: Json) -> list[Json]:
    """The gates of the report: failed ones first, then undecided ones."""
    return sorted(report["gates"], key=lambda gate: (gate["passed"], _ORDER.get(gate["verdict"], 0)))


def reason(report: Json) -> str:
    """Say in one sentence why the verdict is what it is."""
    found = report["gates"]
    if not found:
        return "There was nothing to judge."
    failed = [gate for gate in gates(report) if not gate["passed"]]
    if failed:
        missed = "; ".join(_missed(gate) for gate in failed[:_MOST_REASONS])
        rest = len(failed) - _MOST_REASONS
        of_all = f"{len(failed)} of {len(found)} gates" if len(found) > 1 else "The only gate"
        fails = "fail" if len(failed) > 1 else "fails"
        return f"{of_all} {fails}: {missed}{f'; and {rest} more' if rest > 0 else ''}."
    samples = report["reference"]["samples"]
    undecided = _undecided(found)
    if undecided:
        return f"No gate fails on {number(samples)} images; {undecided}."
    every = f"All {len(found)} gates pass" if len(found) > 1 else "The only gate passes"
    return f"{every} on {number(samples)} images."


def _undecided(found: Sequence[Json]) -> str:
    """Name what could not be decided: for want of images, or for another reason."""
    undecided = [gate for gate in found if gate["verdict"] == "undecided"]
    doubtful = [gate for gate in undecided if gate.get("reason")]
    names = ", ".join(gate["name"] for gate in undecided if gate not in doubtful)
    parts = [f"they are too few to decide {names}"] if names else []
    return "; ".join(parts + [f"{gate['name']} is undecided: {gate['reason']}" for gate in doubtful])


def _missed(gate: Json) -> str:
    least = "at least" if gate["direction"] == "at least" else "at most"
    subject = f" of {gate['subject']}" if gate["subject"] else ""
    why = gate.get("reason")  # reports of older versions have none
    because = f": {why}" if why else ""
    if gate["value"] is None:
        return f"{gate['name']}{subject} was not measured{because}"
    measured, limit = f"{gate['name']}{subject} is {number(gate['value'])}", f"{least} {number(gate['limit'])}"
    if gate["verdict"] == "undecided":
        doubt = f"decides nothing{because}" if why else f"its interval holds the limit of {limit}"
        return f"{measured}, and {doubt} (strict)"
    return f"{measured} and must be {limit}{because}"


def caveats(report: Json) -> list[str]:
    """Notes on what limits the report: noise, images that were left out, missing labels, warnings on the network."""
    lines = []
    if noise := report["machine"].get("noise"):
        lines.append(str(noise))
    if bad := report["data"].get("unreadable"):
        names = ", ".join(str(image["file"]) for image in bad[:_MOST_REASONS])
        more = ", \u2026" if len(bad) > _MOST_REASONS else ""
        lines.append(f"{len(bad)} images cannot be read and were left out: {names}{more}")
    lines += image_warnings(report["data"]) + box_warnings(report)
    if not report["reference"]["labelled"]:
        lines.append(
            "The images have no labels: how often the artifacts agree is known, how often they are right is not."
        )
    if report["reference"]["precision"] is None:
        lines.append(f"The reference is {compared_with(report)}.")
    if report["data"].get("best_epoch_chosen_on_test"):
        lines.append("The best epoch of the training was chosen on these images: others are the stricter test.")
    return [sentence(clean(line)) for line in lines + network_warnings(report)]


def in_float(report: Json) -> list[str]:
    """Notes on the layers that stay in float, and on what they cost in speed; none where all are integers."""
    return [sentence(clean(line)) for line in formatting.in_float(report)]


def threads(artifacts: list[NumberedArtifact]) -> list[int]:
    """The numbers of threads that latencies were taken with."""
    return sorted({run["threads"] for one in artifacts for run in one.entry["threads"] or []})


def batches(artifacts: list[NumberedArtifact]) -> list[tuple[int, int]]:
    """The batches, each with its threads, that throughput was taken with."""
    return sorted({(run["batch"], run["threads"]) for one in artifacts for run in one.entry["throughput"] or []})


def kernels_beside(kernels: Json | None) -> str:
    """How a file's other operations run, beside its integer convolutions; empty where that is not known."""
    counts = kernels or {}
    notes = [f"{counts['hybrid_convs']} hybrid"] if counts.get("hybrid_convs") else []
    notes += [f"{counts['delegated_ops']} ops delegated"] if counts.get("delegated_ops") else []
    return ", ".join(notes)
