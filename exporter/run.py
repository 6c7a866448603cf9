"""Turns what all stages of one run stand on into one value: options, images, the float network, the classes' names."""

from dataclasses import dataclass
from typing import Any

from mbexport.artifact import Format, Precision, Target, file_name
from mbexport.fingerprint import path_hash
from mbexport.handoff import Float
from mbexport.plan import BuildPlan
from mbexport.sources import Sources
from mbexport.stage_runner import StageRunner
from mbexport.workdir import StageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run behind its float network: `network` made it, `checked` looked at the images, `labels` name its scores."""

    plan: BuildPlan
    sources: Sources
    runner: StageRunner
    network: StageRecord
    checked: tuple[StageRecord, ...]
    labels: tuple[str, ...]

    @property
    def source(self) -> Float:
        """Where the float network lies."""
        return Float.of(self.network)

    def name(self, precision: Precision, file_format: Format) -> str:
        """The file name of an artifact."""
        return file_name(self.plan.name, precision, file_format)

    def target(self, precision: Precision, file_format: Format) -> Target:
        """The artifact of that kind, to be made."""
        return Target(name=self.name(precision, file_format), precision=precision, labels=self.labels)

    @property
    def form(self) -> dict[str, Any]:
        """The options that decide what every artifact takes, gives and says of itself."""
        plan = self.plan
        return {
            "name": plan.name,
            "batch": plan.batch,
            "logits": plan.logits,
            "labels": self.labels,
            "licence": plan.licence,
        }

    @property
    def images(self) -> dict[str, Any]:
        """The options that decide which images are calibrated on."""
        plan = self.plan
        return {"images": self.sources.fingerprints, "samples": plan.calibration_samples, "seed": plan.seed}

    @property
    def calibration(self) -> dict[str, Any]:
        """The options of calibration."""
        plan = self.plan
        ranges = {"ranges": path_hash(plan.ranges)} if plan.ranges else {"observer": plan.observer}
        return {**self.images, **ranges, "corrections": plan.corrections}
