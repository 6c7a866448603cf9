"""How reports on classifiers are told: top-1, what of it was lost, and how many answers are alike."""

from typing import Final

from mbexport.models.architectures import MOBILENET_V1, family_named
from mbexport.report.formatting import Json, interval, number
from mbexport.report.tasks.task import Column, TaskText
from mbexport.verification.gates import GATES


def top1(entry: Json) -> str:
    """Format top-1 accuracy with its interval; `no labels` where it is null."""
    return "no labels" if entry["top1"] is None else f"{entry['top1']:.2%}{interval(entry['top1_ci95'], '.1%')}"


def _quality(entry: Json) -> str:
    return top1(entry) if entry["top1"] is None else f"top-1 {top1(entry)}"


def _top5(entry: Json) -> str:
    return number(entry["top5"], ".2%") + interval(entry["top5_ci95"], ".1%")


def _lost(entry: Json) -> str:
    """Format the points of top-1 that were lost, with the score interval; below 0 they were gained."""
    difference = entry["difference"]
    if difference is None:
        return "-"
    low, high = (100 * end for end in difference["score_ci95"])
    return f"{100 * difference['top1_drop']:.1f} [{low:.1f}, {high:.1f}]"


def agreement(entry: Json) -> str:
    """Format the share of answers that are alike, with its interval."""
    return number(entry["agreement"], ".2%") + interval(entry["agreement_ci95"], ".1%")


def _likeness(pair: Json) -> str:
    alike = f"{agreement(pair)} of the answers alike"
    if pair.get("conflict"):
        return f"{alike}; {pair['conflict']}"
    return alike + ("" if pair["max_lsb"] is None else f", at most {pair['max_lsb']:g} LSB apart")


def _kernel_path(pair: Json) -> str:
    steps = "" if pair["max_lsb"] is None else f", {pair['max_lsb']:g} LSB"
    return f"{pair['a']}/{pair['b']} {number(pair['agreement'], '.2%')}{steps}"


def _guess(entry: Json, reference: Json) -> str:
    return f"{top1(entry)}; always giving the most frequent class reaches {reference['chance']:.1%}"


def _untitled(model: Json) -> str:
    """Reports of `verify` have no title, and those of older versions knew one family."""
    return (MOBILENET_V1 if model.get("alpha") is not None else family_named(None)).title


CLASSIFICATION: Final = TaskText(
    gates=GATES,
    untitled=_untitled,
    quality=_quality,
    guess=_guess,
    cut_on_purpose=lambda sites: sites[-1:],
    orders="Are its classes in another order (--classes)?",
    terminal=(
        Column(title="top-1 [95 %]", text=top1),
        Column(title="points lost", text=_lost, compares=True),
        Column(title="agreement", text=lambda entry: number(entry["agreement"], ".2%"), compares=True),
    ),
    summary=(
        Column(title="top-1 [95 %]", text=top1),
        Column(title="points lost [95 %]", text=_lost, compares=True),
        Column(title="agreement [95 %]", text=agreement, compares=True),
    ),
    card=(
        Column(title="top-1 [95 %]", text=top1),
        Column(title="top-5 [95 %]", text=_top5),
        Column(title="points of top-1 lost [95 %]", text=_lost, compares=True),
        Column(title="answers alike [95 %]", text=agreement, compares=True),
    ),
    agreement="agreement",
    alike="of the answers alike",
    likeness=_likeness,
    kernel_path=_kernel_path,
    remarks=lambda _report: [],
    mediapipe="ImageClassifier",
)
