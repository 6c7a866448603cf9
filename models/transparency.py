"""Lay transparent images over white: what a network for opaque images sees of them."""

from typing import Final

from PIL import Image

_BAND_PX: Final = 1 << 20  # of what is laid over white at once: a large image is never in memory a third time


def over_white(image: Image.Image) -> Image.Image:
    """The `image` as RGB; one with alpha, of mode RGBA, is laid over white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    rgb = Image.new("RGB", image.size)
    rows = max(1, _BAND_PX // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        white = Image.new("RGBA", band.size, (255, 255, 255, 255))
        rgb.paste(Image.alpha_composite(white, band).convert("RGB"), (0, top))
    return rgb
