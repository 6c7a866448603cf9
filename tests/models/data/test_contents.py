"""The hash of a data set's contents: independent of place and time of writing, different for other images."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.data.open import open_data, open_unlabelled

FILES = st.dictionaries(st.sampled_from(["a.png", "b.png", "c.jpg"]), st.binary(max_size=3), min_size=1)
CLASSES = st.fixed_dictionaries({"cat": FILES, "dog": FILES})


def fill(root: Path, classes: dict[str, dict[str, bytes]], *, changed_s: float = 1e9) -> Path:
    """Files in a folder a class, last changed at that time."""
    for folder, files in classes.items():
        for name, content in files.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / name).write_bytes(content)
            os.utime(root / folder / name, (changed_s, changed_s))
    return root


def labelled(root: Path) -> str:
    return open_data(str(root)).contents()


def unlabelled(root: Path) -> str:
    return open_unlabelled(root).contents()


def test_hash_of_pictures_by_hand(tmp_path):
    fill(tmp_path / "pictures", {"": {"b.png": b"abc"}, "more": {"a.png": b""}})
    # Those in the folder itself come first.
    parts = [b"b.png\0" + b"0\0" + hashlib.sha256(b"abc").digest(), b"a.png\0" + b"1\0" + hashlib.sha256(b"").digest()]
    assert unlabelled(tmp_path / "pictures") == hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("contents", [labelled, unlabelled])
@given(one=CLASSES, other=CLASSES)
def test_alike_exactly_if_names_classes_and_bytes_are(tmp_path_factory, contents, one, other):
    folder = tmp_path_factory.mktemp("contents")
    first = contents(fill(folder / "one", one))
    turned = {name: dict(reversed(files.items())) for name, files in reversed(other.items())}
    assert (first == contents(fill(folder / "two" / "deeper", turned, changed_s=2e9))) is (one == other)


def test_other_classes_are_other_contents(tmp_path):
    same = {"a.png": b"1"}
    hashes = {
        labelled(fill(tmp_path / "1", {"cat": same, "dog": same})),
        labelled(fill(tmp_path / "2", {"cat": same, "owl": same})),
        labelled(fill(tmp_path / "3", {"train/cat": same, "train/dog": same, "val/cat": same, "val/dog": same})),
        open_data("digits").contents(),
    }
    assert len(hashes) == 4


def test_files_that_are_no_images_do_not_count(tmp_path):
    root = fill(tmp_path / "photos", {"cat": {"a.png": b"1"}, "dog": {"a.png": b"1"}})
    before = labelled(root)
    (root / "cat" / "notes.txt").write_text("nothing")
    (root / "cat" / ".hidden.png").write_bytes(b"")
    assert labelled(root) == before


def test_file_that_is_gone_when_it_is_read_hashes_like_an_empty_one(tmp_path):
    # Such an image may be left out of a run (--max-bad): it must not end it.
    data = open_data(str(fill(tmp_path / "photos", {"cat": {"a.png": b"1"}, "dog": {"a.png": b"1"}})))
    (tmp_path / "photos" / "cat" / "a.png").unlink()
    empty = labelled(fill(tmp_path / "empty", {"cat": {"a.png": b""}, "dog": {"a.png": b"1"}}))
    assert data.contents() == empty


def test_hash_of_labelled_photos_by_hand(tmp_path):
    root = fill(tmp_path / "photos", {"cat": {"a.png": b"abc"}, "dog": {"a.png": b""}})
    empty, abc = (hashlib.sha256(content).digest() for content in (b"", b"abc"))
    listing = hashlib.sha256(b"a.png\0" + b"0\0" + abc + b"a.png\0" + b"1\0" + empty).hexdigest()
    # As versions before hashed it: manifests of theirs must still be found right.
    classes = "_Classes(folders=('cat', 'dog'), labels=('cat', 'dog'))"
    assert labelled(root) == hashlib.sha256(f"{classes}\n{listing}".encode()).hexdigest()
