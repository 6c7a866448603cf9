"""What the channels of a network's input are: their number decides, as in an image file."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mbexport.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """One kind of pixel.

    `colour` is its name in metadata and reports, `title` that in sentences, `mode` Pillow's name of it.
    `bgr_colour` is the name of the reversed order, None for a kind that has one order alone.
    """

    colour: str
    title: str
    mode: str
    is_grey: bool = False
    has_alpha: bool = False
    bgr_colour: str | None = None


# By the number of channels, as PNG has them (ISO/IEC 15948, colour types 0, 4, 2 and 6). Alpha is the last channel,
# and 255, opaque, of images without any. The colours beneath it are as they are stored.
CHANNELS: Final[Mapping[int, Channels]] = MappingProxyType(
    {
        1: Channels(colour="GREY", title="grey", mode="L", is_grey=True),
        2: Channels(colour="GREY_ALPHA", title="grey and alpha", mode="LA", is_grey=True, has_alpha=True),
        3: Channels(colour="RGB", title="RGB", mode="RGB", bgr_colour="BGR"),
        4: Channels(colour="RGBA", title="RGBA", mode="RGBA", has_alpha=True),
    }
)
MAX_CHANNELS: Final = max(CHANNELS)


def require_no_alpha(channels: int, *, by: str) -> None:
    """Raise `DataError` for a network that takes alpha: the wrappers of apps lay what is transparent over white."""
    kind = CHANNELS[channels]
    if kind.has_alpha:
        raise DataError(f"{by} feeds grey or RGB images, got a network for {kind.title} images")


def colour_of(channels: int, *, is_bgr: bool) -> str:
    """The name of the kind of pixel in metadata and reports, in the order of the channels."""
    kind = CHANNELS[channels]
    return kind.bgr_colour if is_bgr and kind.bgr_colour else kind.colour
