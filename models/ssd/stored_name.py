"""Say in the name of a stored network which anchors it was trained with: the one text that every Keras form keeps."""

import re
from typing import Final

from mbexport.errors import DataError
from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.ssd.anchor_choice import TABLES
from mbexport.models.ssd.spec import SsdSpec

_NAME: Final = re.compile(rf"{SsdSpec.architecture}_anchors_(.*)")


def stored_name(table: AnchorTable) -> str:
    """The name of a network with the anchors of `table`, which must be one of `TABLES`."""
    name = next(name for name, each in TABLES.items() if each == table)
    return f"{SsdSpec.architecture}_anchors_{name}"


def table_of_name(name: str) -> str | None:
    """The name of the table of anchors that `stored_name` put into the `name` of a network; None for another name.

    Raises `DataError` for a table that there is not.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    if found[1] not in TABLES:
        raise DataError(f"the model's name gives anchors as {' or '.join(TABLES)}, got {found[1]}: pass --anchors")
    return found[1]
