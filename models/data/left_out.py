"""What of a folder was not read as an image: counts by ending, and the first files with the reason.

What looks like a photo is told apart from files that usually lie beside photos, since it is what somebody would miss.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mbexport.models.data.kinds import ending_of

MOST_LISTED: Final = 1000  # of each sort: a million notes beside a million photos must not fill a report
FOLDER: Final = "folder"
_NO_ENDING: Final = "no ending"
_MOST_ENDINGS: Final = 5  # in one line of text


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """One file or folder that was not read: its name from the data folder, why, and whether somebody may miss it."""

    name: str
    reason: str
    is_photo: bool = False
    is_folder: bool = False

    @property
    def ending(self) -> str:
        """The ending that it is counted under."""
        return FOLDER if self.is_folder else ending_of(self.name) or _NO_ENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """All that was passed over: counts by ending of photos and of the rest; of each sort at most 1000 are `listed`."""

    photos: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)
    listed: tuple[PassedOver, ...] = ()

    @classmethod
    def of(cls, found: Iterable[PassedOver]) -> "LeftOut":
        """Count and list `found`: photos first, each sort in the given order."""
        tally = Tally()
        for each in found:
            tally.add(each)
        return tally.left_out()

    def __bool__(self) -> bool:
        return bool(self.photos or self.others)

    def and_of(self, other: "LeftOut") -> "LeftOut":
        """What either of two folders left out."""
        sorts = ([each for each in (*self.listed, *other.listed) if each.is_photo is photo] for photo in (True, False))
        return LeftOut(
            photos=dict(sorted((Counter(self.photos) + Counter(other.photos)).items())),
            others=dict(sorted((Counter(self.others) + Counter(other.others)).items())),
            listed=tuple(each for sort in sorts for each in sort[:MOST_LISTED]),
        )

    def __str__(self) -> str:
        """What there was, in a few words: "20 .heic, 1 folder"; "nothing" if there was nothing."""
        return counted(Counter(self.photos) + Counter(self.others))


class Tally:
    """What is passed over, counted as it is found: a million of files take no more memory than a thousand."""

    def __init__(self) -> None:
        self._counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._listed: dict[bool, list[PassedOver]] = {True: [], False: []}

    def add(self, each: PassedOver) -> None:
        """Counts one more."""
        self._counts[each.is_photo][each.ending] += 1
        if len(self._listed[each.is_photo]) < MOST_LISTED:
            self._listed[each.is_photo].append(each)

    def left_out(self) -> LeftOut:
        """All that was added: photos first, each sort in the order in which it came."""
        return LeftOut(
            photos=dict(sorted(self._counts[True].items())),
            others=dict(sorted(self._counts[False].items())),
            listed=(*self._listed[True], *self._listed[False]),
        )


def counted(endings: Mapping[str, int]) -> str:
    """Counts by ending in a few words, the most frequent first."""
    ranked = sorted(endings.items(), key=lambda each: (-each[1], each[0]))
    shown = [f"{count} {ending}{'s' if ending == FOLDER and count > 1 else ''}" for ending, count in ranked]
    rest = sum(count for _, count in ranked[_MOST_ENDINGS:])
    return ", ".join(shown[:_MOST_ENDINGS] + ([f"{rest} others"] if rest else [])) or "nothing"
