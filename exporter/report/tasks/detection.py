"""How reports on detectors are told: average precision, what of it was lost, and which detections were kept.

AP is 0 to 1 here as in `--gate` and in other tools that measure it. Detections are those that an app shows, with a
score of at least 0.3; one is kept where the other detector gives a box of its class at nearly the same place.
"""

from collections import Counter
from typing import Final

from mbexport.report.formatting import Json, interval, number
from mbexport.report.tasks.task import Column, TaskText
from mbexport.verification.detection.gates import DETECTION_GATES

_UNTITLED: Final = "Object detector"


def precision(entry: Json, key: str) -> str:
    """Format AP, or another precision or the loss of one, with its interval; a dash where it is null."""
    return number(entry[key], "z.3f") + interval(entry[f"{key}_ci95"], "z.3f")


def kept(entry: Json, key: str = "paired") -> str:
    """Format the share of the first detector's detections that the second has too, with its interval.

    `paired_back` is that of the second one's.
    """
    return number(entry[key], ".1%") + interval(entry[f"{key}_ci95"], ".1%")


def alike(entry: Json) -> str:
    """Format the share of images with the same detections in the same order, with its interval."""
    return number(entry["alike"], ".1%") + interval(entry["alike_ci95"], ".1%")


def tail_line(report: Json) -> str | None:
    """How much of the files' time their networks take, as a sentence without its end; None where that is not known."""
    known = [(entry["file"], entry["tail"]) for entry in report["artifacts"] if entry["tail"] is not None]
    timed = [(file, tail) for file, tail in known if tail["network_share"] is not None]
    if not timed:
        return None
    shares = ", ".join(
        f"{tail['network_share']:.0%}{interval(tail['network_share_ci95'], '.0%')} of the time of {file}"
        for file, tail in timed
    )
    return f"the network alone takes {shares}; the rest makes boxes of what it gives"


def coverage_line(report: Json) -> str | None:
    """How many objects have no anchor of about their shape, as a sentence without its end; None if all do."""
    known = [entry["anchors"] for entry in report["artifacts"] if entry["anchors"] is not None]
    worst = max((each for each in known if each["uncovered"]), key=lambda each: float(each["uncovered"]), default=None)
    if worst is None:
        return None
    share = f"{worst['uncovered']:.1%}{interval(worst['uncovered_ci95'], '.1%')}"
    return f"{share} of the {worst['objects']:,} objects overlap none of the {worst['count']:,} anchors by half"


def anchors_line(report: Json) -> str | None:
    """Which anchors were chosen, by how many boxes, as a sentence without its end; None where none were."""
    candidates = (report.get("anchors") or {}).get("candidates", [])
    chosen = next((each for each in candidates if each["is_chosen"]), None)
    if chosen is None:
        return None
    first, boxes = candidates[0], report["anchors"]["boxes"]
    how, beside = f", {chosen['verdict']}", ""
    if chosen is not first:
        how, beside = " were chosen", f", {first['uncovered_class_mean']:.1%} with {_shapes(first)}"
    return (
        f"anchors of {_shapes(chosen)}{how}: of {boxes:,} boxes to learn from, in the mean over classes, "
        f"{chosen['uncovered_class_mean']:.1%} have no anchor that overlaps them by half{beside}"
    )


def _shapes(candidate: Json) -> str:
    return f"stride {candidate['feature_stride']} and scales {candidate['table']}"


def boxes_line(report: Json) -> str | None:
    """Which boxes of the data cannot be used, as a sentence without its end; None if all can, or nothing is known."""
    found = report.get("boxes")
    if not found or not found["left_out"]:
        return None
    kinds = Counter[str]()
    for part in found["parts"]:
        kinds.update(part["left_out"])
    said = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    parts = [f"{part['part']} {sum(part['left_out'].values()):,}" for part in found["parts"] if part["left_out"]]
    where = "" if len(found["parts"]) == 1 else f" ({', '.join(parts)})"
    return f"{found['left_out']:,} of {found['checked']:,} boxes cannot be used and were left out: {said}{where}"


def _quality(entry: Json) -> str:
    return f"AP {precision(entry, 'ap')}, AP50 {precision(entry, 'ap50')}"


def _guess(entry: Json, _reference: Json) -> str:
    chance = number(entry["chance"], ".3f")
    return f"AP50 {precision(entry, 'ap50')}; held against the objects of other images it reaches {chance}"


def _likeness(pair: Json) -> str:
    same = _shared(pair)
    return f"{same}; {pair['conflict']}" if pair.get("conflict") else same


def _shared(pair: Json) -> str:
    """How many detections both files of a pair have."""
    if pair["paired"] is None and pair["paired_back"] is None:
        return "neither finds anything with a score of at least 0.3"
    shared = f"{kept(pair)} and {kept(pair, 'paired_back')} of their detections shared"
    return f"{shared}, {alike(pair)} of the images all alike"


def _kernel_path(pair: Json) -> str:
    """The smaller one of both shares."""
    shares = [pair[key] for key in ("paired", "paired_back") if pair[key] is not None]
    return f"{pair['a']}/{pair['b']} " + (f"{min(shares):.1%} of the detections" if shares else "find nothing")


def _remarks(report: Json) -> list[str]:
    return [line for line in (anchors_line(report), tail_line(report), coverage_line(report)) if line is not None]


_AP: Final = Column(title="AP [95 %]", text=lambda entry: precision(entry, "ap"))
_AP50: Final = Column(title="AP50 [95 %]", text=lambda entry: precision(entry, "ap50"))
_LOST: Final = Column(title="AP lost [95 %]", text=lambda entry: precision(entry, "ap_drop"), compares=True)
_KEPT: Final = Column(title="detections kept [95 %]", text=kept, compares=True)

DETECTION: Final = TaskText(
    gates=DETECTION_GATES,
    untitled=lambda _model: _UNTITLED,
    quality=_quality,
    guess=_guess,
    cut_on_purpose=lambda sites: [site for site in sites if site.startswith(("boxes_", "classes_"))],
    orders="Are its classes in another order (--classes), or the corners of its boxes (ymin, xmin, ymax, xmax)?",
    terminal=(
        _AP,
        _AP50,
        _LOST,
        Column(title="kept", text=lambda entry: number(entry["paired"], ".1%"), compares=True),
    ),
    summary=(_AP, _AP50, _LOST, _KEPT),
    card=(
        _AP,
        _AP50,
        Column(title="AP75", text=lambda entry: number(entry["ap75"], ".3f")),
        _LOST,
        _KEPT,
        Column(title="also the reference's [95 %]", text=lambda entry: kept(entry, "paired_back"), compares=True),
    ),
    agreement="boxes in common",
    alike="of the boxes in common",
    likeness=_likeness,
    kernel_path=_kernel_path,
    remarks=_remarks,
    mediapipe="ObjectDetector",
)
