"""Look for golden images in three rounds, so that few images cost the time of slow kernels.

Of `CANDIDATES` images, answered by each format's default kernels, a `SHORTLIST` goes on to those that are as fast, and
of these the `CASES` that are chosen to the reference kernels.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from mbexport.artifact import Precision

CANDIDATES: Final = 24
SHORTLIST: Final = 6
CASES: Final = 3
# LiteRT has only plain loops for these: 0.2 s an image where others take 0.01 s (MobileNet v1 0.75, 224 px).
SLOW: Final = frozenset({Precision.INT16X8})
# By their place among a format's kernel paths, behind the default: those that are as fast, and LiteRT's reference ones.
FAST_KERNELS: Final = slice(0, 1)
REFERENCE_KERNELS: Final = slice(1, None)

Each = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


@contextmanager
def side_by_side() -> Iterator[Each]:
    """What does the same work for each of several artifacts, one a core."""
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="golden") as pool:
        yield lambda work, items: list(pool.map(work, items))
