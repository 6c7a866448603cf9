"""Shards that are read: those that change in between, fingerprints, thousands of files, and memory."""

import os
import resource
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shards_by_hand import COUNT, IMAGES, KINDS, png, written

from mbexport.errors import DataError
from mbexport.models.data.open import DataSet, open_data
from mbexport.models.data.shards import files


def opened(root: Path, kind: str) -> DataSet:
    return open_data(f"{kind}:{root}")


def descriptors() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("change", ["truncated", "written", "replaced", "gone"])
@pytest.mark.parametrize("was_read", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_shard_that_changes_during_a_run_is_refused(tmp_path: Path, kind: str, was_read: bool, change: str) -> None:
    written(tmp_path, kind)
    (file,) = tmp_path.iterdir()
    images = opened(tmp_path, kind).evaluation(0)
    if was_read:
        images.read(0)
    if change == "truncated":
        os.truncate(file, 600)
    elif change == "written":
        content = file.read_bytes()
        with file.open("r+b") as out:
            out.write(content)
        os.utime(file, (1, 1))
    else:
        shutil.copy(file, tmp_path / "other")
        file.unlink()
        if change == "replaced":
            (tmp_path / "other").rename(file)
    if was_read and change in ("replaced", "gone"):  # what is open is what was listed
        assert images.read(COUNT - 1).size == (16, 6)
        return
    expected = "cannot be read: No such file" if change == "gone" else "it has changed since it was listed"
    with pytest.raises(DataError, match=expected) as caught:
        images.read(COUNT - 1)
    assert "\n" not in str(caught.value)


# ---- fingerprints


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprint_follows_files_classes_and_parts(tmp_path: Path, kind: str) -> None:
    root = written(tmp_path / "s", kind, shards=2)
    before = opened(root, kind).fingerprint
    source = opened(root, kind).evaluation(0).source  # of decoded images that are kept
    assert (opened(root, kind).fingerprint, opened(root, kind).split(3)[0].source) == (before, source)
    file = min(root.iterdir())
    os.utime(file, (1, 1))
    touched = opened(root, kind).fingerprint
    assert touched != before
    assert opened(root, kind).evaluation(0).source not in ("", source)
    (root / "classes.txt").write_text("a\nb\nc\n")
    named = opened(root, kind).fingerprint
    assert named not in (before, touched)
    for other, prefix in zip(sorted(root.glob("s0*")), ("train-", "val-"), strict=True):
        other.rename(root / f"{prefix}{other.name}")
    assert opened(root, kind).fingerprint not in (before, touched, named)


@pytest.mark.parametrize("kind", KINDS)
def test_contents_are_the_same_at_any_place_and_time_and_follow_each_image(tmp_path: Path, kind: str) -> None:
    root = written(tmp_path / "s", kind, shards=2)
    before = opened(root, kind).contents()
    shutil.copytree(root, tmp_path / "copy")
    assert opened(tmp_path / "copy", kind).contents() == before
    images = [*IMAGES[:-1], (2, png(99, 99, 99))]
    assert opened(written(tmp_path / "other", kind, shards=2, images=images), kind).contents() != before
    labels = [(0, IMAGES[0][1]), *((label, image) for label, image in IMAGES[1:-1]), (1, IMAGES[-1][1])]
    assert opened(written(tmp_path / "labels", kind, shards=2, images=labels), kind).contents() != before


def test_contents_do_not_follow_the_times_in_headers_of_a_tar(tmp_path: Path) -> None:
    root = written(tmp_path, "wds")
    before = opened(root, "wds").contents()
    (file,) = root.iterdir()
    content = file.read_bytes()
    header = content[:512]
    later = header.replace(b"00000000000\0", b"00000000001\0", 1)
    later = later[:148] + b"%06o\0 " % (int(header[148:154], 8) + 1) + later[156:]
    file.write_bytes(later + content[512:])
    assert opened(root, "wds").contents() == before


# ---- many


@pytest.mark.parametrize("kind", KINDS)
def test_more_shards_than_a_process_may_open(tmp_path: Path, kind: str) -> None:
    images = [(i % 2, png(i)) for i in range(150)]
    data = opened(written(tmp_path, kind, shards=150, images=images), kind).evaluation(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    there = descriptors()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (there + files._MOST_OPEN + 20, hard))
        with ThreadPoolExecutor(16) as pool:
            order = np.random.default_rng(0).permutation(np.tile(np.arange(150), 8))
            found = list(pool.map(lambda i: data.read(int(i)).getpixel((0, 0))[0], order))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found == order.tolist()
    assert descriptors() <= there + files._MOST_OPEN + 1


def test_descriptors_are_closed_with_the_data(tmp_path: Path) -> None:
    data = opened(written(tmp_path, "wds", shards=6), "wds").evaluation(0)
    there = descriptors()
    for index in range(len(data)):
        data.read(index)
    assert descriptors() == there + 6
    del data
    assert descriptors() == there


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_takes_some_tens_of_bytes_until_it_is_read(tmp_path: Path, kind: str) -> None:
    def peak_bytes(count: int) -> int:
        images = [(i % 2, b"") for i in range(count)]
        root = written(tmp_path / str(count), kind, images=images)
        tracemalloc.start()
        try:
            train, test = opened(root, kind).split(0)
            assert len(train) + len(test) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(10)  # tables and modules
    few, many = peak_bytes(1000), peak_bytes(5000)
    assert (many - few) / 4000 < 100


def test_training_order_is_a_permutation_of_all_shards(tmp_path: Path) -> None:
    # An epoch is drawn over all images (models/training/stream.py): its first half comes from all shards.
    images = opened(written(tmp_path, "wds", shards=6, images=[(i % 2, png(i)) for i in range(60)]), "wds").evaluation(
        0
    )
    order = np.random.default_rng([0, 0]).permutation(len(images))
    shards = {images.names[i].partition("/")[0] for i in order[:30]}
    assert len(shards) == 6


def test_image_is_decoded_as_from_a_file(tmp_path: Path) -> None:
    grey = Image.linear_gradient("L").resize((9, 5))
    grey.save(tmp_path / "a.png")
    blob = (tmp_path / "a.png").read_bytes()
    root = written(tmp_path / "s", "wds", images=[(0, blob), (1, blob)])
    image = opened(root, "wds").evaluation(0).read(0)
    assert (image.mode, image.size) == ("RGB", (9, 5))
