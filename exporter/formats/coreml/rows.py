"""The Core ML packages that `--precision` names, a row each: where they lie, what makes them, what their labels are."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from mbexport.errors import OptionError
from mbexport.formats.installable import Installable, missing_package

FOLDER: Final = "coreml"  # of the output folder
ENDING: Final = ".mlpackage"
_MAKER: Final = "coremltools"
COREMLTOOLS: Final = Installable(
    missing=partial(missing_package, _MAKER, _MAKER), needs="pip install 'mbexport[coreml]'"
)
NOT_RUN: Final = "not run: Core ML needs macOS or iOS"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageForm:
    """One row: how weights are stored, and from which system on that is read.

    `name` is that of `--precision`, `weights` the part of the package's name. `target` is coremltools' name of the
    oldest system, `specification` the number of the same in the package. With `is_quantized` weights have 8 bits.
    """

    name: str
    weights: str
    title: str
    target: str
    specification: int
    is_quantized: bool


# Numbers of specifications and their systems: coremltools, _SPECIFICATION_VERSION_IOS_15 and _16; ops that unpack
# 8-bit weights begin with iOS 16 (constexpr_affine_dequantize).
PACKAGES: Final = (
    PackageForm(
        name="coreml-fp16",
        weights="fp16",
        title="float16",
        target="iOS15",
        specification=6,
        is_quantized=False,
    ),
    PackageForm(
        name="coreml-w8",
        weights="w8",
        title="8-bit weights, float16 arithmetic",
        target="iOS16",
        specification=7,
        is_quantized=True,
    ),
)
SYSTEMS: Final = {5: "iOS 14", 6: "iOS 15", 7: "iOS 16", 8: "iOS 17", 9: "iOS 18"}  # by specification


def usable_packages(names: Iterable[str]) -> tuple[PackageForm, ...]:
    """The rows among these names of `--precision`, in the order of the table; other names are no rows.

    Raises `OptionError` where there are such and what makes them is not installed.
    """
    wanted = set(names)
    found = tuple(each for each in PACKAGES if each.name in wanted)
    lack = COREMLTOOLS.lack() if found else None
    if lack is not None:
        raise OptionError(f"--precision {found[0].name} cannot be made here: {lack}")
    return found


def package_name(stem: str, form: PackageForm) -> str:
    """The folder of a package in the output folder, as coreml/net_fp16.mlpackage."""
    return f"{FOLDER}/{stem}_{form.weights}{ENDING}"


def is_in_package(name: str) -> bool:
    """Whether a path in an output folder is that of a file in a package."""
    return name.startswith(f"{FOLDER}/")


def is_package(path: Path) -> bool:
    """Whether a path that the user named is a package, by its name: a folder, or what is damaged and no folder."""
    return path.suffix.lower() == ENDING


def maker_version() -> str:
    """The package that converts and its version, as reports name it."""
    try:
        return f"{_MAKER} {version(_MAKER)}"
    except PackageNotFoundError:
        return f"{_MAKER} of no known version"


def distinct_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels in their order, those of several classes with the number of the class, as `crane (134)`.

    ImageNet has two cranes and two maillots. Raises `OptionError` where that makes a label which another class has.
    """
    counts = Counter(labels)
    found = tuple(f"{label} ({place})" if counts[label] > 1 else label for place, label in enumerate(labels))
    label, count = Counter(found).most_common(1)[0]
    if count > 1:
        raise OptionError(
            f"Core ML keeps scores by label, so that labels must differ, got {label!r} {count} times once labels alike "
            "have the number of their class: name the classes by --classes FILE"
        )
    return found
