"""Nothing is silently left out: what is read, what is known as left out, and classes without an image."""

import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.left_out import MOST_LISTED, LeftOut, PassedOver, counted
from mbexport.models.data.open import DataSet, open_data, open_unlabelled

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def photo(shade: int = 0, kind: str = "JPEG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(content, kind)
    return content.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of two photos each."""
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(2):
            (tmp_path / "data" / name / f"{index}.jpg").write_bytes(photo(index))
    return tmp_path / "data"


def opened(root: Path) -> DataSet:
    return open_data(str(root))


def listed(left_out: LeftOut) -> dict[str, str]:
    return {each.name: each.reason for each in left_out.listed}


# ---- what is read


def test_photos_are_read_whatever_they_are_called(root: Path) -> None:
    kinds = {"x.jfif": "JPEG", "x.JPE": "JPEG", "x": "PNG", "x.jpg_large": "JPEG", "x.avif": "AVIF", "x.txt": "WEBP"}
    for name, kind in kinds.items():
        (root / "a" / name).write_bytes(photo(9, kind))
    images = opened(root).evaluation(0)
    assert set(images.names) == {f"a/{name}" for name in kinds} | {"a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"}
    assert all(images.read(index).size == (4, 4) for index in range(len(images)))
    assert not opened(root).left_out
    pictures = open_unlabelled(root)
    assert pictures.images.names == images.names
    assert not pictures.left_out


def test_image_without_an_ending_counts_for_the_fingerprint_as_any_other(root: Path) -> None:
    (root / "a" / "x").write_bytes(photo(1))
    before = opened(root).fingerprint, opened(root).contents()
    (root / "a" / "x").write_bytes(photo(200))
    assert all(new != old for new, old in zip((opened(root).fingerprint, opened(root).contents()), before, strict=True))


# ---- what is left out


def test_photos_that_are_not_read_are_listed_with_the_reason(root: Path) -> None:
    (root / "a" / "IMG_1.HEIC").write_bytes(HEIC)
    (root / "a" / "IMG_2").write_bytes(HEIC)
    (root / "b" / "x.cr2").write_bytes(photo(0, "TIFF"))
    (root / "b" / "x.jxl").write_bytes(b"")
    (root / "b" / ".hidden.jpg").write_bytes(photo())
    left_out = opened(root).left_out
    assert left_out.photos == {".heic": 1, ".cr2": 1, ".jpg": 1, ".jxl": 1, "no ending": 1}
    assert left_out.others == {}
    convert = "which is not read here: convert it to JPEG or PNG"
    assert listed(left_out) == {
        "a/IMG_1.HEIC": f"it is HEIC, {convert}",
        "a/IMG_2": f"it is HEIC, {convert}",
        "b/.hidden.jpg": "it is hidden",
        "b/x.cr2": f"it is a camera's raw file, {convert}",
        "b/x.jxl": f"it is JPEG XL, {convert}",
    }


def test_other_files_are_counted_and_alarm_nobody(root: Path) -> None:
    for name in ("notes.txt", "a.json", "Thumbs.db", "desktop.ini", ".DS_Store", "._0.jpg"):
        (root / "a" / name).write_text("no photo")
    (root / "classes.txt").write_text("a\nb\n")
    left_out = opened(root).left_out
    assert left_out.photos == {}
    assert left_out.others == {".db": 1, ".ini": 1, ".jpg": 1, ".json": 1, ".txt": 2, "no ending": 1}


def test_photos_beside_the_classes_and_below_them_are_left_out(root: Path) -> None:
    (root / "preview.jpg").write_bytes(photo())
    (root / "a" / "2021").mkdir()
    (root / "a" / "2021" / "x.jpg").write_bytes(photo())
    (root / "b" / "empty").mkdir()
    left_out = opened(root).left_out
    assert (dict(left_out.photos), dict(left_out.others)) == ({".jpg": 1, "folder": 1}, {"folder": 1})
    assert listed(left_out) == {
        "a/2021": "a folder of images is read no deeper",
        "preview.jpg": "it lies in no class folder",
        "b/empty": "a folder of images is read no deeper",
    }
    assert dict(open_unlabelled(root).left_out.photos) == {"folder": 1}


@pytest.mark.timeout(20)
def test_pipe_and_lost_link_of_no_image_s_name_are_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "a" / "pipe")
    (root / "a" / "lost").symlink_to("nowhere")
    (root / "a" / "circle").symlink_to("circle")
    found = listed(opened(root).left_out)
    assert found["a/pipe"] == "it is no regular file"
    assert found["a/lost"].startswith("it cannot be opened")
    assert found["a/circle"].startswith("it cannot be opened")


def test_link_out_of_the_folder_is_opened_only_if_links_are_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(photo(7))
    (root / "a" / "x").symlink_to(tmp_path / "secret")
    found = opened(root)
    assert len(found.evaluation(0)) == 4
    assert list(listed(found.left_out)) == ["a/x"]
    assert found.left_out.photos == {"no ending": 1}
    assert len(open_data(str(root), follow_links=True).evaluation(0)) == 5


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", ".thumbnails"])
def test_folders_of_systems_are_no_classes(root: Path, name: str) -> None:
    (root / name / "a").mkdir(parents=True)
    (root / name / "a" / "._0.jpg").write_bytes(b"")
    (root / name / "x.jpg").write_bytes(photo())
    found = opened(root)
    assert found.class_names == ("a", "b")
    assert (found.left_out.photos, dict(found.left_out.others)) == ({}, {"folder": 1})
    assert set(open_unlabelled(root).images.names) == set(found.evaluation(0).names)


def test_folder_of_a_system_among_pictures_keeps_its_number(root: Path) -> None:
    # The number of a folder is part of the hash of its images: that of earlier versions must stay.
    (root / "a").rename(root / "x")
    (root / "b").rename(root / "a")
    (root / "lost+found").mkdir()
    assert set(open_unlabelled(root).images.labels.tolist()) == {1, 3}


# ---- the output of a run


@pytest.mark.parametrize("mark", [".mbexport", "manifest.json"])
def test_output_of_a_run_is_no_class(root: Path, mark: str) -> None:
    before = opened(root), open_unlabelled(root)
    (root / "aa" / "golden").mkdir(parents=True)
    (root / "aa" / "golden" / "0.png").write_bytes(photo())
    if mark == ".mbexport":
        (root / "aa" / mark).mkdir()
    else:
        (root / "aa" / mark).write_text('{"schema": 2, "tool": {"name": "mbexport"}}')
    found, pictures = opened(root), open_unlabelled(root)
    assert found.class_names == ("a", "b")
    assert (found.fingerprint, pictures.fingerprint) == (before[0].fingerprint, before[1].fingerprint)
    assert (found.contents(), pictures.contents()) == (before[0].contents(), before[1].contents())
    assert listed(found.left_out) == listed(pictures.left_out) == {"aa": "a run of mbexport wrote this folder"}
    (root / "aa" / "x.jpg").write_bytes(photo())
    with pytest.raises(DataError, match=r"aa must not hold both images and the output of a run"):
        opened(root)


@pytest.mark.parametrize("text", ["", "[]", '{"tool": "mbexport"}', '{"tool": {"name": "other"}}', "[" * 100_000])
def test_manifest_of_somebody_else_makes_no_output(root: Path, text: str) -> None:
    (root / "a" / "manifest.json").write_text(text)
    assert opened(root).class_names == ("a", "b")


def test_folder_that_a_run_delivered_into_is_refused(root: Path) -> None:
    (root / "manifest.json").write_text('{"tool": {"name": "mbexport"}}')
    with pytest.raises(DataError, match=r"must be a folder of images, got .*, which is the output of a run"):
        opened(root)


# ---- classes without an image


def test_class_without_an_image_is_refused_with_what_lies_in_it(root: Path) -> None:
    for index in range(3):
        (root / "a" / f"{index}.jpg").unlink(missing_ok=True)
        (root / "a" / f"{index}.heic").write_bytes(HEIC)
    (root / "a" / "notes.txt").write_text("")
    with pytest.raises(DataError) as caught:
        opened(root)
    assert str(caught.value) == (
        f"class a must hold an image that can be read, got 3 .heic, 1 .txt in {root / 'a'}, the first a/0.heic: "
        "it is HEIC, which is not read here: convert it to JPEG or PNG"
    )


@pytest.mark.parametrize("name", ["0", "z"])
def test_empty_folder_is_refused_however_its_name_sorts(root: Path, name: str) -> None:
    (root / name).mkdir()
    with pytest.raises(DataError, match=f"class {name} must hold an image that can be read, got nothing in"):
        opened(root)
    (root.parent / "classes.txt").write_text(f"a\nb\n{name}\n")
    with pytest.raises(DataError, match=f"class {name} must hold an image"):
        open_data(str(root), classes_file=root.parent / "classes.txt")
    (root / name).rmdir()  # a class of the file may have no folder
    assert open_data(str(root), classes_file=root.parent / "classes.txt").class_names == ("a", "b", name)


def test_class_that_holds_folders_alone_is_refused(root: Path) -> None:
    for name in ("train_1", "val_1"):
        (root / "c" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="class c must hold an image that can be read, got 2 folders in"):
        opened(root)


def test_pictures_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.heic").write_bytes(HEIC)
    with pytest.raises(DataError, match=r"holds no image that can be read, .*: it holds 1 \.heic"):
        open_unlabelled(tmp_path)


def test_class_folder_that_is_no_utf8_is_refused_and_such_a_file_is_shown_as_text(root: Path) -> None:
    try:
        os.rename(root / "a" / "0.jpg", os.fsencode(root / "a") + b"/\xff.jpg")  # noqa: PTH104  # bytes
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    images = opened(root).evaluation(0)
    assert images.names[1] == "a/\\xff.jpg"
    assert images.read(1).size == (4, 4)
    os.rename(root / "a", os.fsencode(root) + b"/\xff")  # noqa: PTH104
    with pytest.raises(DataError, match=r"name of UTF-8 without control characters, got b'\\xff'"):
        opened(root)
    assert "\\xff/\\xff.jpg" in open_unlabelled(root).images.names


# ---- changes that keep size and time


def test_image_that_changed_with_size_and_time_kept_is_another_one(root: Path) -> None:
    file = root / "a" / "0.jpg"
    state, before = file.stat(), (opened(root).fingerprint, open_unlabelled(root).fingerprint)
    assert len(photo(0)) == len(photo(1))
    time.sleep(0.02)  # the clock of a file system ticks a hundred times a second
    file.write_bytes(photo(1))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    after = opened(root).fingerprint, open_unlabelled(root).fingerprint
    assert all(new != old for new, old in zip(after, before, strict=True))


def test_image_that_another_one_took_the_place_of_is_another_one(root: Path, tmp_path: Path) -> None:
    state, before = (root / "a" / "0.jpg").stat(), opened(root).fingerprint
    (tmp_path / "new").write_bytes(photo(1))
    os.utime(tmp_path / "new", ns=(state.st_atime_ns, state.st_mtime_ns))
    (tmp_path / "new").rename(root / "a" / "0.jpg")
    assert opened(root).fingerprint != before


# ---- counts


def passed(*names: str, is_photo: bool = False) -> list[PassedOver]:
    return [PassedOver(name=name, reason="it is so", is_photo=is_photo) for name in names]


def test_counts_by_hand() -> None:
    found = LeftOut.of([*passed("a/x.txt", "a/y.TXT", "a/README"), *passed("a/x.heic", is_photo=True)])
    assert (dict(found.photos), dict(found.others)) == ({".heic": 1}, {".txt": 2, "no ending": 1})
    assert [each.name for each in found.listed] == ["a/x.heic", "a/x.txt", "a/y.TXT", "a/README"]
    assert str(found) == "2 .txt, 1 .heic, 1 no ending"
    assert str(LeftOut()) == "nothing"
    assert counted({f".{letter}": 1 for letter in "abcdefg"}) == "1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 2 others"


def test_long_lists_are_cut_and_counts_are_not() -> None:
    many = [f"{number}.txt" for number in range(MOST_LISTED + 5)]
    found = LeftOut.of(passed(*many)).and_of(LeftOut.of([*passed(*many), *passed("x.heic", is_photo=True)]))
    assert found.others == {".txt": 2 * MOST_LISTED + 10}
    assert len(found.listed) == MOST_LISTED + 1
    assert found.listed[0].name == "x.heic"


@given(st.lists(st.tuples(st.sampled_from(["x.txt", "x.heic", "x"]), st.booleans())), st.integers(0, 10))
def test_two_folders_have_what_both_have(pairs: list[tuple[str, bool]], at: int) -> None:
    found = [PassedOver(name=name, reason="", is_photo=is_photo) for name, is_photo in pairs]
    both = LeftOut.of(found[:at]).and_of(LeftOut.of(found[at:]))
    assert both == LeftOut.of(found)
    assert sum(both.photos.values()) + sum(both.others.values()) == len(found)
