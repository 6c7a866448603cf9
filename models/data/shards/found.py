"""What a format of shards is, and what the listing of its shards finds."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mbexport.models.data.left_out import Tally
from mbexport.models.data.shards.files import Window
from mbexport.models.data.shards.index import Columns, ImageIndex


@dataclass(slots=True, kw_only=True)
class Found:
    """The images of several shards, the names of classes that stand beside them, and what was passed over.

    `texts` are the names by label: the first one that was met, and a second one if some image has another.
    """

    columns: Columns = field(default_factory=Columns)
    texts: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    passed: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFormat:
    """A row a format: how its shards are named, listed and read.

    `scan(window, number, name, found)` lists the shard of that number and name. Of the content that the index points
    to, `check(content, name)` compares it with its checksum, and `image(content, name)` is the image file in it.
    `name_of(window, index, i)` is what image i is called in its shard, which is looked up. All raise `DataError` for a
    shard that is damaged.
    """

    prefix: str
    title: str
    is_shard: Callable[[str], bool]
    scan: Callable[[Window, int, str, Found], None]
    check: Callable[[bytes, str], None]
    image: Callable[[bytes, str], bytes]
    name_of: Callable[[Window, ImageIndex, int], str]
