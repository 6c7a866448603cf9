"""Name the outputs of an SSD that this tool built, and find them among the outputs of a stored model."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.models.ssd.pretrained import BOX_PREDICTORS, CLASS_PREDICTORS

# In the order in which the network gives them: the codes and the logits of each map, finest first.
HEADS: Final = tuple(name for pair in zip(BOX_PREDICTORS, CLASS_PREDICTORS, strict=True) for name in pair)
_ADVICE: Final = "add --task detect to `mbexport export`"
_SHOWN: Final = 4  # names of outputs in a message
_NAME: Final = re.compile(r"((?:boxes|classes)_\d+)(?:_\d+)?")  # graphs of Keras 3 put a number behind a layer's name


def head_places(names: Sequence[str]) -> tuple[int, ...] | None:
    """The place of each head among outputs of these names, in the order of `HEADS`; None for other outputs."""
    found = [match[1] if (match := _NAME.fullmatch(name)) else "" for name in names]
    return tuple(map(found.index, HEADS)) if sorted(found) == sorted(HEADS) else None


def advice_on_outputs(names: Sequence[str], otherwise: str) -> str:
    """What to say of a model with several outputs of these names that was taken for a classifier."""
    if head_places(names) is not None:
        return f"it is a detector: {_ADVICE}"
    # A graph may have numbers in place of its layers' names.
    return f"{otherwise}; of a detector {_ADVICE}" if len(names) == len(HEADS) else otherwise


def require_heads(path: Path, names: Sequence[str]) -> tuple[int, ...]:
    """The same of the model at `path`. Raises `DataError` for a model of other outputs."""
    places = head_places(names)
    if places is None:
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        raise DataError(
            f"{path} must be an SSD-MobileNet that mbexport built, with the {len(HEADS)} outputs {HEADS[0]}, "
            f"{HEADS[1]} to {HEADS[-1]}, got {len(names)}: {shown}"
        )
    return places
