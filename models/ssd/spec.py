"""Describe one SSD on MobileNet v1: width, resolution and classes, and the maps that its boxes are found on.

Source: Liu et al. 2016, "SSD: Single Shot MultiBox Detector", arXiv 1512.02325, in the form of Howard et al. 2017
(arXiv 1704.04861, section 4.6, table 13) as TensorFlow published it: research/object_detection of tensorflow/models,
`models/ssd_mobilenet_v1_feature_extractor.py` and `models/feature_map_generators.py`.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v1.spec import BLOCKS, Block, Convolution, narrowed
from mbexport.models.resolution import Resolution
from mbexport.models.spec import NetworkSpec

FEATURE_BLOCKS: Final = (11, 13)  # whose maps boxes are found on, counted from 1: of stride 16 and 32
EXTRA_FILTERS: Final = (512, 256, 256, 128)  # of the stages behind the last block
ANCHORS_PER_PLACE: Final = (3, 6, 6, 6, 6, 6)  # of the maps, finest first
FEATURE_STRIDES: Final = (16, 8)  # of the finest map
REFERENCE_RESOLUTION: Final = Resolution.square(300)
_LEAST_EXTRA_CHANNELS: Final = 16
STRIDED_BLOCK: Final = 6  # the one that brings the stride from 8 to 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraStage:
    """A 1x1 convolution to `reduced` channels, and a 3x3 one with stride 2 to `channels`."""

    reduced: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SsdSpec(NetworkSpec):
    """One SSD on MobileNet v1: width multiplier alpha, input resolution, classes of objects, stride of its finest map.

    Each class has a score of its own, and there is none for the background, so that one class is enough. The
    sides may be any from 96 to 1024: all padding is SAME, and a map has half of an odd side, rounded up. From 96 px
    on the finest map has at least 6 places a side; what lies behind a map of one place has one place, too.

    With `feature_stride` 8 the block that brings the stride from 8 to 16 keeps its map's size, so that every map has
    four times as many places: for objects that are small beside the image. It has the same weights, and the layers from
    there on cost four times as much. The defaults are those of the published network for COCO: 90 classes and one
    unused column. Raises `OptionError` for an alpha outside (0, 1], such a side, no class, or another stride.
    """

    architecture: ClassVar[str] = "ssd_mobilenet_v1"
    family_title: ClassVar[str] = "SSD MobileNet v1"
    max_alpha: ClassVar[float] = 1.0
    side_step_px: ClassVar[int] = 1
    min_side_px: ClassVar[int] = 96
    min_classes: ClassVar[int] = 1

    resolution: Resolution = REFERENCE_RESOLUTION
    classes: int = 91
    feature_stride: int = 16

    def __post_init__(self) -> None:
        NetworkSpec.__post_init__(self)  # a class with slots is made twice, so that super() would not find itself
        if self.feature_stride not in FEATURE_STRIDES:
            legal = " or ".join(map(str, FEATURE_STRIDES))
            raise OptionError(f"feature stride must be {legal}, got {self.feature_stride}")

    @property
    def rho(self) -> float | None:
        """None: the paper has no resolution multiplier for detectors."""
        return None

    @property
    def variant_names(self) -> tuple[str, ...]:
        """What file names say of finer maps: `ssd_mobilenet_v1_stride8_0.25_192`."""
        return () if self.feature_stride == max(FEATURE_STRIDES) else (f"stride{self.feature_stride}",)

    @property
    def conv(self) -> Convolution:
        """The kind of the blocks."""
        return Convolution.SEPARABLE

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The thirteen blocks of MobileNet v1, of which one keeps its map's size where maps are finer."""
        if self.feature_stride == max(FEATURE_STRIDES):
            return BLOCKS
        at = STRIDED_BLOCK - 1
        return (*BLOCKS[:at], replace(BLOCKS[at], stride=1), *BLOCKS[at + 1 :])

    def channels(self, filters: int) -> int:
        """The channels that `filters` of the stem or a block become under alpha, as in the classifier.

        TensorFlow's detectors have at least 16 there; with fewer the weights of published classifiers fit.
        """
        return narrowed(filters, self.alpha)

    @property
    def extras(self) -> tuple[ExtraStage, ...]:
        """The four stages behind the last block; alpha leaves each convolution at least 16 channels."""
        return tuple(
            ExtraStage(reduced=self._extra_channels(filters // 2), channels=self._extra_channels(filters))
            for filters in EXTRA_FILTERS
        )

    def _extra_channels(self, filters: int) -> int:
        return max(_LEAST_EXTRA_CHANNELS, int(filters * self.alpha))

    @property
    def maps(self) -> tuple[Resolution, ...]:
        """The sizes of the maps that boxes are found on, finest first: 19, 10, 5, 3, 2 and 1 for 300 px."""
        size, found = self.resolution.strided(2), []
        for number, block in enumerate(self.blocks, start=1):
            size = size.strided(block.stride)
            if number in FEATURE_BLOCKS:
                found.append(size)
        for _ in EXTRA_FILTERS:
            found.append(size := size.strided(2))
        return tuple(found)

    @property
    def anchor_count(self) -> int:
        """The number of boxes that the network gives: 1,917 for 300 px."""
        return sum(size.pixels * each for size, each in zip(self.maps, ANCHORS_PER_PLACE, strict=True))
