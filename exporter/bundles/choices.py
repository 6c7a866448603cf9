"""Turns names into the bundles that a run makes; loads nothing."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mbexport.bundles.android.names import require_package
from mbexport.errors import OptionError

# A name of Maven's and CocoaPods', of which each language makes its own: it starts with a letter.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
# Semantic Versioning 2.0.0, of which Maven, SwiftPM and CocoaPods all order the three numbers.
_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}")


class Platform(StrEnum):
    """Whose apps a bundle is for."""

    ANDROID = "android"
    IOS = "ios"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundling:
    """Which bundles a run makes. Raises `OptionError` for a name that cannot be used.

    They are called `name` and are of `version`, which is this tool's if absent; the Android one's classes lie in
    `android_package`. Both names follow from that of the artifacts if absent. With `is_zipped` each is made as one zip,
    too. Where the artifacts are of no use to an app there are none, unless they are required.
    """

    platforms: tuple[Platform, ...] = tuple(Platform)
    is_required: bool = False
    name: str | None = None
    version: str | None = None
    android_package: str | None = None
    is_zipped: bool = False

    def __post_init__(self) -> None:
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise OptionError(
                f"--bundle-name must be a letter, then at most 99 letters, digits, '.', '_' and '-', got {self.name!r}"
            )
        if self.version is not None and not _VERSION.fullmatch(self.version):
            raise OptionError(f"--bundle-version must be three numbers such as 1.0.0, got {self.version!r}")
        if self.android_package is not None:
            require_package(self.android_package)
