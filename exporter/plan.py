"""Turns the options of a build into one frozen plan that cannot be wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mbexport.artifact import Format, Io, Precision
from mbexport.errors import OptionError
from mbexport.gates import check_limits
from mbexport.limits import MAX_SEED, MAX_THREADS, require_within
from mbexport.models.preprocess import Preprocess
from mbexport.models.spec import ModelSpec

# Where nobody says: 8x8 digits gain nothing from more pixels, photos are what the network was designed for.
DIGITS_RESOLUTION_PX: Final = 64
PHOTO_RESOLUTION_PX: Final = 224
DIGITS_EPOCHS: Final = 16
PHOTO_EPOCHS: Final = 30
QAT_EPOCHS: Final = 2
CALIBRATION_SAMPLES: Final = 300
DIGITS_CROP: Final = 1.0
PHOTO_CROP: Final = 0.875

# The files that stages leave for one another.
WEIGHTS: Final = "weights.npz"
RANGES: Final = "ranges.json"
MEASURED: Final = "measured.json"
GATE_VALUES: Final = "gate_values.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that decides what a build makes. Raises `OptionError` for a value outside its range."""

    spec: ModelSpec
    preprocess: Preprocess
    out: Path
    calibration: Path | None = None
    calibration_samples: int = CALIBRATION_SAMPLES
    epochs: int = DIGITS_EPOCHS
    qat_epochs: int = QAT_EPOCHS
    precisions: tuple[Precision, ...] = (Precision.FP32,)
    formats: tuple[Format, ...] = (Format.TFLITE, Format.ONNX)
    io: Io = Io.UINT8
    limits: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    threads: int = 1
    resume: bool = True

    def __post_init__(self) -> None:
        require_within("epochs", self.epochs, 1)
        require_within("qat epochs", self.qat_epochs, 0)
        require_within("threads", self.threads, 1, MAX_THREADS)
        require_within("calibration samples", self.calibration_samples, 1)
        require_within("seed", self.seed, 0, MAX_SEED)
        if not self.precisions or not self.formats:
            raise OptionError("a build must have at least one precision and one format, got none")
        check_limits(self.limits)
