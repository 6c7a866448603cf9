"""Which artifacts a plan asks for, and which files have to be made for them."""

from mbexport.artifact import Precision
from mbexport.formats.file_format import FileFormat
from mbexport.formats.registry import EXPORTED
from mbexport.pipeline.plan import BuildPlan

Export = tuple[FileFormat, Precision]


def delivered(plan: BuildPlan) -> tuple[Export, ...]:
    """Each format and precision that the user gets, precision by precision in the registry's order of formats."""
    return tuple(
        (each, precision)
        for precision in plan.precisions
        for each in EXPORTED
        if precision in each.precisions and each.name in plan.formats
    )


def needed(plan: BuildPlan) -> frozenset[tuple[str, Precision]]:
    """The names of the formats, with the precisions, that have to be made: those delivered, and their sources."""
    found: set[tuple[str, Precision]] = set()
    for each, precision in delivered(plan):
        made: FileFormat | None = each
        kind = precision
        while made is not None:
            found.add((made.name, kind))
            kind, made = made.source(kind), made.made_from
    return frozenset(found)


def needs(plan: BuildPlan, *precisions: Precision) -> bool:
    """Whether a file of one of these precisions has to be made."""
    return any(precision in precisions for _, precision in needed(plan))
