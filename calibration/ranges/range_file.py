"""Write the ranges of activations as JSON that can be compared with diff, and read them back."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mbexport.calibration.affine import Range
from mbexport.errors import DataError, OptionError
from mbexport.files import read_regular

_MAX_BYTES: Final = 1 << 26
Ranges = Mapping[str, Range]


def ranges_to_json(ranges: Ranges) -> str:
    """The ranges as JSON, a line per site: `"site": [low, high]`, with all digits of each number."""
    lines = [f" {json.dumps(site)}: {json.dumps([r.low, r.high])}" for site, r in ranges.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def ranges_from_json(text: str) -> dict[str, Range]:
    """Read what `ranges_to_json` wrote. Raises `DataError` if the text is something else."""
    try:
        return {site: Range(low=low, high=high) for site, (low, high) in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError, RecursionError, OptionError) as error:
        raise DataError(f"not a file of ranges: {error}") from None


def read_ranges(path: Path) -> dict[str, Range]:
    """Read the file of ranges at `path`. Raises `DataError` if it cannot be read or holds something else."""
    try:
        return ranges_from_json(read_regular(path, limit_bytes=_MAX_BYTES).decode())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a file of ranges: it is no text") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
