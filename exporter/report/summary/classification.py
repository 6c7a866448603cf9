"""The CI server's page on classifiers: twins, the classes that lost most, confusions, answers far from float's."""

from collections.abc import Sequence

from mbexport.escaping.characters import LONGEST_NAME
from mbexport.escaping.markdown import code, prose, table
from mbexport.report.formatting import Json, number
from mbexport.report.summary.parts import WORST, folded, section, shared, times_as_fast
from mbexport.report.tasks.classification import agreement


def classification_sections(report: Json) -> list[str]:
    """The sections in their order; one without rows is empty."""
    return [
        _pairs(report["pairs"]),
        _classes(report["artifacts"]),
        _confusions(report["artifacts"]),
        _disagreements(report["artifacts"]),
        _paths(report["paths"]),
        _packages(report.get("coreml", ())),
        _npus(report.get("npu", ())),
    ]


def _pairs(pairs: Sequence[Json]) -> str:
    rows = [
        [
            code(pair["a"]),
            code(pair["b"]),
            "twins" if pair["is_twin"] else "",
            agreement(pair),
            f"{number(pair['max_lsb'], 'g')} LSB",
            times_as_fast(pair),
        ]
        for pair in pairs
    ]
    names = ("a", "b", "", "answer alike [95 %]", "at most apart", "b is times as fast [95 %]")
    return section("Files with the same steps", table(names, rows, texts=3), rows)


def _classes(artifacts: Sequence[Json]) -> str:
    found = [(row, entry["file"]) for entry in artifacts for row in entry["worst_classes"]]
    found.sort(key=lambda pair: pair[0]["right"] - pair[0]["reference_right"])
    rows = shared(
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
    return section("Classes that lost most", table(names, rows, texts=2, most=WORST), rows)


def _confusions(artifacts: Sequence[Json]) -> str:
    found = [(row, entry["file"]) for entry in artifacts for row in entry["confusions"]]
    found.sort(key=lambda pair: pair[0]["count"], reverse=True)
    rows = shared(
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
    return folded("Confusions in these classes", table(names, rows, texts=3, most=WORST), rows)


def _disagreements(artifacts: Sequence[Json]) -> str:
    found = [(row, entry["file"]) for entry in artifacts for row in entry["disagreements"]["worst"]]
    found.sort(key=lambda pair: pair[0]["severity"], reverse=True)
    rows = shared(
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
    return folded("Answers furthest from the reference's", table(names, rows, texts=5, most=WORST), rows)


def _paths(paths: Sequence[Json]) -> str:
    rows = [
        [
            code(file["file"]),
            prose(f"{pair['a']} and {pair['b']}"),
            str(file["images"]),
            agreement(pair),
            number(pair["max_lsb"], "g"),
            number(pair["max_abs_error"], ".3g"),
        ]
        for file in paths
        for pair in file["pairs"]
    ]
    names = ("artifact", "kernels", "images", "answer alike [95 %]", "at most LSB", "at most probability")
    return folded("Do other kernels answer alike?", table(names, rows, texts=2), rows)


def _npus(compiled: Sequence[Json]) -> str:
    rows = [
        [
            code(entry["file"]),
            prose(f"{entry['title']}, {entry['device']}", LONGEST_NAME),
            str(entry["images"]),
            agreement(entry),
            number(entry["max_lsb"], "g"),
        ]
        for entry in compiled
    ]
    names = ("compiled for an NPU", "chip", "images", "answer as the source [95 %]", "at most LSB")
    return folded("What was compiled for NPUs", table(names, rows, texts=2), rows)


def _packages(packages: Sequence[Json]) -> str:
    rows = [
        [
            code(entry["file"]),
            prose(f"{entry['target']}, {entry['device']}", LONGEST_NAME),
            str(entry["images"]),
            agreement(entry),
            number(entry["max_abs_error"], ".2g"),
        ]
        for entry in packages
    ]
    names = ("Core ML package", "from, and how", "images", "answer as float [95 %]", "at most probability")
    return folded("Core ML packages, simulated", table(names, rows, texts=2), rows)
