"""Tell images from other files: by the ending, else by the first bytes.

A file with an ending of `IMAGE_SUFFIXES` is an image without a look into it, so that a million files are listed fast.
Any other file is an image if it begins as one that can be decoded; photos that cannot be decoded are named as such.
"""

import os
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from PIL import features

_HEAD_BYTES: Final = 64


class Kind(StrEnum):
    """Kinds of image files, as people call them."""

    AVIF = "AVIF"
    BMP = "BMP"
    GIF = "GIF"
    JPEG = "JPEG"  # also MPO: a JPEG with further pictures behind the first
    JPEG_2000 = "JPEG 2000"
    PNG = "PNG"
    PPM = "PPM"  # Netpbm: PBM, PGM and PPM
    QOI = "QOI"
    TIFF = "TIFF"
    WEBP = "WebP"
    # Photos that are not decoded here.
    HEIC = "HEIC"
    JPEG_XL = "JPEG XL"
    PSD = "PSD"
    RAW = "a camera's raw file"
    OTHER = "an image of another kind"


# Pillow's names. No others may be tried, whatever a file is called: some start external programs (EPS).
_DECODERS: Final = {
    Kind.AVIF: "AVIF",
    Kind.BMP: "BMP",
    Kind.GIF: "GIF",
    Kind.JPEG: "JPEG",
    Kind.JPEG_2000: "JPEG2000",
    Kind.PNG: "PNG",
    Kind.PPM: "PPM",
    Kind.QOI: "QOI",
    Kind.TIFF: "TIFF",
    Kind.WEBP: "WEBP",
}
_OPTIONAL: Final = {Kind.AVIF: "avif", Kind.JPEG_2000: "jpg_2000", Kind.WEBP: "webp"}  # of Pillow, by its names


def _has(kind: Kind) -> bool:
    """Whether this Pillow decodes that kind."""
    name = _OPTIONAL.get(kind)
    known = {*features.modules, *features.codecs}  # it warns of a name that it does not know
    return name is None or (name in known and bool(features.check(name)))


DECODERS: Final = {kind: name for kind, name in _DECODERS.items() if _has(kind)}

_ENDINGS: Final = {
    Kind.AVIF: (".avif",),
    Kind.BMP: (".bmp", ".dib"),
    Kind.GIF: (".gif",),
    Kind.JPEG: (".jpeg", ".jpg", ".jfif", ".jfi", ".jif", ".jpe", ".pjpeg", ".pjp", ".mpo"),
    Kind.JPEG_2000: (".jp2", ".j2k"),
    Kind.PNG: (".png", ".apng"),
    Kind.PPM: (".pbm", ".pgm", ".pnm", ".ppm"),
    Kind.QOI: (".qoi",),
    Kind.TIFF: (".tif", ".tiff"),
    Kind.WEBP: (".webp",),
    Kind.HEIC: (".heic", ".heics", ".heif", ".heifs", ".hif"),
    Kind.JPEG_XL: (".jxl",),
    Kind.PSD: (".psb", ".psd"),
    Kind.RAW: (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".gpr", ".iiq", ".k25", ".kdc", ".mef"),
        *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw"),
        ".x3f",
    ),
    Kind.OTHER: (
        *(".bpg", ".cur", ".dcm", ".dds", ".emf", ".eps", ".exr", ".fits", ".flif", ".hdp", ".hdr", ".icns", ".ico"),
        *(".j2c", ".jpf", ".jpm", ".jpx", ".jxr", ".pcx", ".ras", ".sgi", ".svg", ".tga", ".wdp", ".wmf", ".xbm"),
        *(".xcf", ".xpm"),
    ),
}
_KINDS: Final = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings}

IMAGE_SUFFIXES: Final = frozenset(ending for ending, kind in _KINDS.items() if kind in DECODERS)

_PREFIXES: Final = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
    (b"II+\0", Kind.TIFF),  # BigTIFF
    (b"MM\0+", Kind.TIFF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Kind.JPEG_2000),
    (b"\xff\x4f\xff\x51", Kind.JPEG_2000),
    (b"qoif", Kind.QOI),
    (b"\xff\x0a", Kind.JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind.JPEG_XL),
    (b"8BPS", Kind.PSD),
    (b"FUJIFILMCCD-RAW", Kind.RAW),
)
# Two letters begin many a text: the header behind them decides.
_NETPBM: Final = re.compile(rb"P[1-6]\s+(#[^\n]*\n\s*)*(\d+\s+\d+\s|#)")
_BMP_HEADERS: Final = frozenset({12, 40, 52, 56, 64, 108, 124})  # sizes of the header in bytes, at byte 14
# ISO/IEC 14496-12: a box "ftyp" lists the brands that a file is of; HEIC and AVIF share mif1 and msf1.
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a file found: the kind of image that it is, None for no image, and what prevented the look."""

    kind: Kind | None = None
    problem: str = ""


def ending_of(name: str) -> str:
    """The ending of a file's name in small letters, with its dot; empty if it has none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  # a Path for each of a million names takes seconds


def kind_by_ending(name: str) -> Kind | None:
    """The kind of image that a file's name promises; None if it promises none."""
    return _KINDS.get(ending_of(name))


def unread(kind: Kind) -> str:
    """What to say of a photo that is not decoded, behind its name."""
    return f"is {kind}, which is not read here: convert it to JPEG or PNG"


def kind_of(head: bytes) -> Kind | None:
    """The kind of image that begins with these bytes, at least 32 of them unless the file is shorter; None if none."""
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind.WEBP
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Kind.BMP
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head)
    return Kind.PPM if _NETPBM.match(head) else None


def _kind_of_brands(head: bytes) -> Kind | None:
    size_bytes = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size_bytes - 3, 4))}
    if brands & _AVIF_BRANDS:
        return Kind.AVIF
    if b"crx " in brands:  # Canon's CR3
        return Kind.RAW
    return Kind.HEIC if brands & _HEIC_BRANDS else None


def look_at(path: str) -> Look:
    """Look at the first bytes of what lies at `path`; only a regular file is read, and no pipe is waited for.

    A raw file of a camera that is built as a TIFF is a raw file by its ending: as a TIFF it is but a small preview.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return Look(problem=f"it cannot be opened: {error.strerror}")
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Look(problem="it is no regular file")
        found = kind_of(os.read(descriptor, _HEAD_BYTES))
    except OSError as error:
        return Look(problem=f"it cannot be read: {error.strerror}")
    finally:
        os.close(descriptor)
    promised = kind_by_ending(path)
    if found is Kind.TIFF and promised is Kind.RAW:
        return Look(kind=Kind.RAW)
    return Look(kind=found or (promised if promised not in DECODERS else None))
