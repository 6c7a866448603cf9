"""Turns how artifacts answer a few images into the choice of those that an app's unit test is made of."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Two runtimes that are each within the tolerance can bring two scores closer by twice that: a best class that leads
# by more cannot flip. The third is for kernels that nobody here has met.
SURE: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """How m artifacts answer n images.

    `best` (n, m) is each one's class; `lead` (n, m) how far its score is ahead of the next one's, in tolerances, NaN
    where scores are no numbers; `change` (n,) how far answers move at least if the image is fed wrongly; `truth` (n,)
    are the classes that the images are of, if these are known.
    """

    best: NDArray[np.int64]
    lead: NDArray[np.float64]
    change: NDArray[np.float64]
    truth: NDArray[np.int64] | None = None

    @property
    def least_lead(self) -> NDArray[np.float64]:
        """The lead (n,) of the artifact that is least sure; NaN where one gives no numbers."""
        least: NDArray[np.float64] = self.lead.min(axis=1)
        return least

    def standing(self, image: int) -> int:
        """2 if every artifact is right, 1 if all say the same, else 0."""
        answers = set(self.best[image].tolist())
        is_right = self.truth is not None and answers == {int(self.truth[image])}
        return 2 if is_right else int(len(answers) == 1)


def chosen(seen: Screened, *, most: int) -> list[int]:
    """At most `most` images, the first the best; none only if no image is answered in numbers by every artifact.

    Only images of which every artifact is sure (`SURE`), so that no other runtime answers them otherwise; without any,
    the one with the largest lead alone. First one of each class, as the first artifact answers; of these the ones that
    all get right, then the ones that all answer alike, then the ones that show best that they were fed wrongly. A lead
    beyond what is sure counts for nothing: scores that are all but 0 and 1 hardly move whatever is fed.
    """
    least = seen.least_lead
    usable = np.flatnonzero(~np.isnan(least))
    if not len(usable):
        return []
    sure = usable[least[usable] >= SURE].tolist()
    if not sure:
        return [int(usable[least[usable].argmax()])]
    ranked = sorted(sure, key=lambda image: (seen.standing(image), seen.change[image]), reverse=True)
    first_of: dict[int, int] = {}
    for image in ranked:
        first_of.setdefault(int(seen.best[image, 0]), image)
    firsts = list(first_of.values())
    return [*firsts, *(image for image in ranked if image not in firsts)][:most]
