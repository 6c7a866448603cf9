"""Write the ranges of activations as JSON that can be compared with diff, and read them back."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mbexport.calibration.affine import Range
from mbexport.documents import Form, read_document, read_json, refusal
from mbexport.errors import OptionError

Ranges = Mapping[str, Range]

_BOUNDS: Final = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}}
_FORM: Final = Form(title="a file of ranges", schema=lambda: {"type": "object", "additionalProperties": _BOUNDS})


def ranges_to_json(ranges: Ranges) -> str:
    """The ranges as JSON, a line per site: `"site": [low, high]`, with all digits of each number."""
    lines = [f" {json.dumps(site)}: {json.dumps([r.low, r.high])}" for site, r in ranges.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def ranges_from_json(content: bytes | str, *, source: str | Path = "it") -> dict[str, Range]:
    """Read what `ranges_to_json` wrote, from the file `source`. Raises `DataError` if it is something else."""
    bounds = read_json(content, _FORM, source=source)
    try:
        return {site: Range(low=low, high=high) for site, (low, high) in bounds.items()}
    except OptionError as error:
        raise refusal(_FORM, source, error) from None


def read_ranges(path: Path) -> dict[str, Range]:
    """Read the file of ranges at `path`. Raises `DataError` if it cannot be read or holds something else."""
    return ranges_from_json(read_document(path), source=path)
