"""Read the normalization and the order of channels that a file states in its metadata."""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from mbexport.artifact import Layout
from mbexport.documents import parse_json
from mbexport.errors import DataError, OptionError
from mbexport.models.channels import CHANNELS, colour_of
from mbexport.models.preprocess import MOBILENET, RAW, UNIT, Normalization

_RGB = 3
# The properties that ONNX itself has for images, onnx/onnx docs/MetadataProps.md.
_NOMINAL_RANGES: Final[Mapping[str, Normalization]] = MappingProxyType(
    {"NominalRange_0_255": RAW, "Normalized_0_1": UNIT, "Normalized_1_1": MOBILENET}
)
_PIXEL_FORMATS: Final[Mapping[str, str]] = MappingProxyType({"Gray8": "GREY", "Rgb8": "RGB", "Bgr8": "BGR"})
_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {"GRAYSCALE": "GREY", "BGR": "BGR", **{kind.colour: kind.colour for kind in CHANNELS.values()}}
)
_UNKNOWN: Final = "UNKNOWN"  # a colour space of TFLite's metadata
# How our own metadata name a colour that the schema of TFLite's has no word for.
_TEXT: Final = re.compile(r" px, (BGR|RGBA|RGB|GREY_ALPHA|GREY):")


def stated_normalization(
    words: Mapping[str, str], *, channels: int, layout: Layout, given: Normalization | None
) -> Normalization | None:
    """What the `metadata()` of a file with that input say that it expects of a byte; None if they do not.

    `given` says the order of the channels where the file has words on everything but that. Raises `DataError`, in
    one line that names no file, for words that are damaged or speak of another input.
    """
    _require_fit(words, channels, layout)
    mean, std = (_numbers(words, end) for end in ("mean", "std"))
    try:
        if mean is None and std is None:
            found = _nominal(words)
        elif mean is None or std is None:
            raise OptionError(f"mean and std must be said together, got {mean or 'no mean'} and {std or 'no std'}")
        elif not {len(mean), len(std)} <= {1, channels}:
            raise OptionError(f"mean and std must be 1 or {channels} numbers, got {mean} and {std}")
        else:
            found = Normalization(mean=mean, std=std)
        return None if found is None else replace(found, is_bgr=_is_bgr(words, channels, given))
    except OptionError as error:
        raise DataError(f"what it says of its own normalization cannot be used: {error}") from None


def in_stated_order(given: Normalization, words: Mapping[str, str]) -> Normalization:
    """What the user says, for a file that names the order of its channels.

    Raises `DataError` if these are two orders, and the numbers are not the same for each channel.
    """
    colour = _colour(words)
    if colour not in ("RGB", "BGR") or given.is_bgr is (colour == "BGR"):
        return given
    if {len(given.mean), len(given.std)} != {1}:
        raise DataError(f"it says that its input is {colour}, and mean and std were given in the other order")
    return replace(given, is_bgr=colour == "BGR")


def states_bgr(words: Mapping[str, str]) -> bool:
    """Whether the file names the order of its channels, and it is blue first."""
    return _colour(words) == "BGR"


def _require_fit(words: Mapping[str, str], channels: int, layout: Layout) -> None:
    said, colour = words.get("input.layout"), _colour(words)
    if said is not None and said.lower() != layout.value:
        raise DataError(f"it says that its input is {said}, which is {layout.value.upper()}")
    if colour not in (None, _UNKNOWN, *(colour_of(channels, is_bgr=is_bgr) for is_bgr in (False, True))):
        raise DataError(f"it says that its input is {colour}, which has {channels} channel(s)")


def _is_bgr(words: Mapping[str, str], channels: int, given: Normalization | None) -> bool:
    """Red is first where nothing is said; where that is said, somebody must know."""
    colour = _colour(words)
    if colour == _UNKNOWN and channels == _RGB:
        if given is None:
            raise DataError(
                "it leaves the order of its channels open: give --preprocess, or --mean and --scale for red first"
            )
        return given.is_bgr
    return colour == "BGR"


def _colour(words: Mapping[str, str]) -> str | None:
    """As `colour_of` names it; None where nothing is said, and UNKNOWN where that is said."""
    text = _TEXT.search(words.get("input", ""))
    if text is not None:
        return text[1]
    for name, colours in (
        ("input.colour", _COLOURS),
        ("input colour space", _COLOURS),
        ("Image.BitmapPixelFormat", _PIXEL_FORMATS),
    ):
        if words.get(name):
            return colours.get(words[name], _UNKNOWN)
    return None


def _nominal(words: Mapping[str, str]) -> Normalization | None:
    said = words.get("Image.NominalPixelRange")
    if said is not None and said not in _NOMINAL_RANGES:
        raise OptionError(f"Image.NominalPixelRange must be one of {', '.join(_NOMINAL_RANGES)}, got {said}")
    return None if said is None else _NOMINAL_RANGES[said]


def _numbers(words: Mapping[str, str], end: str) -> tuple[float, ...] | None:
    """The numbers of a property that holds them as JSON, or of metadata that hold them one by one."""
    plain, listed = words.get(f"normalization {end}"), words.get(f"normalization.{end}")
    if listed is None:
        return None if plain is None else tuple(map(float, plain.split()))
    try:
        values = parse_json(listed)
        if isinstance(values, list):
            return tuple(map(float, values))
    except (OverflowError, RecursionError, TypeError, ValueError):
        pass  # the message is the same for whatever else lies there
    raise DataError(f"its normalization.{end} must be a list of numbers, got {listed[:40]}")
