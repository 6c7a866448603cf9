"""What was compiled for chips becomes an AI pack: the tree that LiteRT's own exporter writes, and the app's readme."""

import hashlib
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from ai_edge_litert.aot.ai_pack import export_lib
from ai_edge_litert.aot.core import aot_types
from ai_edge_litert.aot.vendors.fallback_backend import FallbackBackend
from ai_edge_litert.aot.vendors.qualcomm import target
from ai_edge_litert.aot.vendors.qualcomm.qualcomm_backend import QualcommBackend
from golden_by_hand import app_model_by_hand
from hypothesis import given
from hypothesis import strategies as st

from mbexport.bundles.android.ai_pack import TARGETING, ai_pack_files, asset_of_npu
from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.android.runtimes import LITERT_1
from mbexport.bundles.make import bundle_files
from mbexport.bundles.registry import Bundling
from mbexport.formats.npu.chips import CHIPS, compiled_name

PACKAGE = "com.acme.flowers"
PACK = "com_acme_flowers"
CONFIG = "{http://schemas.android.com/apk/config}"
COMPILED = {chip: f"compiled for {chip}".encode() for chip in CHIPS}


def app_model(chips=CHIPS):
    return replace(app_model_by_hand(), compiled={chip: COMPILED[chip] for chip in chips})


def exported(app, folder):
    """The files that LiteRT's exporter writes of the same model, by their paths in its folder."""
    result = aot_types.CompilationResult()
    fallback = FallbackBackend.create({"backend_id": "fallback"})
    result.models_with_backend.append((fallback, aot_types.Model.create_from_bytes(app.model)))
    for chip, content in app.compiled.items():
        goal = target.Target(target.SocModel(chip.name))
        backend = QualcommBackend.create(goal.flatten())
        result.models_with_backend.append((backend, aot_types.Model.create_from_bytes(content)))
    export_lib.export(result, folder, PACK, PACK)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def plain(xml):
    return ET.canonicalize(xml.decode(), strip_text=True)


@given(st.sets(st.sampled_from(CHIPS), min_size=1))
def test_the_tree_is_that_of_litert(tmp_path_factory, chips):
    """For any chips: the same files, the same bytes, and the same device groups."""
    app = app_model([chip for chip in CHIPS if chip in chips])
    theirs = exported(app, tmp_path_factory.mktemp("exported"))
    ours = {name.removeprefix("ai_packs/"): each for name, each in ai_pack_files(app, package=PACKAGE).items()}
    assert ours.pop(f"{PACK}/build.gradle.kts")  # which LiteRT leaves to its readers
    assert plain(ours.pop(TARGETING)) == plain(theirs.pop(TARGETING))
    assert ours == theirs
    assert len(ours) == len(chips) + 1


def test_a_device_gets_the_file_of_its_chip_and_all_others_that_of_the_cpu():
    files = ai_pack_files(app_model(CHIPS[3:4]), package=PACKAGE)
    assets = f"ai_packs/{PACK}/src/main/assets"
    assert files[f"{assets}/model#group_Qualcomm_SM8650/{PACK}.tflite"] == COMPILED[CHIPS[3]]
    assert files[f"{assets}/model#group_other/{PACK}.tflite"] == b"TFL3 by hand"
    groups = {
        group.get("name"): [tuple(chip.attrib.values()) for chip in group.iter(f"{CONFIG}system-on-chip")]
        for group in ET.fromstring(files[f"ai_packs/{TARGETING}"])
    }
    assert groups == {"Qualcomm_SM8650": [("Qualcomm", "SM8650"), ("QTI", "SM8650")]}
    gradle = files[f"ai_packs/{PACK}/build.gradle.kts"].decode()
    assert f'packName = "{PACK}"' in gradle
    assert re.search(r'id\("com\.android\.ai-pack"\)', gradle)
    assert asset_of_npu(PACKAGE) == f"model/{PACK}.tflite"  # the folder without what tells groups apart


