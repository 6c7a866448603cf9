"""The shared small build: what makes it be built again, and that its network is the committed one."""

import numpy as np
import pytest
import small_build as shared

CODE = b'''"""A module."""
# A comment.
LIMIT = 1


def area(width: float, height: float) -> float:
    """The area of a rectangle."""
    return width * height
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"A module.", b"Another text."),
        (b"# A comment.", b"# Another one, of\n# two lines."),
        (b"The area of a rectangle.", b"What a rectangle covers."),
        (b"\n\n\ndef", b"\n\ndef"),
    ],
)
def test_words_and_layout_build_nothing_again(before: bytes, after: bytes) -> None:
    changed = CODE.replace(before, after)
    assert changed != CODE
    assert shared.code_of(changed) == shared.code_of(CODE)


@pytest.mark.parametrize(
    ("before", "after"), [(b"LIMIT = 1", b"LIMIT = 2"), (b"width * height", b"width + height"), (b"area", b"extent")]
)
def test_every_change_of_code_builds_again(before: bytes, after: bytes) -> None:
    assert shared.code_of(CODE.replace(before, after, 1 if before != b"area" else -1)) != shared.code_of(CODE)


def test_the_build_holds_the_committed_network(small_build) -> None:
    folder = shared.ROOT / "tests" / "data" / "small_network"
    stage = small_build / ".mbexport" / "stages" / "train"
    assert (stage / "history.json").read_bytes() == (folder / "history.json").read_bytes()
    with np.load(folder / "weights.npz") as committed, np.load(stage / "weights.npz") as used:
        assert committed.files == used.files
        for name in committed.files:
            assert (committed[name].dtype, used[name].dtype) == (np.float16, np.float32)
            np.testing.assert_array_equal(used[name], committed[name].astype(np.float32))
