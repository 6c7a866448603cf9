"""Tell the kind of data that a prefix names, as in `wds:shards/`, from the path behind it; loads nothing heavy."""

from typing import Final

TFDS_PREFIX: Final = "tfds:"  # a name of the library's
WEBDATASET_PREFIX: Final = "wds:"
TFRECORD_PREFIX: Final = "tfrecord:"
_BEFORE_PATHS: Final = (WEBDATASET_PREFIX, TFRECORD_PREFIX)


def split_prefix(name: str) -> tuple[str, str]:
    """The prefix of a name of data that is followed by a path, empty without one, and the rest."""
    prefix = next((each for each in _BEFORE_PATHS if name.startswith(each)), "")
    return prefix, name.removeprefix(prefix)
