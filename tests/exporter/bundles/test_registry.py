"""The table of bundles: another row is all that another bundle needs."""

from dataclasses import replace

import pytest
from contexts import context, record
from detector_photos import DETECTOR, golden_of_photos, model
from golden_by_hand import LABELS, golden_files_of

from mbexport.artifact import Precision, labels_file
from mbexport.bundles import registry
from mbexport.bundles.make import bundle_files
from mbexport.bundles.registry import PLATFORMS, Bundling, Platform, PlatformOption, is_bundled, platform_names
from mbexport.cli import run
from mbexport.errors import DataError, OptionError
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.task import Task
from mbexport.pipeline.deliver import delivery_of
from mbexport.pipeline.plan import BuildPlan, Trained
from mbexport.pipeline.publish import publish
from mbexport.pipeline.rebundle import bundle_again
from mbexport.provenance.manifest import Recipe
from mbexport.provenance.read_manifest import read_manifest
from mbexport.workdir import Workdir

PLATFORM_NAMES = platform_names()  # without the rows that tests add
STEM = "net"
TFLITE, ONNX = f"{STEM}_int8.tflite", f"{STEM}_int8.onnx"


def require_lower(value: str) -> None:
    if not value.islower():
        raise OptionError(f"--kiosk-title must be in lower case, got {value!r}")


def kiosk_files(app, options):
    return {app.artifact.file: app.model, "index.html": f"<h1>{options.get('kiosk-title', app.name)}</h1>".encode()}


KIOSK = Platform(
    name="kiosk",
    title="Kiosk",
    summary="`kiosk/` holds a page.",
    model_format="tflite",
    files=kiosk_files,
    options=(PlatformOption(name="kiosk-title", metavar="NAME", help="Its title.", check=require_lower),),
)


def made_of(*models: str) -> dict[str, bytes]:
    contents = dict.fromkeys(models, b"TFL3 by hand")
    return {**contents, **golden_files_of(STEM, contents, px=32), "labels.txt": labels_file(LABELS)}


@pytest.fixture
def with_row(monkeypatch):
    def add(row: Platform) -> None:
        monkeypatch.setattr(registry, "PLATFORMS", (*PLATFORMS, row))

    return add


def test_each_row_says_what_lies_in_its_folder():
    assert len({each.name for each in PLATFORMS}) == len(PLATFORMS)
    for each in PLATFORMS:
        assert each.summary.startswith(f"`{each.name}/` holds ")


def test_files_of_bundles_are_known_by_their_names():
    bundled = (
        "android/README.md",
        "ios/Sources/A/B.swift",
        "web/src/a.js",
        *(f"{STEM}-{each}.zip" for each in PLATFORM_NAMES),
    )
    others = (
        "android",
        "golden/golden.json",
        "net.zip",
        "my/android/README.md",
        "kiosk/index.html",
        f"{STEM}-kiosk.zip",
    )
    assert [is_bundled(name) for name in (*bundled, *others)] == [True] * len(bundled) + [False] * len(others)


def test_a_row_is_a_bundle_with_a_zip(with_row):
    with_row(KIOSK)
    bundles = bundle_files(made_of(TFLITE), LABELS, Bundling(is_zipped=True))
    assert {name.split("/")[0] for name in bundles if "/" in name} == {*PLATFORM_NAMES, "kiosk"}
    assert bundles["kiosk/index.html"] == b"<h1>net</h1>"
    assert f"{STEM}-kiosk.zip" in bundles
    assert all(map(is_bundled, bundles))
    assert set(bundle_files(made_of(TFLITE), LABELS, Bundling(platforms=("kiosk",)))) == {
        "kiosk/index.html",
        f"kiosk/{TFLITE}",
    }


def test_a_row_s_own_option_is_checked(with_row):
    with_row(KIOSK)
    bundling = Bundling(platforms=("kiosk",), options={"kiosk-title": "flowers"})
    assert bundle_files(made_of(TFLITE), LABELS, bundling)["kiosk/index.html"] == b"<h1>flowers</h1>"
    with pytest.raises(OptionError, match="--kiosk-title must be in lower case, got 'Flowers'"):
        Bundling(options={"kiosk-title": "Flowers"})


