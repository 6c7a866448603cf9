"""What an artifact says of itself: name, labels, expected input, normalization, licence."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mbexport import __version__
from mbexport.artifact import TensorSpec, for_bytes
from mbexport.calibration.affine import Affine
from mbexport.errors import OptionError
from mbexport.models.channels import CHANNELS, MAX_CHANNELS, colour_of
from mbexport.models.resolution import Resolution

if TYPE_CHECKING:
    from mbexport.models.facts import Output

# A mean of 127.5 is no byte: integer artifacts have the zero point 128, and half a step of it in their first bias.
_HALF_STEP: Final = 0.5 + 1e-3
_SCALE_TOLERANCE: Final = 1e-3
_FLOAT32_TOLERANCE: Final = 1e-6  # files hold scales in float32: a std of 127.5 comes back as 127.499992


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One artifact in words: what it is called, what `text` tells of it, which class each score is of.

    It takes images of `resolution` and `channels`, of whose bytes b it expects (b - mean) / std: `mean` and `std` are
    in units of a byte, one for all channels or one for each, blue first if `is_bgr`. Raises `OptionError` for labels
    that are not a line each, or numbers that no network expects.
    """

    name: str
    text: str
    labels: tuple[str, ...]
    resolution: Resolution
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output: "Output"
    is_bgr: bool = False
    licence: str | None = None
    author: str = "mbexport"
    version: str = __version__

    def __post_init__(self) -> None:
        for label in self.labels:
            if "\n" in label or "\r" in label:
                raise OptionError(f"a label must be one line, got {label!r}")
        if self.channels not in CHANNELS:
            raise OptionError(f"an image must have 1 to {MAX_CHANNELS} channels, got {self.channels}")
        if not {len(self.mean), len(self.std)} <= {1, self.channels}:
            raise OptionError(f"mean and std must be 1 or {self.channels} numbers, got {self.mean} and {self.std}")
        if not all(-math.inf < mean < math.inf for mean in self.mean):
            raise OptionError(f"mean must be finite, got {self.mean}")
        if not all(0 < std < math.inf for std in self.std):
            raise OptionError(f"std must be positive and finite, got {self.std}")

    @property
    def is_probability(self) -> bool:
        """Whether scores lie in 0..1."""
        return self.output.value != "logits"

    @property
    def colour(self) -> str:
        """The channels in their order: GREY, GREY_ALPHA, RGB, BGR or RGBA."""
        return colour_of(self.channels, is_bgr=self.is_bgr)

    @property
    def channel_maps(self) -> tuple[tuple[float, float], ...]:
        """(mean, std) of each channel, or one pair if all have the same."""
        size = max(len(self.mean), len(self.std))
        each = tuple(zip(_widened(self.mean, size), _widened(self.std, size), strict=True))
        return each[:1] if len(set(each)) == 1 else each

    def as_fed_to(self, source: TensorSpec) -> "Description":
        """The same for an artifact whose input is `source`: what that file expects of a byte.

        A float network expects what this says. The codes of an 8-bit input stand for (byte - zero point) * scale,
        whatever the network expected: channels in another order or of another std are in its first weights, and
        half a step in its first bias. A float input that is quantized first thing gets just what its codes stand
        for, so that each byte lands on its own code. A byte input keeps the float network's numbers while these are
        its codes' but for the half step: the schema of TFLite's metadata says that quantized files share them, and
        clients that feed bytes as they are (MediaPipe) do not look.
        """
        is_float = source.dtype == "float32"
        codes = source.affine if is_float else for_bytes(source)
        if codes is None or (not is_float and self._is_near(codes)):
            return self
        std = next((own for own in self.std if math.isclose(own * codes.scale[0], 1, rel_tol=_FLOAT32_TOLERANCE)), None)
        return replace(self, mean=(float(codes.zero_point[0]),), std=(std or 1 / codes.scale[0],), is_bgr=False)

    def _is_near(self, codes: Affine) -> bool:
        (mean, std), *others = self.channel_maps
        return (
            not others
            and not self.is_bgr
            and abs(mean - codes.zero_point[0]) <= _HALF_STEP
            and math.isclose(std * codes.scale[0], 1, rel_tol=_SCALE_TOLERANCE)
        )


def onnx_properties(description: Description, *, layout: str, versions: Mapping[str, str]) -> dict[str, str]:
    """The metadata properties of an .onnx file, by name; lists are JSON.

    `description` is that of the file (`as_fed_to`), `layout` is NHWC or NCHW, `versions` are those of the tools that
    made it.
    """
    maps = description.channel_maps
    properties = {
        "name": description.name,
        "description": description.text,
        "version": description.version,
        "author": description.author,
        "labels": json.dumps(description.labels, ensure_ascii=False),
        "input.layout": layout,
        "input.colour": description.colour,
        "normalization.mean": json.dumps([mean for mean, _ in maps]),
        "normalization.std": json.dumps([std for _, std in maps]),
        "output": description.output.value,
        **{f"tool.{name}": version for name, version in sorted(versions.items())},
    }
    if description.licence is not None:
        properties["license"] = description.licence
    return properties


def _widened(values: tuple[float, ...], size: int) -> tuple[float, ...]:
    return values * size if len(values) == 1 else values
