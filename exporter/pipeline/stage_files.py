"""The files that stages leave for one another, and where the networks among them lie; no network is loaded here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.models.facts import Facts, facts_from_json
from mbexport.workdir import StageRecord

NETWORK: Final = "network.json"
WEIGHTS: Final = "weights.npz"
INPUT: Final = "input.json"  # what an imported network does to its input, and what that was taken for
AGREEMENT: Final = "agreement.json"
HISTORY: Final = "history.json"
RANGES: Final = "ranges.json"
OBSERVED: Final = "observed_ranges.json"
LARGEST: Final = "largest_weights.npz"
CALIBRATION: Final = "calibration.json"
ARRANGEMENT: Final = "arrangement.npz"
MEASURED: Final = "measured.json"
NPU: Final = "npu.json"
COREML: Final = "coreml.json"
PICTURES: Final = "pictures.json"
TRIED: Final = "tried.json"
SIMULATION: Final = "simulation.json"
TRAINING: Final = "training.json"
HEALTH: Final = "health.json"
SENSITIVITY: Final = "sensitivity.json"
KEPT: Final = "in_float.json"
UNREADABLE: Final = "unreadable.json"
CONTENTS: Final = "contents.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """Where the float network lies: what is known of it, and its weights."""

    network: Path
    weights: Path

    @classmethod
    def of(cls, record: StageRecord) -> "Float":
        """What a stage that trains or reads a network left."""
        return cls(network=record.files[NETWORK], weights=record.files[WEIGHTS])

    @property
    def facts(self) -> Facts:
        """What is known of it."""
        return facts_from_json(self.network.read_bytes(), source=self.network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """Where the network with 8-bit weights and float activations lies: the float network, its weights and scales."""

    source: Float
    weights: Path
    largest: Path

    @classmethod
    def of(cls, source: Float, record: StageRecord) -> "Rounded":
        """What the stage that rounded the weights of `source` left."""
        return cls(source=source, weights=record.files[WEIGHTS], largest=record.files[LARGEST])


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """Where the quantizable network lies: the float network it came from, its folded weights, and all ranges.

    `calibration` says how they were found.
    """

    source: Float
    weights: Path
    ranges: Path
    largest: Path
    arrangement: Path
    calibration: Path

    @classmethod
    def of(cls, source: Float, *, weights: StageRecord, ranges: StageRecord) -> "Quantized":
        """The network with the weights of one stage and the ranges, those of the weights too, of another."""
        return cls(
            source=source,
            weights=weights.files[WEIGHTS],
            ranges=ranges.files[RANGES],
            largest=ranges.files[LARGEST],
            arrangement=ranges.files[ARRANGEMENT],
            calibration=ranges.files[CALIBRATION],
        )
