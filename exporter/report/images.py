"""Serialize which files of the data were no images, could not be read, or were copies of others."""

from collections.abc import Sequence
from typing import Any, Final

from mbexport.models.data.left_out import LeftOut

Json = dict[str, Any]
_MOST_COPIES: Final = 1000


def unreadable_json(bad: Sequence[tuple[str, str]]) -> list[Json]:
    """Serialize which images cannot be read, and why."""
    return [{"file": name, "reason": reason} for name, reason in bad]


def left_out_json(left_out: LeftOut) -> Json:
    """Serialize what lies in the folders and was not read: counts by ending, and the first files with the reason."""
    return {
        "photos": dict(left_out.photos),
        "others": dict(left_out.others),
        "listed": [{"file": each.name, "reason": each.reason} for each in left_out.listed],
    }


def copies_json(copies: Sequence[tuple[str, str]]) -> Json:
    """Serialize how many test images are copies of others, and the first of them with what they are copies of."""
    listed = [{"file": name, "same_as": first} for name, first in copies[:_MOST_COPIES]]
    return {"count": len(copies), "listed": listed}
