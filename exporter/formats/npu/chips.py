"""The chips that artifacts can be compiled for ahead of time: a row a vendor, and in it a row a chip."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from mbexport.artifact import Precision
from mbexport.errors import OptionError
from mbexport.formats.installable import Installable, missing_package

FOLDER: Final = "npu"  # of the output folder
_COMPILER: Final = "onnxruntime-qnn"
_NO_SDK: Final = "its compiler is no part of a package: {package} downloads it while it is installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A system on a chip: the vendor's name and number of it, the market's, and the version of its NPU, as `v75`."""

    vendor: str
    name: str
    title: str
    hexagon: str
    number: int

    def __str__(self) -> str:
        return f"{self.vendor}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor(Installable):
    """One row: its chips, or `unavailable`, why nothing can be compiled for them anywhere; it lacks its compiler."""

    name: str
    title: str
    chips: tuple[Chip, ...] = ()
    unavailable: str | None = None


def _qualcomm(number: int, name: str, hexagon: str, title: str) -> Chip:
    return Chip(vendor="qualcomm", name=name, title=title, hexagon=hexagon, number=number)


VENDORS: Final = (
    Vendor(
        name="qualcomm",
        title="Qualcomm",
        # Versions of Hexagon: LiteRT, litert/vendors/qualcomm/core/schema/soc_table.cc. Numbers: soc_model of
        # QNN_SOC_MODEL_*, as executorch has them in backends/qualcomm/serialization/qc_schema.py.
        chips=(
            _qualcomm(30, "SM8350", "v68", "Snapdragon 888"),
            _qualcomm(36, "SM8450", "v69", "Snapdragon 8 Gen 1"),
            _qualcomm(43, "SM8550", "v73", "Snapdragon 8 Gen 2"),
            _qualcomm(57, "SM8650", "v75", "Snapdragon 8 Gen 3"),
            _qualcomm(69, "SM8750", "v79", "Snapdragon 8 Elite"),
            _qualcomm(87, "SM8850", "v81", "Snapdragon 8 Elite Gen 5"),
        ),
        missing=partial(missing_package, "onnxruntime_qnn", _COMPILER),
        needs="pip install 'mbexport[npu]'",
    ),
    Vendor(
        name="mediatek",
        title="MediaTek",
        unavailable=_NO_SDK.format(package="ai-edge-litert-sdk-mediatek"),
    ),
    Vendor(
        name="google",
        title="Google Tensor",
        unavailable=_NO_SDK.format(package="ai-edge-litert-sdk-google-tensor"),
    ),
    Vendor(
        name="intel",
        title="Intel",
        unavailable="its compiler comes with Intel's driver, and neither with ai-edge-litert-sdk-intel nor openvino",
    ),
    Vendor(
        name="samsung",
        title="Samsung Exynos",
        unavailable="no package holds its compiler",
    ),
)
CHIPS: Final = tuple(chip for vendor in VENDORS for chip in vendor.chips)


def usable_chips(names: Sequence[str]) -> tuple[Chip, ...]:
    """The chips of these names, each once.

    Raises `OptionError` for one that is unknown, that nothing can be compiled for, or whose compiler is not installed.
    """
    return tuple(dict.fromkeys(map(_usable, names)))


def _usable(name: str) -> Chip:
    vendor_name, _, chip_name = name.partition(":")
    vendor = next((each for each in VENDORS if each.name == vendor_name.lower()), None)
    if vendor is not None and vendor.unavailable is not None:
        raise OptionError(f"--npu {name} cannot be compiled for: {vendor.unavailable}; legal are {_legal()}")
    chip = next((each for each in vendor.chips if each.name == chip_name.upper()), None) if vendor else None
    if vendor is None or chip is None:
        raise OptionError(f"--npu must be one of {_legal()}, got {name}")
    lack = vendor.lack()
    if lack is not None:
        raise OptionError(f"--npu {name} cannot be compiled for here: {lack}")
    return chip


def _legal() -> str:
    return ", ".join(map(str, CHIPS))


def compiled_name(stem: str, chip: Chip, file_format: str) -> str:
    """The path of a compiled artifact in the output folder, as npu/net_int8_qualcomm-sm8650.onnx."""
    return f"{FOLDER}/{stem}_{Precision.INT8.value}_{chip.vendor}-{chip.name.lower()}.{file_format}"


def is_compiled(name: str) -> bool:
    """Whether a path in an output folder is that of a compiled artifact."""
    return name.startswith(f"{FOLDER}/")


def compiler_version() -> str:
    """The package that compiles and its version, as reports name it."""
    try:
        return f"{_COMPILER} {version(_COMPILER)}"
    except PackageNotFoundError:
        return f"{_COMPILER} of no known version"
