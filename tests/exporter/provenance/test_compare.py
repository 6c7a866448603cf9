"""Files that were made again beside those that a manifest lists: which bytes differ, and where."""

from dataclasses import replace
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.provenance.compare import FileComparison, Status, compare_files, first_difference, tool_differences
from mbexport.provenance.manifest import FileFacts, Manifest, Recipe, Tool

CONTENTS = st.binary(max_size=6)
SOME_FILES = st.dictionaries(st.sampled_from(["a", "b", "ios/c"]), CONTENTS)


def manifest_of(files: dict[str, bytes], folder: Path) -> Manifest:
    """A manifest of `files`, which are written into `folder` beside it."""
    (folder / "ios").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    facts = {name: FileFacts.of(content) for name, content in files.items()}
    recipe = Recipe(command="build", options={})
    manifest = Manifest(tool=Tool.here(), recipe=recipe, inputs={}, files=facts)
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return manifest


@given(SOME_FILES, SOME_FILES, SOME_FILES)
@example({"a": b"1"}, {"a": b"1"}, {"a": b"2"})
def test_files_are_the_same_exactly_if_their_bytes_and_names_are(tmp_path_factory, listed, made, beside):
    root = tmp_path_factory.mktemp("files")
    manifest = manifest_of(listed, root / "delivered")
    manifest_of(made, root / "made")
    for name in listed:
        (root / "delivered" / name).unlink()
    for name, content in beside.items():
        (root / "delivered" / name).write_bytes(content)
    found = {
        each.name: each.status for each in compare_files(manifest, rebuilt=root / "made", delivered=root / "delivered")
    }
    assert set(found) == set(listed) | set(made)
    for name, status in found.items():
        is_listed, is_made = name in listed, name in made
        assert (status is Status.UNLISTED, status is Status.MISSING) == (not is_listed, not is_made)
        if is_listed and is_made:
            is_right = made[name] == listed[name]
            assert (status is Status.DIFFERS) is not is_right
            assert (status is Status.ALTERED) is (is_right and beside.get(name, listed[name]) != listed[name])


def test_files_whose_bytes_do_not_repeat_are_not_compared(tmp_path):
    """But what is made again repeats if the rebuilt manifest says so, whatever the delivered one says."""
    of_the_run = {"report.json": b"then", "net": b"forged"}
    listed = {name: FileFacts.of(content, repeats=False) for name, content in of_the_run.items()}
    manifest = replace(manifest_of({}, tmp_path / "delivered"), files=listed)
    made = replace(
        manifest_of({"net": b"right"}, tmp_path / "made"),
        files={"net": FileFacts.of(b"right"), "junit.xml": FileFacts.of(b"now", repeats=False)},
    )
    (tmp_path / "made" / "manifest.json").write_bytes(made.to_bytes())
    (found,) = compare_files(manifest, rebuilt=tmp_path / "made", delivered=tmp_path / "delivered")
    assert (found.name, found.status) == ("net", Status.DIFFERS)


def test_delivered_file_that_was_altered_is_not_the_same(tmp_path):
    manifest = manifest_of({"a": b"0123"}, tmp_path / "delivered")
    manifest_of({"a": b"0123"}, tmp_path / "made")
    (tmp_path / "delivered" / "a").write_bytes(b"01x3")
    (found,) = compare_files(manifest, rebuilt=tmp_path / "made", delivered=tmp_path / "delivered")
    right, wrong = (FileFacts.of(content).sha256 for content in (b"0123", b"01x3"))
    assert found == FileComparison(name="a", status=Status.ALTERED, listed=right, found=wrong, first_difference=2)


@given(CONTENTS, CONTENTS)
@example(b"ab", b"abc")
@example(b"x" * (1 << 20) + b"a", b"x" * (1 << 20) + b"b")
def test_first_difference_parts_the_files(tmp_path_factory, one, other):
    folder = tmp_path_factory.getbasetemp()
    (folder / "one").write_bytes(one)
    (folder / "other").write_bytes(other)
    at = first_difference(folder / "one", folder / "other")
    if at is None:
        assert one == other
    else:
        assert one[:at] == other[:at]
        assert one[at : at + 1] != other[at : at + 1]


def test_tools_that_are_the_same_are_not_told(tmp_path):
    manifest = manifest_of({}, tmp_path)
    assert tool_differences(manifest) == {}
