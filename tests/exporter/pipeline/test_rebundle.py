"""`mbexport bundle`: other bundles of a finished folder, and nothing else in it changed."""

import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from contexts import context, record
from golden_by_hand import LABELS, MODEL, golden_files_of
from manifest_by_hand import manifest_by_hand

from mbexport.artifact import Precision, labels_file
from mbexport.bundles.registry import PLATFORMS, Bundling, is_bundled, platform_names
from mbexport.cli import run
from mbexport.errors import DataError
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.deliver import delivery_of
from mbexport.pipeline.plan import BuildPlan, Trained
from mbexport.pipeline.publish import Delivery, publish
from mbexport.pipeline.rebundle import bundle_again
from mbexport.provenance.manifest import Recipe
from mbexport.provenance.read_manifest import read_manifest
from mbexport.workdir import Workdir

STEM = MODEL.removesuffix("_int8.tflite")
RECIPE = Recipe(command="build", options={"alpha": 0.25, "platform": [], "zip": False})
MODELS = {MODEL: b"TFL3 by hand"}
MADE = {**MODELS, **golden_files_of(STEM, MODELS, px=32)}


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".mbexport" not in path.parts
    }


def delivery(stages: Path, made: Mapping[str, bytes], recipe: Recipe | None = None) -> Delivery:
    """What the user gets where the stages left the files `made` in the folder `stages`."""
    for name, each in made.items():
        (stages / name).parent.mkdir(parents=True, exist_ok=True)
        (stages / name).write_bytes(each)
    plan = BuildPlan(
        name=STEM,
        origin=Trained(spec=ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=3), epochs=1),
        out=stages,
        precisions=(Precision.INT8,),
        formats=("tflite",),
        bundling=Bundling(is_zipped=True),
        recipe=recipe,
    )
    golden = [name for name in made if name not in MODELS]
    records = {"tflite-int8": record(stages, *MODELS)} | ({"golden": record(stages, *golden)} if golden else {})
    return delivery_of(context(plan, class_names=LABELS, records=records), None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """What a run left, with both bundles."""
    place = tmp_path_factory.mktemp("run")
    with Workdir.open(place / "out") as workdir:
        publish(workdir, delivery(place / "stages", MADE, RECIPE))
    return place / "out"


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A copy of it, which a test may change."""
    return shutil.copytree(finished, tmp_path / "out")


def test_nothing_but_bundles_manifest_and_statement_changes(folder):
    before = content(folder)
    names = bundle_again(folder, Bundling(options={"android-package": "com.example.trees"}))
    after = content(folder)
    assert {name for name in after if is_bundled(name)} == set(names)
    assert not any("mbexport/" in name for name in names if name.startswith("android/maven"))
    aside = {"manifest.json", "provenance.intoto.json"}
    for name in set(before) - aside:
        assert is_bundled(name) or after[name] == before[name], name
    assert set(read_manifest(folder / "manifest.json").files) == set(after) - {"manifest.json"}


def test_the_manifest_says_what_would_make_the_same_again(folder):
    bundle_again(folder, Bundling(platforms=("ios",), is_required=True, is_zipped=True))
    recorded = read_manifest(folder / "manifest.json").recipe.options
    assert (recorded["platform"], recorded["zip"], recorded["alpha"]) == (["ios"], True, 0.25)
    assert not (folder / "android").exists()


def test_what_was_asked_for_before_can_be_asked_for_again(folder):
    bundle_again(folder, Bundling())
    before = content(folder)
    bundle_again(folder, Bundling(platforms=("ios",), is_required=True))
    assert content(folder) != before
    bundle_again(folder, Bundling())
    assert content(folder) == before


def test_another_folder_gets_everything_and_the_first_stays_as_it_was(folder, tmp_path):
    before = content(folder)
    bundle_again(folder, Bundling(name="trees", is_zipped=True), out=tmp_path / "other")
    assert content(folder) == before
    after = content(tmp_path / "other")
    assert {name for name in before if not is_bundled(name)} <= set(after)
    assert set(read_manifest(tmp_path / "other" / "manifest.json").files) == set(after) - {"manifest.json"}


def test_whoever_is_killed_in_between_makes_the_bundles_again(folder, monkeypatch):
    bundling = Bundling(options={"android-package": "com.example.trees"})
    write, left = Workdir.write, [20]

    def dying(workdir: Workdir, name: str, each: bytes) -> Path:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return write(workdir, name, each)

    monkeypatch.setattr(Workdir, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        bundle_again(folder, bundling)
    monkeypatch.undo()
    assert run(["bundle", "--check", str(folder)]) == 1
    bundle_again(folder, bundling)
    assert run(["bundle", "--check", str(folder)]) == 0


def test_the_folder_itself_may_be_named_as_the_other_one(folder):
    names = bundle_again(
        folder, Bundling(options={"android-package": "com.example.trees"}), out=folder / ".." / folder.name
    )
    assert {name for name in content(folder) if is_bundled(name)} == set(names)


def test_a_zip_holds_its_bundle_and_its_bytes_repeat(folder):
    bundle_again(folder, Bundling(is_zipped=True))
    first = content(folder)
    for platform in PLATFORMS:
        with zipfile.ZipFile(io.BytesIO(first[f"{STEM}-{platform.name}.zip"])) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        assert held == {name: each for name, each in first.items() if name.startswith(f"{platform.name}/")}
    bundle_again(folder, Bundling(is_zipped=True))
    assert content(folder) == first


def test_a_folder_that_was_moved_keeps_no_file_of_the_old_bundle(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "moved", ignore=shutil.ignore_patterns(".mbexport"))
    names = bundle_again(tmp_path / "moved", Bundling(options={"android-package": "com.example.trees"}))
    assert {name for name in content(tmp_path / "moved") if is_bundled(name)} == set(names)


@pytest.mark.parametrize(
    ("name", "said"), [(MODEL, "as the run left it"), ("golden/golden.json", "as the run left it")]
)
def test_what_was_altered_is_not_shipped(folder, name, said):
    (folder / name).write_bytes(b"altered")
    before = content(folder)
    with pytest.raises(DataError, match=said):
        bundle_again(folder, Bundling())
    assert content(folder) == before


def test_what_is_missing_is_named(folder):
    (folder / MODEL).unlink()
    with pytest.raises(DataError, match=rf"{MODEL} cannot be read: No such file"):
        bundle_again(folder, Bundling())


def test_a_folder_of_an_earlier_version_has_no_golden_vectors(tmp_path):
    made = {**MODELS, "labels.txt": labels_file(LABELS)}
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, Delivery(made=made, manifest=manifest_by_hand(recipe=RECIPE, inputs={}, files={})))
    with pytest.raises(DataError, match=r"needs the golden vectors of the run, got no golden/golden\.json"):
        bundle_again(tmp_path / "out", Bundling())


def test_answers_that_are_no_numbers_make_no_bundle_and_no_failure(tmp_path):
    """There are no golden vectors then; gates tell why."""
    assert set(delivery(tmp_path, MODELS).made) == {MODEL, "labels.txt"}


def test_a_signature_is_of_the_new_manifest_and_goes_when_nobody_signs(folder):
    bundle_again(folder, Bundling(), sign=lambda manifest: b"signed " + manifest[:1])
    assert (folder / "manifest.json.sig").read_bytes() == b"signed {"
    bundle_again(folder, Bundling())
    assert not (folder / "manifest.json.sig").exists()


BAD = [
    (["--check", "--zip"], "--check makes no bundles; drop --zip"),
    (["--check", "--out", "other"], "--check makes no bundles; drop --out"),
    (["--json"], "--json goes with --check; give --check"),
    (["--key", "public.pem"], "--key goes with --check; give --check"),
    (["--android-package", "flowers"], "package must"),
    (["--platform", "windows"], f"'windows' is not one of {', '.join(map(repr, platform_names()))}"),
    (["--sign", "nothing.pem"], "nothing.pem"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_options_are_one_line_and_change_nothing(folder, capfd, words, said):
    before = content(folder)
    assert run(["bundle", str(folder), *words]) == 2
    out, errors = capfd.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert said in errors
    assert content(folder) == before


def test_command_makes_and_checks(folder, capfd):
    assert run(["bundle", str(folder), "--android-package", "com.example.trees"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*(f"{each}/" for each in platform_names()), "files:"]
    assert run(["bundle", "--check", str(folder)]) == 0
    (folder / "notes.txt").write_bytes(b"extra")
    capfd.readouterr()
    assert run(["bundle", "--check", str(folder), "--json"]) == 1
    told = json.loads(capfd.readouterr().out)
    assert (told["sound"], [each["file"] for each in told["findings"]]) == (False, ["notes.txt"])
