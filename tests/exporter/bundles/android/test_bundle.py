"""The Android bundle is a Maven repository, an AAR and files to copy, and its bytes repeat."""

import hashlib
import io
import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace

import pytest
from golden_by_hand import LABELS, MODEL, app_model_by_hand

from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.android.maven import Coordinates, artifact_id
from mbexport.bundles.android.runtimes import LITERT_1, require_runtime
from mbexport.errors import DataError, OptionError
from mbexport.golden.vectors import golden_from_bytes

PACKAGE = "com.acme.flowers"
AT = "maven/com/acme/flowers/mobilenet_v1_0.25_32"
POM = "{http://maven.apache.org/POM/4.0.0}"


@pytest.fixture(scope="module")
def app():
    return replace(app_model_by_hand(), version="1.2.3")


@pytest.fixture(scope="module")
def files(app):
    return android_files(app, package=PACKAGE)


@pytest.fixture(scope="module")
def aar(files):
    with zipfile.ZipFile(io.BytesIO(files[f"{AT}/1.2.3/mobilenet_v1_0.25_32-1.2.3.aar"])) as archive:
        yield archive


def test_the_folder_holds_what_the_readme_says(files):
    names = {name for name in files if not re.search(r"\.(md5|sha\d+)$|/java/", name)}
    assets = f"assets/{PACKAGE}"
    assert names == {
        "README.md",
        "Usage.kt",
        f"{AT}/maven-metadata.xml",
        *(f"{AT}/1.2.3/mobilenet_v1_0.25_32-1.2.3{suffix}" for suffix in (".aar", ".pom", "-sources.jar")),
        *(f"{assets}/{name}" for name in (MODEL, "labels.txt", "settings.properties", "golden/golden.json")),
        *(f"{assets}/golden/case_0/{name}" for name in ("raw.rgb", "resized.rgb", f"{MODEL}.out")),
    }
    java = {name.rpartition("/")[::2] for name in files if name.endswith(".java")}
    assert {folder for folder, _ in java} == {f"src/{part}/java/com/acme/flowers" for part in ("main", "test")}
    assert {"Classifier.java", "Preprocess.java", "SelfTest.java", "GoldenTest.java"} <= {name for _, name in java}


def test_the_bytes_repeat(app, files):
    assert android_files(app, package=PACKAGE) == files


def test_every_file_of_the_repository_has_its_checksums(files):
    sums = (".md5", ".sha1", ".sha256", ".sha512")
    plain = [name for name in files if name.startswith("maven/") and not name.endswith(sums)]
    assert len(plain) == 4
    for name in plain:
        for kind in sums:
            assert files[name + kind].decode() == hashlib.new(kind[1:], files[name]).hexdigest()


def test_the_pom_asks_for_litert_as_an_aar(files):
    pom = ET.fromstring(files[f"{AT}/1.2.3/mobilenet_v1_0.25_32-1.2.3.pom"])
    told = {each.tag.removeprefix(POM): each.text for each in pom}
    assert [told[name] for name in ("groupId", "artifactId", "version", "packaging")] == [
        PACKAGE,
        "mobilenet_v1_0.25_32",
        "1.2.3",
        "aar",
    ]
    assert pom.findtext(f".//{POM}license/{POM}name") == "Apache-2.0"
    litert = [[field.text for field in each] for each in pom.iter(f"{POM}dependency")]
    assert litert == [
        ["com.google.ai.edge.litert", name, "2.3.0", "aar", "runtime"] for name in ("litert", "litert-gpu")
    ]


def test_litert_1_stays_an_option(app):
    files = android_files(app, package=PACKAGE, runtime=LITERT_1)
    pom = ET.fromstring(files[f"{AT}/1.2.3/mobilenet_v1_0.25_32-1.2.3.pom"])
    litert = [[field.text for field in each][1:3] for each in pom.iter(f"{POM}dependency")]
    assert litert == [["litert", "1.4.1"], ["litert-api", "1.4.1"]]
    with zipfile.ZipFile(io.BytesIO(files[f"{AT}/1.2.3/mobilenet_v1_0.25_32-1.2.3.aar"])) as archive:
        assert b'android:minSdkVersion="21"' in archive.read("AndroidManifest.xml")
    java = b"".join(content for name, content in files.items() if name.endswith(".java"))
    assert b"org.tensorflow.lite.Interpreter" in java
    assert b"com.google.ai.edge" not in java
    assert b"npu." not in files[f"assets/{PACKAGE}/settings.properties"]
    readme = files["README.md"].decode()
    assert 'implementation("com.google.ai.edge.litert:litert-api:1.4.1")' in readme
    assert "ccelerator" not in readme


def test_a_runtime_that_is_none_is_refused():
    with pytest.raises(OptionError, match=r"^--android-runtime must be litert2 or litert1, got 'litert3'$"):
        require_runtime("litert3")


