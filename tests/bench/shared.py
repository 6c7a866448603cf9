"""Find the real weights and images that benchmarks need, which are no part of the project."""

import os
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def shared_data() -> Path | None:
    """The folder named by MBEXPORT_SHARED_DATA, else the one beside the checkout; None, said on stderr, without."""
    named = os.environ.get("MBEXPORT_SHARED_DATA")
    data = Path(named) if named else ROOT.parent / "shared" / "data"
    if data.is_dir():
        return data
    print("real weights and images are needed: set MBEXPORT_SHARED_DATA to their folder", file=sys.stderr)
    return None