def test_the_wrapper_is_told_the_hashes():
    files = android_files(app_model(CHIPS[2:4]), package=PACKAGE)
    told = dict(line.split("=", 1) for line in files[f"assets/{PACKAGE}/settings.properties"].decode().splitlines())
    assert told["npu.file"] == f"model/{PACK}.tflite"
    assert told["npu.chips"] == "2"
    for place, chip in enumerate(CHIPS[2:4]):
        assert told[f"npu.{place}.chip"] == chip.name
        assert told[f"npu.{place}.sha256"] == hashlib.sha256(COMPILED[chip]).hexdigest()
    assert told["model.sha256"] == hashlib.sha256(b"TFL3 by hand").hexdigest()


@pytest.mark.parametrize("runtime", [{}, {"runtime": LITERT_1}])
def test_there_is_none_where_nothing_could_load_it(runtime):
    """Without compiled files, and for LiteRT 1, whose interpreter knows no compiled op."""
    app = app_model(CHIPS if runtime else ())
    files = android_files(app, package=PACKAGE, **runtime)
    assert not [name for name in files if name.startswith("ai_packs/")]
    assert ("(`npu/` of the output folder) is not in this bundle" in files["README.md"].decode()) is bool(runtime)


def test_the_readme_has_the_steps():
    readme = android_files(app_model(), package=PACKAGE)["README.md"].decode()
    for words in (
        f'include(":ai_packs:{PACK}")',
        f'assetPacks += ":ai_packs:{PACK}"',
        'deviceTargetingConfig = file("../ai_packs/device_targeting_configuration.xml")',
        'include(":litert_npu_runtime_libraries:qualcomm_runtime_v75")',
        "| Snapdragon 8 Gen 3 | `Qualcomm_SM8650` | `qualcomm_runtime_v75` |",
        "| Snapdragon 888 | `Qualcomm_SM8350` | none: bring Qualcomm's libraries yourself |",
        f"`model/{PACK}.tflite`",
        "differ by 24",
    ):
        assert words in readme
    assert max(map(len, readme.splitlines())) < 180


def finished(*chips, precision="int8"):
    """The files of a run that compiled its int8 file for these chips."""
    app = app_model_by_hand()
    golden = app.golden
    artifact = replace(app.artifact, precision=precision)
    index = replace(golden, artifacts=(artifact,)).to_bytes()
    vectors = {f"golden/{name}": each for name, each in app.golden_files.items()}
    compiled = {compiled_name(golden.stem, chip, "tflite"): COMPILED[chip] for chip in chips}
    return {**compiled, **vectors, "golden/golden.json": index, artifact.file: app.model}


ANDROID = Bundling(platforms=("android",), is_required=True)


def test_a_run_that_compiled_gets_the_pack_and_a_zip_of_it():
    made = finished(*CHIPS[2:4])
    bundles = bundle_files(made, app_model_by_hand().labels, replace(ANDROID, is_zipped=True))
    models = [name.rpartition("/")[0] for name in bundles if name.startswith("android/ai_packs/") and "#" in name]
    assert [name.rpartition("#")[2] for name in models] == [
        "group_Qualcomm_SM8550",
        "group_Qualcomm_SM8650",
        "group_other",
    ]
    assert b"model#group_Qualcomm_SM8650" in bundles["mobilenet_v1_0.25_32-android.zip"]


def test_of_a_float_file_nothing_was_compiled():
    made = finished(CHIPS[3], precision="fp32")
    bundles = bundle_files(made, app_model_by_hand().labels, ANDROID)
    assert not [name for name in bundles if "ai_packs" in name]


def test_the_options_name_the_runtime():
    bundling = replace(ANDROID, options={"android-runtime": "litert1"})
    bundles = bundle_files(finished(CHIPS[3]), app_model_by_hand().labels, bundling)
    assert not [name for name in bundles if "ai_packs" in name]
    assert b"1.4.1" in next(content for name, content in bundles.items() if name.endswith(".pom"))
