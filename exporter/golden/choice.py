"""Choose the images of golden vectors: those whose best class no other runtime can flip."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# The least lead of the best class, in tolerances. Two runtimes that are each within the tolerance can bring two scores
# closer by twice that: a best class that leads by more cannot flip. The third is for kernels that were not tried here.
SAFE_LEAD: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """How m artifacts answer n images.

    `best` (n, m) is each artifact's class; `lead` (n, m) how far its score is ahead of the next one's, in tolerances,
    NaN where scores are no numbers; `change` (n,) how far outputs move at least, in tolerances, if the image is fed in
    a wrong way; `truth` (n,) are the right classes, if these are known.
    """

    best: NDArray[np.int64]
    lead: NDArray[np.float64]
    change: NDArray[np.float64]
    truth: NDArray[np.int64] | None = None

    @property
    def least_lead(self) -> NDArray[np.float64]:
        """The smallest lead (n,) among the artifacts; NaN where the scores of one are no numbers."""
        least: NDArray[np.float64] = self.lead.min(axis=1)
        return least

    def agreement(self, image: int) -> int:
        """2 if every artifact gives the right class, 1 if all give the same one, else 0."""
        answers = set(self.best[image].tolist())
        is_right = self.truth is not None and answers == {int(self.truth[image])}
        return 2 if is_right else int(len(answers) == 1)


def choose_images(candidates: Candidates, *, most: int) -> list[int]:
    """The numbers of at most `most` images, the best first; none only if no image has numbers from every artifact.

    Only images whose lead is `SAFE_LEAD` for every artifact are chosen, so that no other runtime answers them with
    another class; if there is none, the one with the largest lead alone. First comes one image of each class, as the
    first artifact answers; of these the ones that all artifacts get right, then the ones that all answer alike, then
    the ones whose outputs change most when they are fed in a wrong way. A lead beyond `SAFE_LEAD` counts for nothing:
    scores that are all but 0 and 1 hardly move whatever is fed.
    """
    least = candidates.least_lead
    usable = np.flatnonzero(~np.isnan(least))
    if not len(usable):
        return []
    safe = usable[least[usable] >= SAFE_LEAD].tolist()
    if not safe:
        return [int(usable[least[usable].argmax()])]
    ranked = sorted(safe, key=lambda image: (candidates.agreement(image), candidates.change[image]), reverse=True)
    first_of: dict[int, int] = {}
    for image in ranked:
        first_of.setdefault(int(candidates.best[image, 0]), image)
    firsts = list(first_of.values())
    return [*firsts, *(image for image in ranked if image not in firsts)][:most]
