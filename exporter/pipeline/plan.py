"""The plan of a build or an export: every option that decides what is made, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.artifact import OPSET, Io, Layout, Precision, require_opset
from mbexport.bundles.registry import Bundling, Platform
from mbexport.calibration.choices import Correction, Keep, Observer
from mbexport.errors import MAX_BATCH, MAX_RUNS, MAX_SEED, MAX_THREADS, OptionError, require_within
from mbexport.formats.coreml.rows import PackageForm
from mbexport.formats.npu.chips import Chip
from mbexport.formats.registry import EXPORTED, formats_of
from mbexport.models.architectures import architecture_of
from mbexport.models.preprocess import MOBILENET, Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.spec import NetworkSpec
from mbexport.models.task import Task
from mbexport.pipeline.usual import DIGITS
from mbexport.provenance.manifest import Recipe
from mbexport.verification.gates import check_limits
from mbexport.verification.task_gates import TASK_GATES

if TYPE_CHECKING:
    from mbexport.models.ssd.anchor_choice import AnchorChoice

CALIBRATION_SAMPLES: Final = 300
OBSERVER: Final = Observer.MINMAX  # measured, docs/decisions/0012
MAX_BAD: Final = 0.01
NPU_IMAGES: Final = 16  # each takes the emulator seconds


def _is_half(char: str) -> bool:
    """Whether a character is half of a UTF-16 pair, which stands where a byte was no UTF-8."""
    return "\ud800" <= char <= "\udfff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network of ours that learns the data: from scratch, or from `weights` with a new head.

    A detector is learned with the `anchors` that were chosen for the boxes of the data.
    """

    spec: NetworkSpec
    epochs: int
    weights: Path | None = None
    anchors: "AnchorChoice | None" = None

    def __post_init__(self) -> None:
        require_within("--epochs", self.epochs, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A network of ours whose weights lie in a file, head and all."""

    spec: NetworkSpec
    weights: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A trained Keras model in a file; `resolution` for one that takes any.

    It is a classifier of anybody's, or a detector that this tool built: `anchors` names the table that the detector was
    trained with, and `feature_stride` its stride, where they are known beside the file.
    """

    model: Path
    resolution: Resolution | None = None
    trust: bool = False
    task: Task = Task.CLASSIFY
    anchors: str | None = None
    feature_stride: int | None = None


Origin = Trained | Stored | Foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that decides what a run makes. Raises `OptionError` for a value outside its range.

    `name` is the stem of every artifact's file name. Without a `normalization` it is the one that the network itself is
    known to expect. `keep` are the layers of int8 artifacts that stay in float. `qat_steps` take the place of
    `qat_epochs` where they are given. With `raw_heads` there are files of a detector, too, whose heads apps decode,
    with `keras` there is the float network. `io` is of int8 artifacts, `layout` and `opset` of .onnx files; a `batch`
    of None is decided when an artifact is run; with `logits` all end before the softmax or sigmoid; they name their
    `licence`. `packages` are those for Core ML that are made, too. int8 artifacts are also compiled for the chips in
    `npu`, and emulated on at most `npu_images` images. `max_bad` is the fraction of images that may be unreadable; with
    `follow_links` files and folders of images may be links to anywhere. With `strict` a gate that the images are too
    few to decide fails. Without `latency` nothing is timed; without `is_judged` artifacts are made and nothing is found
    out about them: there is no report. A `recipe` says how the run was asked for, in a manifest. Stages that take long
    are shared between output folders in the folder `cache`, if there is one. `bundling` says what apps get; `golden` is
    a folder of images that may travel with that, instead of test images. With `force` files in `out` that no run left
    as they are may be replaced.
    """

    name: str
    origin: Origin
    out: Path
    crop_fraction: float = DIGITS.crop_fraction
    normalization: Normalization | None = None
    calibration: Path | None = None
    golden: Path | None = None
    calibration_samples: int = CALIBRATION_SAMPLES
    observer: Observer = OBSERVER
    ranges: Path | None = None
    corrections: tuple[Correction, ...] = tuple(Correction)
    keep: Keep = field(default_factory=Keep)
    qat_epochs: int = 0
    qat_steps: int | None = None
    precisions: tuple[Precision, ...] = (Precision.FP32,)
    formats: tuple[str, ...] = tuple(each.name for each in EXPORTED)
    raw_heads: bool = False
    io: Io = Io.UINT8
    batch: int | None = 1
    logits: bool = False
    keras: bool = False
    layout: Layout = Layout.NHWC
    opset: int = OPSET
    licence: str | None = None
    packages: tuple[PackageForm, ...] = ()
    npu: tuple[Chip, ...] = ()
    npu_images: int = NPU_IMAGES
    bundling: Bundling = field(default_factory=Bundling)
    sensitivity: bool = True
    latency: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)
    strict: bool = False
    max_bad: float = MAX_BAD
    follow_links: bool = False
    log_dir: Path | None = None
    seed: int = 0
    threads: int = 1
    resume: bool = True
    cache: Path | None = None
    force: bool = False
    is_judged: bool = True
    recipe: Recipe | None = None

    def __post_init__(self) -> None:
        require_within("--qat-epochs", self.qat_epochs, 0)
        require_within("--qat-steps", self.qat_steps or 0, 0)
        require_within("--threads", self.threads, 1, MAX_THREADS)
        require_within("--calibration-samples", self.calibration_samples, 1)
        require_within("--batch", 1 if self.batch is None else self.batch, 1, MAX_BATCH)
        require_within("--seed", self.seed, 0, MAX_SEED)
        if not self.precisions or not self.formats:
            raise OptionError("a build must have at least one precision and one format, got none")
        for precision in self.precisions:
            if not set(formats_of(precision)) & set(self.formats):
                only = ", ".join(formats_of(precision))
                raise OptionError(f"precision {precision} is made as {only} only, got --format {self.formats[0]}")
        if self.keep.texts:
            self._require_kept()
        if self.raw_heads:
            self._require_raw_heads()
        if not 0 <= self.max_bad <= 1:
            raise OptionError(f"max bad must be a fraction from 0 to 1, got {self.max_bad:g}")
        require_opset(self.opset)
        if self.licence is not None and (self.licence.isspace() or any(map(_is_half, self.licence))):
            raise OptionError(f"license must be a text in UTF-8, got {self.licence!r}")
        check_limits(self.limits, TASK_GATES[self.task])
        self.preprocess(resolution=Resolution.square(1))  # checks the crop fraction
        self._require_bundles()
        self._require_compilable()
        if self.packages:
            self._require_packages(f"--precision {self.packages[0].name}")

    def _require_kept(self) -> None:
        """Raises `OptionError` where no int8 artifact could have layers in float, or a network of ours has no such."""
        if Precision.INT8 not in self.precisions:
            raise OptionError(f"--keep is for int8 artifacts: add --int8, or drop --keep {self.keep.texts[0]}")
        if not isinstance(self.origin, Foreign):
            spec = self.origin.spec
            self.keep.require_in([layer.name for layer in architecture_of(spec).cost(spec).layers])

    def _require_raw_heads(self) -> None:
        """Raises `OptionError` where there are no heads that apps could decode, or no format that gives them."""
        if self.task is not Task.DETECT:
            raise OptionError(f"--raw-heads is for --task {Task.DETECT}, got --task {self.task}: drop --raw-heads")
        able = [each.name for each in EXPORTED if each.raw_precisions]
        if not set(able) & set(self.formats):
            raise OptionError(f"--raw-heads needs --format {' or '.join(able)}, got --format {' '.join(self.formats)}")

    def _require_bundles(self) -> None:
        """Raises `OptionError` for a bundle that was asked for, or an option of one, where none can be made."""
        missing = next((each for each in self.bundling.rows() if each not in self.bundled), None)
        if missing is None:
            return
        asked = "a bundle" if self.bundling.is_required else ""
        if not self.bundled and self.bundling.asked:
            asked = self.bundling.asked[0]
        if asked:
            raise OptionError(
                f"{asked} needs a .{missing.model_format} that takes one image at a time, got --format "
                f"{' and '.join(self.formats)} with --batch {self.batch or 'dynamic'}"
            )

    def _require_compilable(self) -> None:
        """Raise `OptionError` where chips are named and there is nothing that can be compiled for them."""
        require_within("--npu-images", self.npu_images, 1, MAX_RUNS)
        if not self.npu:
            return
        if self.task is not Task.CLASSIFY:
            raise OptionError(f"--npu compiles classifiers: its compiler takes no detector, got --npu {self.npu[0]}")
        if Precision.INT8 not in self.precisions:
            raise OptionError(f"--npu compiles int8 artifacts, got --npu {self.npu[0]} without --int8")
        if self.batch is None:
            raise OptionError("--npu compiles for a batch that is fixed, got --batch dynamic")

    def _require_packages(self, asked: str) -> None:
        """Raise `OptionError` where Core ML packages are `asked` for and none can be made."""
        if self.task is not Task.CLASSIFY:
            raise OptionError(f"{asked} makes classifiers, got --task {self.task}")
        if self.logits:
            raise OptionError(f"{asked} makes classifiers that give probabilities, got --logits: drop one of them")
        if self.batch != 1:
            raise OptionError(f"{asked} takes one image at a time, got --batch {self.batch or 'dynamic'}")

    @property
    def task(self) -> Task:
        """What the network is for."""
        return self.origin.task if isinstance(self.origin, Foreign) else architecture_of(self.origin.spec).task

    @property
    def bundled(self) -> tuple[Platform, ...]:
        """The platforms that get a bundle: those for which there is an artifact that takes one image at a time."""
        return self.bundling.possible(self.formats, self.task) if self.batch in (None, 1) else ()

    @property
    def is_distilled(self) -> bool:
        """Whether the quantized network is trained."""
        return (self.qat_epochs if self.qat_steps is None else self.qat_steps) > 0

    def preprocess(self, *, resolution: Resolution) -> Preprocess:
        """How images become the input of a network of ours with this resolution."""
        return Preprocess(
            resolution=resolution,
            crop_fraction=self.crop_fraction,
            normalization=self.normalization or MOBILENET,
            is_stretched=self.task is Task.DETECT,
        )
