"""List a data set and split it, and print how many images it has, the seconds, and the peak memory before and after.

Run as a script, so that nothing else is in the process: DATA
"""

import sys
import time

from memory import peak_mb

from mbexport.models.data.open import open_data


def main(data: str) -> None:
    """Prints `images seconds MB-before MB-listed MB-split`."""
    before, start = peak_mb(), time.perf_counter()
    opened = open_data(data)
    seconds, listed = time.perf_counter() - start, peak_mb()
    train, test = opened.split(0)
    print(f"{len(train) + len(test)} {seconds:.2f} {before:.1f} {listed:.1f} {peak_mb():.1f}")


if __name__ == "__main__":
    main(sys.argv[1])
