"""Data sets of shards: the same as a folder of the same images, parts, names of classes, and what is refused."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards_by_hand import (
    COUNT,
    END_OF_TAR,
    IMAGES,
    KINDS,
    example,
    folder_of,
    png,
    record,
    samples,
    shard,
    slim_records,
    tar_of,
    write,
    written,
)

from mbexport.errors import DataError
from mbexport.models.data.open import DataSet, ImageSet, open_data
from mbexport.models.data.readable import check_images, drop_unreadable
from mbexport.models.data.shards.survey import part_of_shard
from mbexport.models.data.splits import Part


def opened(root: Path, kind: str, **given: Path | None) -> DataSet:
    return open_data(f"{kind}:{root}", **given)


def refused(root: Path, kind: str, **given: Path | None) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, kind, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pixels(images: ImageSet) -> list[bytes]:
    return [images.read(i).tobytes() for i in range(len(images))]


# ---- the same as a folder


@pytest.mark.parametrize("shards", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_labels_order_and_splits_are_those_of_a_folder(tmp_path: Path, kind: str, shards: int) -> None:
    data, plain = opened(written(tmp_path / "s", kind, shards=shards), kind), open_data(str(folder_of(tmp_path / "f")))
    assert data.class_names == plain.class_names == ("0", "1", "2")
    assert (data.is_photos, data.has_validation, data.validation) == (True, False, None)
    for seed in range(3):
        both = zip(
            (*data.split(seed), data.evaluation(seed)), (*plain.split(seed), plain.evaluation(seed)), strict=True
        )
        for found, wanted in both:
            assert found.labels.dtype == np.int64
            np.testing.assert_array_equal(found.labels, wanted.labels)
            assert pixels(found) == pixels(wanted)


@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_any_images_are_those_of_a_folder(
    kind: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    counts = data.draw(st.lists(st.integers(2, 5), min_size=2, max_size=4))
    colours = st.tuples(*[st.integers(0, 255)] * 3)
    images = [(label, png(*data.draw(colours))) for label, count in enumerate(counts) for _ in range(count)]
    root = tmp_path_factory.mktemp("any")
    found = opened(written(root / "s", kind, shards=data.draw(st.integers(1, 4)), images=images), kind)
    wanted = open_data(str(folder_of(root / "f", images)))
    seed = data.draw(st.integers(0, 99))
    for one, other in zip(found.split(seed), wanted.split(seed), strict=True):
        assert one.labels.tolist() == other.labels.tolist()
        assert pixels(one) == pixels(other)


@pytest.mark.parametrize(("kind", "expected"), [("wds", "s0001-000.tar/007.png"), ("tfrecord", "s0001-000.tfrecord/1")])
def test_names_are_the_shard_and_what_the_image_is_called_there(tmp_path: Path, kind: str, expected: str) -> None:
    images = opened(written(tmp_path, kind, shards=2), kind).evaluation(0)
    assert images.names[7] == expected
    assert len(set(images.names)) == len(images.names) == COUNT
    assert images.names[-1] == images.names[COUNT - 1]
    assert list(images.names[2:4]) == [images.names[2], images.names[3]]
    chosen = images.subset(np.array([9, 7, 3])).without([0]).subset(np.array([1, 0]))
    assert list(chosen.names) == [images.names[3], images.names[7]]
    assert chosen.read(1).tobytes() == images.read(7).tobytes()


def test_long_name_is_found_again(tmp_path: Path) -> None:
    keys = ["d" * 90 + "/" + "k" * 120 + str(i) for i in range(4)]
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
            for label, key in enumerate(keys):
                for name, blob in samples((key, label % 2, png(label))).items():
                    info = tarfile.TarInfo(name)
                    info.size = len(blob)
                    tar.addfile(info, io.BytesIO(blob))
        assert list(opened(tmp_path, "wds").evaluation(0).names) == [f"a.tar/{key}.png" for key in keys]


# ---- parts


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train-00000-of-01024", Part.TRAIN),
        ("validation-00000-of-00128", Part.VALIDATION),
        ("imagenet-train-000000.tar", Part.TRAIN),
        ("imagenet1k_val_03.tar", Part.VALIDATION),
        ("mnist-test.tfrecord-00000-of-00001", Part.TEST),
        ("test-run-train-000.tar", Part.TRAIN),
        ("Dev0.tar", Part.VALIDATION),
        ("shard-000.tar", Part.WHOLE),
        ("trainer.tar", Part.WHOLE),
    ],
)
def test_names_of_shards_say_their_part(name: str, part: Part) -> None:
    assert part_of_shard(name) is part


@pytest.mark.parametrize("prefixes", [("train-", "val-", "test-"), ("train/", "validation/", "test/")])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_what_names_or_folders_say(tmp_path: Path, kind: str, prefixes: tuple[str, str, str]) -> None:
    for place, prefix in enumerate(prefixes):
        for name, content in shard(kind, [(label, png(place, label, 0)) for label in range(2)]).items():
            write(tmp_path, {f"{prefix}{name}": content})
    data = opened(tmp_path, kind)
    train, test = data.split(0)
    assert data.has_validation
    assert data.validation is not None
    found = [part.read(1).getpixel((0, 0)) for part in (train, data.validation(), test, data.evaluation(0))]
    assert found == [(0, 1, 0), (1, 1, 0), (2, 1, 0), (2, 1, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_part_alone_is_the_whole_data(tmp_path: Path, kind: str) -> None:
    for name, content in shard(kind, IMAGES).items():
        write(tmp_path, {f"validation-{name}": content})
    data = opened(tmp_path, kind)
    assert len(data.evaluation(0)) == COUNT
    assert [len(part) for part in data.split(0)] == [9, 3]


def test_shards_of_no_part_beside_others_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {f"{name}.tar": shard("wds", IMAGES)["000.tar"] for name in ("train-0", "val-0", "extra")})
    assert (
        "must hold shards whose names all say their part, such as train-000 and val-000, or none: got extra.tar"
        in refused(tmp_path, "wds")
    )


def test_what_lies_beside_shards_is_counted(tmp_path: Path) -> None:
    written(tmp_path, "wds")
    write(tmp_path, {"README.md": b"", "other/a.jpg": b"", ".hidden.tar": b"", "classes.txt": b"a\nb\nc\n"})
    left_out = opened(tmp_path, "wds").left_out
    assert (dict(left_out.photos), dict(left_out.others)) == ({"folder": 1}, {".md": 1, ".tar": 1})


def test_links_out_of_the_folder_are_followed_if_the_user_says_so(tmp_path: Path) -> None:
    written(tmp_path / "elsewhere", "wds")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.tar").symlink_to(tmp_path / "elsewhere" / "s0000-000.tar")
    assert "outside the data folder" in refused(tmp_path / "s", "wds")
    assert len(open_data(f"wds:{tmp_path / 's'}", follow_links=True).evaluation(0)) == COUNT


# ---- classes


def with_labels(root: Path, kind: str, *labels: int) -> Path:
    return written(root, kind, images=[(label, png(i)) for i, label in enumerate(labels)])


@pytest.mark.parametrize("kind", KINDS)
def test_classes_file_names_the_numbers_and_may_name_more(tmp_path: Path, kind: str) -> None:
    root = with_labels(tmp_path / "s", kind, 0, 0, 2, 2)
    (tmp_path / "c.txt").write_text("a cat\nnobody\na dog\n")
    assert opened(root, kind, classes_file=tmp_path / "c.txt").class_names == ("a cat", "nobody", "a dog")


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt", "label.labels.txt"])
def test_file_of_classes_beside_the_shards(tmp_path: Path, name: str) -> None:
    write(with_labels(tmp_path, "tfrecord", 0, 0, 1, 1), {name: b"cat\ndog\n"})
    assert opened(tmp_path, "tfrecord").class_names == ("cat", "dog")


def test_a_file_of_classes_beside_the_shards_lies_in_their_folder(tmp_path: Path) -> None:
    root = with_labels(tmp_path / "s", "wds", 0, 0, 1, 1)
    (tmp_path / "secret").write_text("cat\ndog\n")
    (root / "classes.txt").symlink_to(tmp_path / "secret")
    assert "pass --follow-links to read it" in refused(root, "wds")
    assert open_data(f"wds:{root}", follow_links=True).class_names == ("cat", "dog")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_a_file_of_classes_is_a_regular_file(tmp_path: Path, make) -> None:
    root = with_labels(tmp_path / "s", "wds", 0, 0, 1, 1)
    make(root / "labels.txt")
    assert refused(root, "wds") == f"the classes file {root / 'labels.txt'} cannot be read: no regular file"


def test_numbers_in_a_labels_file_of_slim_are_no_names(tmp_path: Path) -> None:
    write(with_labels(tmp_path, "tfrecord", 0, 0, 1, 1), {"labels.txt": b"0:cat\n1:guinea pig\n"})
    assert opened(tmp_path, "tfrecord").class_names == ("cat", "guinea pig")


def test_texts_beside_the_images_name_the_classes(tmp_path: Path) -> None:
    text = {0: "cat", 1: "guinea pig"}
    write(tmp_path, {"a.tfrecord": slim_records((1, png(1)), (0, png(2)), text=text)})
    assert opened(tmp_path, "tfrecord").class_names == ("cat", "guinea pig")
    write(tmp_path, {"b.tfrecord": slim_records((1, png(3)), text={1: "hamster"})})
    expected = "label 1 must have one name, got guinea pig and hamster: give --classes FILE"
    assert refused(tmp_path, "tfrecord") == expected
    write(tmp_path, {"classes.txt": b"cat\nrodent\n"})
    assert opened(tmp_path, "tfrecord").class_names == ("cat", "rodent")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((1, 1, 2, 2), "got labels from 1 to 2 and none 0: labels seem to start at 1: write them anew from 0"),
        ((0, 2, 2), "got labels from 0 to 2 and none 1: give --classes FILE to name a class without images"),
        ((0, 0, 10**17), "got labels from 0 to 100000000000000000 and none 1"),
        ((0, 0), "must hold images of at least 2 classes, got the label 0 only"),
        ((0, -1, 1, -1), "must have a label from 0 on for each image, got -1 for 2"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_are_no_numbers_of_classes_are_refused(
    tmp_path: Path, kind: str, labels: tuple[int, ...], message: str
) -> None:
    assert message in refused(with_labels(tmp_path, kind, *labels), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_start_at_1_are_refused_with_a_hint(tmp_path: Path, kind: str) -> None:
    root = with_labels(tmp_path / "s", kind, 1, 1, 2, 2)
    (tmp_path / "c.txt").write_text("cat\ndog\n")
    text = refused(root, kind, classes_file=tmp_path / "c.txt")
    assert "must have labels from 0 to 1, as " in text
    assert (
        "names 2 classes, got 1 to 2: labels seem to start at 1: write them anew from 0, or give --classes FILE" in text
    )
    (tmp_path / "c.txt").write_text("background\ncat\ndog\n")  # as networks with a class of their own for it have it
    assert opened(root, kind, classes_file=tmp_path / "c.txt").class_names == ("background", "cat", "dog")


# ---- what cannot be used


@pytest.mark.parametrize(
    ("kind", "files_there", "message"),
    [
        ("wds", None, "--data wds:DIR must name a folder of .tar files of WebDataset, got "),
        ("tfrecord", None, "--data tfrecord:DIR must name a folder of TFRecord files, got "),
        ("wds", {"a.txt": b""}, "must hold .tar files of WebDataset, in itself or in train/ and val/, got none"),
        ("wds", {"a.tar.gz": b""}, "a.tar.gz is compressed, and images are read from its middle: decompress it first"),
        ("wds", {"a.tgz": b""}, "a.tgz is compressed"),
        ("wds", {"a.tar": b"\x1f\x8b\x08\0"}, "a.tar is compressed"),
        ("tfrecord", {"a.tfrecord.gz": b""}, "a.tfrecord.gz is compressed"),
        ("tfrecord", {"a.tfrecord": b"\x1f\x8b\x08\0"}, "a.tfrecord is compressed"),
        ("wds", {"a.tar": b""}, "a.tar is damaged, or no tar"),
        ("wds", {"a.tar": END_OF_TAR}, "must hold an image with a label, as .tar files of WebDataset do, got nothing"),
        ("tfrecord", {"a.tfrecord": b""}, "must hold an image with a label, as TFRecord files do, got nothing"),
        ("wds", {"a.tar": tar_of({"a.jpg": b""})}, "with a label, as .tar files of WebDataset do, got 1 .jpg"),
        ("wds", {"a.tar": tar_of({"a.jpg": b"", "a.cls": b"x"})}, "must hold a label as a whole number, got b'x'"),
        ("tfrecord", {"a.tfrecord": b"abc"}, "a.tfrecord is damaged, or no TFRecord file"),
    ],
)  # fmt: skip
def test_folders_that_cannot_be_used_are_refused_in_one_line(
    tmp_path: Path, kind: str, files_there: dict[str, bytes] | None, message: str
) -> None:
    if files_there is not None:
        write(tmp_path / "s", files_there)
    assert message in refused(tmp_path / "s", kind)


def test_beginning_like_a_compressed_file_is_no_fault(tmp_path: Path) -> None:
    padding = 0x8B1F - len(example({"image": bytes(0x8A00), "label": 1})) + 0x8A00
    first = example({"image": bytes(padding), "label": 1})
    assert len(first).to_bytes(2, "little") == b"\x1f\x8b"  # as gzip begins
    write(tmp_path / "r", {"a.tfrecord": record(first) + slim_records((0, b""))})
    assert opened(tmp_path / "r", "tfrecord").evaluation(0).labels.tolist() == [1, 0]
    write(tmp_path / "t", {"a.tar": tar_of(samples(("BZh", 0, b""), ("b", 1, b"")))})
    assert opened(tmp_path / "t", "wds").evaluation(0).labels.tolist() == [0, 1]


def test_name_that_is_no_utf8_is_read_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.tar")
    write(tmp_path, {name: tar_of(samples((os.fsdecode(b"\xfe"), 0, png(1)), ("b", 1, png(2))))})
    images = opened(tmp_path, "wds").evaluation(0)
    assert images.names[0] == "\\xff.tar/\\xfe.png"
    assert images.read(0).size == (4, 4)


def test_pipe_is_no_shard_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    assert refused(tmp_path, "wds") == f"{tmp_path / 'a.tar'} must be a regular file"


def test_class_with_one_image_cannot_be_split(tmp_path: Path) -> None:
    data = opened(with_labels(tmp_path, "wds", 0, 0, 1), "wds")
    with pytest.raises(DataError, match="class 1 must have at least 2 images to split off a test set, got 1 in "):
        data.split(0)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images_are_found_and_named(tmp_path: Path, kind: str) -> None:
    images = [*IMAGES[:3], (0, b"no image"), *IMAGES[3:]]
    sets = [opened(written(tmp_path, kind, images=images), kind).evaluation(0)]
    kept = drop_unreadable(sets, max_bad=0.5, findings=check_images(sets))
    ((name, reason),) = kept.bad
    assert name == sets[0].names[3]
    assert "s0000-000.t" in reason
    assert reason.endswith("is not an image that can be read")
    assert len(kept.sets[0]) == COUNT


def test_class_without_a_readable_image_is_named_by_its_number(tmp_path: Path) -> None:
    images = [(0, png(1)), (0, png(2)), (1, b"no image")]
    sets = [opened(written(tmp_path, "wds", images=images), "wds").evaluation(0)]
    with pytest.raises(DataError, match="class 1 must hold an image that can be read, got none"):
        drop_unreadable(sets, max_bad=1)


def test_record_with_a_flipped_bit_is_found_when_it_is_read(tmp_path: Path) -> None:
    written(tmp_path, "tfrecord")
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    place = content.index(IMAGES[0][1]) + 40  # in the compressed pixels
    content[place] ^= 1
    file.write_bytes(content)
    images = opened(tmp_path, "tfrecord").evaluation(0)
    for _ in range(2):
        with pytest.raises(DataError, match="at byte 12 is damaged: its record has another checksum than it should"):
            images.read(0)
    assert images.read(1).size == (6, 6)
