"""Which artifacts there are, which of them a plan asks for, and which files have to be made for them."""

from dataclasses import dataclass
from typing import Final

from mbexport.artifact import Precision, file_name
from mbexport.formats.file_format import FileFormat
from mbexport.formats.npu.chips import Chip
from mbexport.formats.registry import EXPORTED
from mbexport.pipeline.plan import BuildPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One kind of artifact: its format and precision, and whether it gives the raw heads of a detector."""

    format: FileFormat
    precision: Precision
    is_raw: bool = False

    @property
    def stage(self) -> str:
        """The stage that makes it."""
        return f"{self.format.name}-{self.precision.value}{'-raw' if self.is_raw else ''}"

    @property
    def source(self) -> "Export | None":
        """The artifact that it is made from; None for one that is made from the network itself."""
        made_from = self.format.made_from
        return None if made_from is None else Export(format=made_from, precision=self.format.source(self.precision))

    def name(self, stem: str) -> str:
        """The name of its file."""
        return file_name(stem, self.precision, self.format.name, is_raw=self.is_raw)


# Precision by precision in the registry's order of formats; raw heads come last.
EXPORTS: Final = tuple(
    Export(format=each, precision=precision, is_raw=is_raw)
    for precision in Precision
    for is_raw in (False, True)
    for each in EXPORTED
    if precision in (each.raw_precisions if is_raw else each.precisions)
)


def delivered(plan: BuildPlan) -> tuple[Export, ...]:
    """Each artifact that the user gets, precision by precision."""
    return tuple(
        each
        for precision in plan.precisions
        for each in EXPORTS
        if each.precision is precision and each.format.name in plan.formats and (plan.raw_heads or not each.is_raw)
    )


def keras_name(plan: BuildPlan) -> str:
    """The name of the file with the float network."""
    return f"{plan.name}.h5"


def compiled(plan: BuildPlan) -> tuple[tuple[FileFormat, Chip], ...]:
    """Each format and chip whose int8 artifact is also compiled for the chip's NPU."""
    wanted = [each for each in EXPORTED if each.name in plan.formats and each.npu is not None]
    return tuple((each, chip) for each in wanted for chip in plan.npu)


def needed(plan: BuildPlan) -> frozenset[Export]:
    """All artifacts that have to be made: those delivered, and their sources."""
    found: set[Export] = set()
    for each in delivered(plan):
        made: Export | None = each
        while made is not None:
            found.add(made)
            made = made.source
    return frozenset(found)


def needs(plan: BuildPlan, *precisions: Precision) -> bool:
    """Whether a file of one of these precisions has to be made."""
    return any(each.precision in precisions for each in needed(plan))
