"""How many channels the first convolution of an integer artifact has: kernels compute them in tiles."""

from collections.abc import Sequence
from typing import Final

TILE: Final = 16  # channels that the int8 kernels of XNNPACK and onnxruntime compute together


def padded_width(channels: int) -> int:
    """The next multiple of 16 channels; `channels` themselves where that would more than double them.

    What fills a tile costs no time, or nearly none, and may hold copies of other channels (decision 0041).
    """
    width = -(-channels // TILE) * TILE
    return width if width <= 2 * channels else channels


def with_padded_stem(layers: Sequence[tuple[int, bool]]) -> list[tuple[int, bool]]:
    """The (channels, is_depthwise) of a network's convolutions in order, as its int8 file may have them.

    The first one and the depthwise ones directly behind it are padded; what reads them has as many channels as before.
    """
    kinds = [is_depthwise for _, is_depthwise in layers]
    behind = next((at for at, is_depthwise in enumerate(kinds[1:], start=1) if not is_depthwise), len(kinds))
    return [(padded_width(channels), kind) for channels, kind in layers[:behind]] + list(layers[behind:])