def test_names_of_models_may_hold_anything(app):
    golden = replace(app.golden, licence=None)
    files = android_files(replace(app, name="R&D <flowers> 2", golden=golden), package=PACKAGE)
    (pom,) = (ET.fromstring(content) for name, content in files.items() if name.endswith(".pom"))
    assert pom.findtext(f"{POM}artifactId") == "R-D-flowers-2"
    assert pom.find(f"{POM}licenses") is None
    assert artifact_id("...") == "model"


def test_coordinates_are_paths():
    at = Coordinates(group="com.acme.x", artifact="net", version="1.0")
    assert (str(at), at.path(".aar")) == ("com.acme.x:net:1.0", "com/acme/x/net/1.0/net-1.0.aar")


def test_the_aar_has_what_an_app_takes_from_it(aar, files):
    assert {name for name in aar.namelist() if "/" not in name} == {
        "AndroidManifest.xml",
        "R.txt",
        "classes.jar",
        "proguard.txt",
    }
    assert {name for name in aar.namelist() if name.startswith("assets/")} == {
        name for name in files if name.startswith("assets/")
    }
    manifest = ET.fromstring(aar.read("AndroidManifest.xml"))
    assert manifest.get("package") == PACKAGE
    android = "{http://schemas.android.com/apk/res/android}"
    assert [each.get(f"{android}minSdkVersion") for each in manifest] == ["24"]
    rules = aar.read("proguard.txt").decode().splitlines()
    assert f"-keep public class {PACKAGE}.* {{ public *; }}" in rules
    assert "-keep class com.google.ai.edge.litert.** { *; }" in rules  # native code finds LiteRtException by its name
    with zipfile.ZipFile(io.BytesIO(aar.read("classes.jar"))) as jar:
        assert "com/acme/flowers/Classifier$Options.class" in jar.namelist()
        assert all(name.startswith("com/acme/flowers/") for name in jar.namelist())


def test_the_model_can_be_mapped_into_memory(aar):
    entry = aar.getinfo(f"assets/{PACKAGE}/{MODEL}")
    assert entry.compress_type == zipfile.ZIP_STORED
    assert aar.read(entry.filename) == b"TFL3 by hand"


def test_the_vectors_are_of_the_one_artifact(app):
    other = replace(app.artifact, file="other.onnx")
    case = app.golden.cases[0]
    told = {**case.expected, "other.onnx": replace(case.expected[MODEL], output="case_0/other.onnx.out")}
    golden = replace(app.golden, artifacts=(other, app.artifact), cases=(replace(case, expected=told),))
    vectors = {**app.golden_files, "case_0/other.onnx.out": b"other"}
    files = android_files(replace(app, golden=golden, golden_files=vectors), package=PACKAGE)
    assert golden_from_bytes(files[f"assets/{PACKAGE}/golden/golden.json"]) == app.golden
    assert not [name for name in files if "onnx" in name]


def test_labels_are_a_line_each(app):
    files = android_files(replace(app, labels=("a\nb", "é", " c ")), package=PACKAGE)
    assert files[f"assets/{PACKAGE}/labels.txt"].decode() == "a b\né\n c \n"


def test_the_readme_says_what_a_developer_needs(files):
    readme = files["README.md"].decode()
    for words in (
        f'implementation("{PACKAGE}:mobilenet_v1_0.25_32:1.2.3")',
        'implementation("com.google.ai.edge.litert:litert-gpu:2.3.0")',
        "--npu qualcomm:SM8650",
        "-keep class com.google.ai.edge.litert.** { *; }",
        f"{AT}/1.2.3/mobilenet_v1_0.25_32-1.2.3.aar",
        "may differ by 8 codes",
        "were 2\napart",
        LABELS[0],
    ):
        assert words in readme
    assert max(map(len, readme.splitlines())) < 180


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ({"dtype": "int16"}, {}, "needs uint8, int8 or float32 tensors .*, got int16"),
        ({}, {"dtype": "int16"}, "needs uint8, int8 or float32 tensors .*, got uint8 .nhwc. and int16"),
        ({"layout": "nchw"}, {}, "channels last, got uint8 .nchw."),
        ({}, {"scale": None}, "must have a scale for its uint8 codes, got none"),
    ],
)
def test_models_that_the_wrapper_does_not_know_are_refused(app, source, target, message):
    artifact = replace(
        app.artifact,
        input=replace(app.artifact.input, **source),
        output=replace(app.artifact.output, **target),
    )
    with pytest.raises(DataError, match=message):
        android_files(replace(app, artifact=artifact), package=PACKAGE)


def test_a_package_that_is_none_is_refused(app):
    with pytest.raises(OptionError, match="--android-package must be"):
        android_files(app, package="flowers")
