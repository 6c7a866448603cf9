"""The architectures that are built here, a row each."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One family of networks: `name` as files and graphs have it, `title` as people read it."""

    name: str
    title: str


MOBILENET_V1: Final = Architecture(name="mobilenet_v1", title="MobileNet v1")
ARCHITECTURES: Final = (MOBILENET_V1,)
_UNKNOWN: Final = Architecture(name="classifier", title="Image classifier")


def architecture_named(name: str | None) -> Architecture:
    """The architecture of that name; for None or a name of no row, what is known of any network."""
    return next((each for each in ARCHITECTURES if each.name == name), _UNKNOWN)
