"""A folder that version 0.1.0 finished stays sound, and its bundles can be made again.

`finished_by_0_1_0.json` holds the files that version's own code wrote for a model by hand, with the options of a real
build. Do not write it again with later code: it is what users have on their disks.
"""

import base64
import json
from pathlib import Path

import pytest

from mbexport.bundles.registry import Bundling, is_bundled
from mbexport.cli import run
from mbexport.errors import OutputError
from mbexport.golden.vectors import golden_from_bytes
from mbexport.pipeline.publish import Delivery, publish
from mbexport.pipeline.rebundle import bundle_again
from mbexport.provenance.check import check
from mbexport.provenance.read_manifest import read_manifest
from mbexport.workdir import Workdir

FINISHED = Path(__file__).with_name("finished_by_0_1_0.json")
REMADE = ("manifest.json", "provenance.intoto.json")


@pytest.fixture
def folder(tmp_path) -> Path:
    held = json.loads(FINISHED.read_text("utf-8"))
    files = {name: "".join(lines).encode() for name, lines in held["text"].items()}
    files |= {name: base64.b64decode(text) for name, text in held["base64"].items()}
    for name, content in files.items():
        (tmp_path / "net" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "net" / name).write_bytes(content)
    return tmp_path / "net"


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and ".mbexport" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_it_is_sound(folder, capfd):
    assert check(folder, None) == ()
    assert run(["bundle", "--check", str(folder)]) == 0
    assert capfd.readouterr().out == "SOUND: every byte is as listed\n"


def test_what_was_altered_since_is_told(folder):
    (folder / "net_int8.tflite").write_bytes(b"TFL3 altered")
    assert {(each.status.value, each.name) for each in check(folder, None)} == {("altered", "net_int8.tflite")}


def test_its_manifest_and_golden_vectors_are_written_as_they_were(folder):
    for name, read in (("manifest.json", read_manifest), ("golden/golden.json", golden_of)):
        assert read(folder / name).to_bytes() == (folder / name).read_bytes()
    manifest = read_manifest(folder / "manifest.json")
    assert manifest.tool.versions["mbexport"] == "0.1.0"
    assert (manifest.recipe.options["alpha"], manifest.recipe.inputs) == (0.75, ("data",))


def golden_of(file: Path):
    return golden_from_bytes(file.read_bytes())


def test_its_bundles_are_made_again_and_nothing_else(folder):
    before = content(folder)
    bundle_again(folder, Bundling(version="1.2.0", is_zipped=True))
    after = content(folder)
    kept = {name for name in before if not is_bundled(name)} - set(REMADE)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert run(["bundle", "--check", str(folder)]) == 0
    changed = {"bundle-version": "1.2.0", "zip": True}
    options = json.loads(before["manifest.json"])["options"]
    since = {"android-runtime": None}  # an option that it did not have
    assert json.loads(after["manifest.json"])["options"] == {**options, **changed, **since}


def test_a_run_takes_the_place_of_a_sound_folder_of_it(folder):
    """Its list of delivered files has no hashes and no seal: the manifest says what is as the run left it."""
    (folder / ".mbexport").mkdir(exist_ok=True)
    (folder / ".mbexport" / "published.json").write_text(json.dumps(sorted(content(folder))))
    with Workdir.open(folder) as workdir:
        publish(workdir, Delivery(made={"net.onnx": b"new"}))
    assert content(folder) == {"net.onnx": b"new"}


def test_what_was_altered_since_is_not_replaced(folder):
    (folder / "labels.txt").write_bytes(b"the user's own")
    before = content(folder)
    with Workdir.open(folder) as workdir, pytest.raises(OutputError, match=r"labels\.txt is not as a run"):
        publish(workdir, Delivery(made={"net.onnx": b"new"}))
    assert content(folder) == before
