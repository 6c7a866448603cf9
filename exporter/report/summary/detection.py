"""The CI server's page on detectors: twins, the classes that lost most, images with other boxes, kernels, tails."""

from collections.abc import Sequence
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME
from mbexport.escaping.markdown import code, prose, table
from mbexport.report.formatting import Json, interval, number
from mbexport.report.summary.parts import WORST, folded, section, shared, times_as_fast
from mbexport.report.tasks.detection import alike, coverage_line, kept

_SHARED: Final = ("of a in b [95 %]", "of b in a [95 %]", "images all alike [95 %]")


def detection_sections(report: Json) -> list[str]:
    """The sections in their order; one without rows is empty."""
    return [
        _pairs(report["pairs"]),
        _classes(report["artifacts"]),
        _anchors(report),
        _images(report["artifacts"]),
        _tails(report["artifacts"]),
        _paths(report["paths"]),
    ]


def _pairs(pairs: Sequence[Json]) -> str:
    rows = [[code(pair["a"]), code(pair["b"]), *_shares(pair), times_as_fast(pair)] for pair in pairs]
    names = ("a", "b", *_SHARED, "b is times as fast [95 %]")
    return section("Twins: which detections both have", table(names, rows, texts=2), rows)


def _shares(pair: Json) -> list[str]:
    return [kept(pair), kept(pair, "paired_back"), alike(pair)]


def _classes(artifacts: Sequence[Json]) -> str:
    """The classes that lost most AP first; beside labels alone, those that are found least."""
    found = [(row, entry["file"]) for entry in artifacts for row in entry["per_class"]]
    found.sort(key=lambda pair: _loss(pair[0]), reverse=True)
    numbers = ("reference_ap", "ap", "reference_ap50", "ap50")
    rows = shared(
        ([prose(row["label"], LONGEST_NAME), str(row["objects"]), *(number(row[key], ".3f") for key in numbers)], file)
        for row, file in found
    )
    names = ("artifact", "class", "objects", "reference AP", "artifact AP", "reference AP50", "artifact AP50")
    return section("AP by class, those first that lost most", table(names, rows, texts=2, most=WORST), rows)


def _loss(row: Json) -> float:
    return float((row["reference_ap"] or 0) - (row["ap"] or 0))


def _anchors(report: Json) -> str:
    line = coverage_line(report)
    return f"{prose(line)}: such objects are found less surely." if line else ""


def _images(artifacts: Sequence[Json]) -> str:
    found = [(row, entry["file"]) for entry in artifacts for row in entry["worst_images"]]
    found.sort(key=lambda pair: -(pair[0]["lost"] + pair[0]["invented"]))
    rows = shared(
        ([code(row["image"]), str(len(row["reference"])), str(row["lost"]), str(row["invented"])], file)
        for row, file in found
    )
    names = ("artifact", "image", "reference's detections", "lost", "new")
    return folded("Images with most other detections", table(names, rows, texts=2, most=WORST), rows)


def _tails(artifacts: Sequence[Json]) -> str:
    """How exact each file's own last ops are, and how much of its time the network before them takes."""
    known = [(entry["file"], entry["tail"]) for entry in artifacts if entry["tail"] is not None]
    rows = [
        [
            code(file),
            str(tail["images"]),
            alike(tail),
            number(tail["network_ms"], ".2f"),
            number(tail["network_share"], ".0%") + interval(tail["network_share_ci95"], ".0%"),
        ]
        for file, tail in known
    ]
    names = (
        "artifact",
        "images",
        "boxes as computed here [95 %]",
        "network alone, p50 ms",
        "of the file's time [95 %]",
    )
    return folded("From the network's outputs to boxes", table(names, rows), rows)


def _paths(paths: Sequence[Json]) -> str:
    rows = [
        [code(file["file"]), prose(f"{pair['a']} and {pair['b']}"), str(file["images"]), *_shares(pair)]
        for file in paths
        for pair in file["pairs"]
    ]
    names = ("artifact", "kernels a and b", "images", *_SHARED)
    return folded("Do other kernels find the same?", table(names, rows, texts=2), rows)
