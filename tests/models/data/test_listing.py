"""Which files of a folder are its images: regular files inside it, and elsewhere only where links are followed."""

import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.open import open_data, open_unlabelled


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of two images each."""
    folder = tmp_path / "data"
    for number, name in enumerate("ab"):
        (folder / name).mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (4, 4), (number, index, 0)).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """An image beside the data folder."""
    (tmp_path / "secret").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "secret" / "x.png")
    return tmp_path / "secret"


def names(root: Path) -> tuple[str, ...]:
    return open_data(str(root)).evaluation(0).names


# ---- links


@pytest.mark.parametrize("reopen", [open_unlabelled, names], ids=["calibration", "data"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_file_link_that_leaves_the_folder_is_refused(root: Path, outside: Path, reopen, relative: bool) -> None:
    target = outside / "x.png"
    (root / "a" / "x.png").symlink_to(Path("../../secret/x.png") if relative else target)
    with pytest.raises(DataError) as caught:
        reopen(root)
    assert str(root / "a" / "x.png") in str(caught.value)
    assert str(target) in str(caught.value)


@pytest.mark.parametrize("reopen", [open_unlabelled, names], ids=["calibration", "data"])
def test_a_class_folder_that_is_a_link_out_is_refused(root: Path, outside: Path, reopen) -> None:
    (root / "c").symlink_to(outside)
    with pytest.raises(
        DataError, match=r"data.c links to .*secret, outside the data folder .*data: pass --follow-links"
    ):
        reopen(root)


def test_a_hidden_class_folder_that_a_classes_file_names_is_no_way_out(root: Path, outside: Path) -> None:
    (root / ".c").symlink_to(outside)
    (root.parent / "classes.txt").write_text("a\nb\n.c\n")
    with pytest.raises(DataError, match="pass --follow-links"):
        open_data(str(root), classes_file=root.parent / "classes.txt")


def test_a_chain_of_links_is_followed_to_its_end(root: Path, outside: Path) -> None:
    (root / "step.lnk").symlink_to(outside / "x.png")
    (root / "a" / "x.png").symlink_to(root / "step.lnk")
    with pytest.raises(DataError, match=r"secret.x\.png"):
        names(root)


def test_a_train_folder_that_is_a_link_out_is_refused(tmp_path: Path, root: Path) -> None:
    split = tmp_path / "split"
    split.mkdir()
    for part in ("train", "val"):
        (split / part).symlink_to(root)
    with pytest.raises(DataError, match=r"split.train links to .*pass --follow-links"):
        open_data(str(split))


def test_a_folder_whose_name_begins_alike_is_outside(root: Path) -> None:
    (root.parent / "data-private").mkdir()
    Image.new("RGB", (4, 4)).save(root.parent / "data-private" / "x.png")
    (root / "a" / "x.png").symlink_to(root.parent / "data-private" / "x.png")
    with pytest.raises(DataError, match="pass --follow-links"):
        names(root)


def test_links_that_stay_inside_are_followed(root: Path) -> None:
    (root / "a" / "again.png").symlink_to(root / "b" / "1.png")
    (root / "c").symlink_to("b")
    images = open_data(str(root)).evaluation(0)
    assert images.names == ("a/0.png", "a/1.png", "a/again.png", "b/0.png", "b/1.png", "c/0.png", "c/1.png")
    assert [images.read(i).getpixel((0, 0))[:2] for i in (2, 5)] == [(1, 1), (1, 0)]


def test_the_data_folder_itself_may_be_a_link(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    (root / "a" / "again.png").symlink_to(root / "b" / "1.png")
    assert names(root.parent / "link") == names(root)
    assert len(open_unlabelled(root.parent / "link").images) == 5


def test_links_in_a_circle_are_refused(root: Path) -> None:
    (root / "circle").symlink_to(root / "circle")  # names no folder, so no class
    assert len(names(root)) == 4
    (root / "a" / "x.png").symlink_to(root / "a" / "x.png")
    with pytest.raises(DataError, match=r"x\.png cannot be read"):
        names(root)


@pytest.mark.parametrize("name", ["/etc", "../secret", "..", ".", "a/../../secret", "a/", "..\\secret"])
def test_a_classes_file_names_folders_inside_only(root: Path, outside: Path, name: str) -> None:
    file = root.parent / "classes.txt"
    file.write_text(f"a\nb\n{name} label\n")
    with pytest.raises(DataError) as caught:
        open_data(str(root), classes_file=file)
    assert str(caught.value) == f"the classes file {file} must name folders inside the data folder, got {name}"


# ---- links that are followed


def linked(files: Path, root: Path, *, folders: bool = False) -> Path:
    """A tree of links to `files`, as DVC (a link a file) or Bazel (a link a folder) makes one."""
    root.mkdir()
    for part in sorted(files.iterdir()):
        if folders:
            (root / part.name).symlink_to(part)
            continue
        (root / part.name).mkdir()
        for file in part.iterdir():
            (root / part.name / file.name).symlink_to(file)
    return root


@pytest.mark.parametrize("folders", [False, True], ids=["links to files", "links to folders"])
def test_a_tree_of_links_is_the_data_that_it_leads_to(root: Path, tmp_path: Path, folders: bool) -> None:
    tree = linked(root, tmp_path / "tree", folders=folders)
    with pytest.raises(DataError, match="outside the data folder"):
        open_data(str(tree))
    with pytest.raises(DataError, match="outside the data folder"):
        open_unlabelled(tree)
    plain, data = open_data(str(root)), open_data(str(tree), follow_links=True)
    images = data.evaluation(0)
    assert images.names == plain.evaluation(0).names
    assert [images.read(i).getpixel((0, 0))[:2] for i in range(4)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert data.contents() == plain.contents()
    assert open_unlabelled(tree, follow_links=True).images.names == open_unlabelled(root).images.names
    assert open_unlabelled(tree, follow_links=True).contents() == open_unlabelled(root).contents()


def test_train_and_val_may_be_links(root: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    split.mkdir()
    for part in ("train", "val"):
        (split / part).symlink_to(root)
    train, test = open_data(str(split), follow_links=True).split(0)
    assert train.names == test.names == names(root)


@pytest.mark.parametrize("folders", [False, True], ids=["links to files", "links to folders"])
def test_what_links_lead_to_is_part_of_the_hashes(root: Path, tmp_path: Path, folders: bool) -> None:
    tree = linked(root, tmp_path / "tree", folders=folders)

    def hashes() -> tuple[str, ...]:
        data = open_data(str(tree), follow_links=True)
        unlabelled = open_unlabelled(tree, follow_links=True)
        return data.fingerprint, data.contents(), unlabelled.fingerprint, unlabelled.contents()

    before = hashes()
    assert hashes() == before
    Image.new("RGB", (5, 5), (9, 9, 9)).save(root / "a" / "0.png")
    assert all(new != old for new, old in zip(hashes(), before, strict=True))


def test_a_link_that_is_turned_to_a_file_of_the_same_size_and_time_changes_the_fingerprint(
    root: Path, tmp_path: Path
) -> None:
    tree = linked(root, tmp_path / "tree")
    for number in (1, 2):  # build systems set one time of change for all files
        file = tmp_path / f"{number}.png"
        file.write_bytes(bytes([number]) * 9)
        os.utime(file, ns=(1, 1))
    link = tree / "a" / "0.png"
    found = []
    for number in (1, 2):
        link.unlink()
        link.symlink_to(tmp_path / f"{number}.png")
        data = open_data(str(tree), follow_links=True)
        found.append((data.fingerprint, data.contents(), open_unlabelled(tree, follow_links=True).fingerprint))
    assert all(one != other for one, other in zip(*found, strict=True))


def test_following_links_changes_nothing_where_none_leads_out(root: Path) -> None:
    (root / "a" / "again.png").symlink_to(root / "b" / "1.png")
    (root / "c").symlink_to("b")
    assert open_data(str(root), follow_links=True).fingerprint == open_data(str(root)).fingerprint
    assert open_unlabelled(root, follow_links=True).fingerprint == open_unlabelled(root).fingerprint


@pytest.mark.parametrize("target", [".", "..", "a/.."])
def test_a_link_to_a_folder_around_it_is_refused(root: Path, target: str) -> None:
    (root / "c").symlink_to(target)
    for reopen in (lambda: open_data(str(root), follow_links=True), lambda: open_unlabelled(root, follow_links=True)):
        with pytest.raises(DataError, match=r"data.c links to .*, a folder that holds the link: remove the link"):
            reopen()


def test_links_in_a_circle_are_refused_when_links_are_followed(root: Path) -> None:
    (root / "circle").symlink_to(root / "circle")  # names no folder, so no class
    assert len(open_data(str(root), follow_links=True).evaluation(0)) == 4
    (root / "a" / "x.png").symlink_to(root / "a" / "y.png")
    (root / "a" / "y.png").symlink_to(root / "a" / "x.png")
    with pytest.raises(DataError, match=r"[xy]\.png cannot be read"):
        open_data(str(root), follow_links=True)


@pytest.mark.timeout(20)
def test_a_link_to_what_is_no_file_is_refused_when_links_are_followed(root: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (root / "a" / "x.png").symlink_to(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"x\.png must be a regular file, got a pipe"):
        open_data(str(root), follow_links=True)


def test_other_data_ignores_links() -> None:
    assert open_data("digits", follow_links=True).fingerprint == open_data("digits").fingerprint


# ---- what is no file


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("make", "kind"), [(make_pipe, "a pipe"), (make_socket, "a socket"), (make_folder, "a folder")]
)
@pytest.mark.parametrize("reopen", [open_unlabelled, names], ids=["calibration", "data"])
def test_what_is_no_regular_file_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, reopen, make, kind: str
) -> None:
    monkeypatch.chdir(root / "a")  # a socket's path must be short
    make(Path("x.jpg"))
    with pytest.raises(DataError, match=rf"x\.jpg must be a regular file, got {kind}"):
        reopen(root)


def test_a_link_to_a_device_is_refused(root: Path) -> None:
    (root / "a" / "x.jpg").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"x\.jpg must be a regular file, got a device"):
        names(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_folder_that_may_not_be_listed_is_refused(root: Path) -> None:
    (root / "a").chmod(0)
    try:
        with pytest.raises(DataError, match="cannot be listed"):
            names(root)
    finally:
        (root / "a").chmod(0o700)


def test_files_that_others_read_beside_images_are_not_left_out(root: Path) -> None:
    for name in ("x.xml", "x.txt"):
        (root / "a" / name).write_text("no image")
    folder = DataFolder(root=root, follow_links=False)
    listing = folder.list_images({0: root / "a"}, beside=(".xml",))
    assert listing.names == ("a/0.png", "a/1.png")
    assert [each.name for each in listing.left_out[0].listed] == ["a/x.txt"]
    assert len(folder.list_images({0: root / "a"}).left_out[0].listed) == 2
