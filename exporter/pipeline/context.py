"""What a stage can read: the plan, the images, the stages that are done, and who is told of progress."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mbexport.artifact import Target
from mbexport.models.data.open import DataSet
from mbexport.pipeline.exports import Export, delivered
from mbexport.pipeline.image_sets import ImageSets
from mbexport.pipeline.plan import BuildPlan
from mbexport.pipeline.stage_files import Float, Quantized, Rounded
from mbexport.progress import Progress
from mbexport.workdir import StageRecord

if TYPE_CHECKING:
    from mbexport.models.training.fit import Session

# The stages that make the float network: a run has one of them.
NETWORK: Final = ("train", "weights", "import")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run as far as it has come: `records` are the finished stages by name.

    `class_names` name the scores where there is no labelled data. While a stage works, `session` holds its checkpoint.
    """

    plan: BuildPlan
    images: ImageSets
    progress: Progress
    data: DataSet | None = None
    class_names: tuple[str, ...] | None = None
    records: Mapping[str, StageRecord] = field(default_factory=dict)
    active: "Session | None" = None

    def after(self, stage: str, record: StageRecord) -> "Context":
        """The run once `stage` is done."""
        return replace(self, records={**self.records, stage: record})

    def upstream(self, names: tuple[str, ...]) -> tuple[StageRecord, ...]:
        """The finished ones of these stages."""
        return tuple(self.records[name] for name in names if name in self.records)

    @property
    def session(self) -> "Session":
        """Where the stage that works keeps its checkpoint."""
        assert self.active is not None
        return self.active

    @property
    def float(self) -> Float:
        """Where the float network lies."""
        (record,) = self.upstream(NETWORK)
        return Float.of(record)

    @property
    def rounded(self) -> Rounded:
        """Where the network with 8-bit weights and float activations lies."""
        return Rounded.of(self.float, self.records["round-weights"])

    @property
    def calibrated(self) -> Quantized:
        """Where the calibrated network lies, before any training."""
        record = self.records["calibrate"]
        return Quantized.of(self.float, weights=record, ranges=record)

    @property
    def quantized(self) -> Quantized:
        """Where the quantizable network lies, as the int8 artifacts hold it."""
        return Quantized.of(self.float, weights=self.records["quantize"], ranges=self.records["calibrate"])

    @property
    def known_labels(self) -> tuple[str, ...] | None:
        """The names of the classes, where the data or the user gives them."""
        return self.data.class_names if self.data else self.class_names

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes in the order of the scores; their numbers where nobody names them."""
        return self.known_labels or tuple(str(number) for number in range(self.float.facts.classes))

    def artifact(self, export: Export) -> Path:
        """The finished file of that kind."""
        return self.records[export.stage].files[export.name(self.plan.name)]

    @property
    def artifacts(self) -> dict[str, Path]:
        """The finished artifacts that the user asked for, by file name."""
        return {each.name(self.plan.name): self.artifact(each) for each in delivered(self.plan)}

    @property
    def app_artifacts(self) -> dict[str, Path]:
        """Those of them that the code of our bundles reads: all but raw heads."""
        found = (each for each in delivered(self.plan) if not each.is_raw)
        return {each.name(self.plan.name): self.artifact(each) for each in found}

    def target(self, export: Export) -> Target:
        """The artifact of that kind, to be made."""
        return Target(name=export.name(self.plan.name), precision=export.precision, labels=self.labels)

    def result(self, name: str) -> Path | None:
        """The file called `name` that a stage left; None if no stage did. Names of JSON results are unique."""
        return next((record.files[name] for record in self.records.values() if name in record.files), None)

    def read(self, name: str) -> Any:
        """What the JSON file called `name` holds; None if no stage left one."""
        path = self.result(name)
        return None if path is None else json.loads(path.read_bytes())