@pytest.mark.parametrize(("models", "folders"), [((TFLITE,), set()), ((TFLITE, ONNX), {"kiosk"})])
def test_a_bundle_without_its_format_is_left_out_unless_it_is_required(with_row, models, folders):
    with_row(replace(KIOSK, model_format="onnx"))
    bundles = bundle_files(made_of(*models), LABELS, Bundling())
    assert {name.split("/")[0] for name in bundles} == {*PLATFORM_NAMES} | folders
    if "kiosk" not in folders:
        with pytest.raises(DataError, match=r"needs a \.onnx that takes one image at a time, got net_int8\.tflite"):
            bundle_files(made_of(*models), LABELS, Bundling(platforms=("ios", "kiosk"), is_required=True))


def test_a_row_has_nothing_for_a_task_that_it_does_not_name(with_row):
    with_row(KIOSK)
    files = {**golden_of_photos(), DETECTOR: model(), "labels.txt": labels_file(LABELS)}
    bundling = Bundling(platforms=("android", "kiosk"))
    assert [each.name for each in bundling.possible(["tflite"], Task.DETECT)] == ["android"]
    assert {name.split("/")[0] for name in bundle_files(files, LABELS, bundling)} == {"android"}
    with pytest.raises(DataError, match="the bundle kiosk is for --task classify, got --task detect"):
        bundle_files(files, LABELS, replace(bundling, is_required=True))


def test_a_plan_refuses_a_required_bundle_that_its_formats_cannot_make(with_row):
    with_row(replace(KIOSK, model_format="onnx"))
    given = {"name": STEM, "origin": Trained(spec=ModelSpec(), epochs=1), "out": None, "formats": ("tflite",)}
    assert BuildPlan(**given).bundled == PLATFORMS
    with pytest.raises(
        OptionError, match=r"a bundle needs a \.onnx that takes one image at a time, got --format tflite"
    ):
        BuildPlan(**given, bundling=Bundling(platforms=("ios", "kiosk"), is_required=True))


def test_a_row_is_delivered_recorded_and_checked(with_row, tmp_path):
    """What a run delivers with another row is sound, and can be made again with other options."""
    with_row(KIOSK)
    made = {name: each for name, each in made_of(TFLITE).items() if name != "labels.txt"}
    for name, each in made.items():
        (tmp_path / "stages" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "stages" / name).write_bytes(each)
    golden = [name for name in made if name.startswith("golden/")]
    records = {"tflite-int8": record(tmp_path / "stages", TFLITE), "golden": record(tmp_path / "stages", *golden)}
    plan = BuildPlan(
        name=STEM,
        origin=Trained(spec=ModelSpec(classes=3), epochs=1),
        out=tmp_path / "out",
        precisions=(Precision.INT8,),
        formats=("tflite",),
        recipe=Recipe(command="build", options={}),
    )
    with Workdir.open(plan.out) as workdir:
        publish(workdir, delivery_of(context(plan, class_names=LABELS, records=records), None))
    assert run(["bundle", "--check", str(plan.out)]) == 0
    bundling = Bundling(platforms=("kiosk",), is_required=True, options={"kiosk-title": "flowers"}, is_zipped=True)
    bundles = bundle_again(plan.out, bundling)
    assert set(bundles) == {"kiosk/index.html", f"kiosk/{TFLITE}", f"{STEM}-kiosk.zip"}
    assert not (plan.out / "ios").exists()
    recorded = read_manifest(plan.out / "manifest.json").recipe.options
    assert (recorded["platform"], recorded["kiosk-title"]) == (["kiosk"], "flowers")
    assert run(["bundle", "--check", str(plan.out)]) == 0
    (plan.out / "kiosk" / TFLITE).write_bytes(b"another")
    assert run(["bundle", "--check", str(plan.out)]) == 1
