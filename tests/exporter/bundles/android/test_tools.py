"""The programs of an Android developer take the bundle: aapt, aapt2, unzip, kotlinc, JUnit, ProGuard and Gradle."""

import io
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from accelerated_phone import AcceleratedPhone
from detector_photos import detector_model
from golden_images import app_model_of_images
from java_programs import Phone, classes_of_app, doubles, needs_java, written
from wrapper_classes import STUBS, compiled, is_javac_17

from mbexport import __version__
from mbexport.bundles.android import wrapper
from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.android.maven import Coordinates, repository
from mbexport.bundles.android.runtimes import DEFAULT, LITERT_1, LITERT_2, LITERT_GROUP, RUNTIMES
from mbexport.models.task import Task

PACKAGE = "com.acme.flowers"
APPS = {Task.CLASSIFY: app_model_of_images, Task.DETECT: detector_model}
PROGRAMS = {Task.CLASSIFY: "Phone", Task.DETECT: "DetectorPhone"}
PHONES = {LITERT_1: Phone, LITERT_2: AcceleratedPhone}
_CHOSEN = ("accelerator", "refusal", "log", "left open")
TOLD = {
    (LITERT_1, Task.CLASSIFY): ("all", "closed", "thread", "top 3"),
    (LITERT_1, Task.DETECT): ("all", "certain", "error", "text", "thread"),
    (LITERT_2, Task.CLASSIFY): (*_CHOSEN, "closed", "open", "top 3"),
    (LITERT_2, Task.DETECT): (*_CHOSEN, "found"),
}
CALLED = {Task.CLASSIFY: "Recognizer", Task.DETECT: "Finder"}  # the classes in Usage.kt
# Debian: android-framework-res, junit4 and libhamcrest-java.
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
JUNIT = (Path("/usr/share/java/junit4.jar"), Path("/usr/share/java/hamcrest.jar"))
KOTLIN = Path("/usr/share/java/kotlin-stdlib.jar")  # Debian: kotlin


def needs(*programs, files=()):
    """Skips a test where a program or a file is missing."""
    missing = [each for each in programs if not shutil.which(each)] + [str(each) for each in files if not each.exists()]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def run(*command, **options):
    """What a program says; it has to end well."""
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def bundle(tmp_path):
    """The bundle as it lies on a disk."""
    return written(android_files(app_model_of_images(), package=PACKAGE), tmp_path / "android")


def aar_of(bundle):
    (aar,) = bundle.rglob("*.aar")
    return aar


@needs("unzip")
def test_unzip_finds_no_fault(bundle):
    assert "No errors detected" in run("unzip", "-t", aar_of(bundle))


@needs("aapt")
def test_aapt_lists_the_aar(bundle):
    listed = set(run("aapt", "list", aar_of(bundle)).splitlines())
    assert {"AndroidManifest.xml", "classes.jar", "R.txt", f"assets/{PACKAGE}/labels.txt"} <= listed


@needs("aapt", "aapt2", files=[FRAMEWORK])
def test_aapt2_links_an_app_with_its_manifest_and_assets(bundle, tmp_path):
    folder, apk = tmp_path / "aar", tmp_path / "app.apk"
    with zipfile.ZipFile(aar_of(bundle)) as archive:
        archive.extractall(folder)
    manifest = ["--manifest", folder / "AndroidManifest.xml", "-A", folder / "assets"]
    run("aapt2", "link", "-o", apk, *manifest, "-I", FRAMEWORK, "--no-compress-regex", r"\.tflite$")
    told = run("aapt", "dump", "badging", apk)
    assert f"package: name='{PACKAGE}'" in told
    assert f"sdkVersion:'{DEFAULT.min_sdk}'" in told
    (model,) = (bundle / "assets" / PACKAGE).glob("*.tflite")
    with zipfile.ZipFile(apk) as archive:
        entry = archive.getinfo(f"assets/{PACKAGE}/{model.name}")
        assert entry.compress_type == zipfile.ZIP_STORED
        assert archive.read(entry) == model.read_bytes()


@needs("kotlinc", "javac")
@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each.name)
@pytest.mark.parametrize("package", [PACKAGE, "in.acme.is.x"])
def test_the_usage_is_kotlin_that_compiles(tmp_path, package, task, runtime):
    files = android_files(APPS[task](), package=package, runtime=runtime)
    stubs = {each.relative_to(STUBS).as_posix(): each.read_bytes() for each in STUBS.rglob("*.java")}
    classes = written(compiled(stubs) | wrapper.classes(package, task, runtime), tmp_path / "classes")
    written({"Usage.kt": files["Usage.kt"]}, tmp_path)
    run("kotlinc", "-cp", classes, tmp_path / "Usage.kt", "-d", tmp_path / "out")
    assert (tmp_path / f"out/{CALLED[task]}.class").exists()


@needs("kotlinc", "javac", files=[KOTLIN])
@pytest.mark.skipif(not is_javac_17(), reason="the committed classes are those of javac 17, which is not installed")
def test_what_kotlin_makes_of_litert_2s_declarations_gives_the_same_classes(tmp_path):
    """The stubs in Java are guesses at what Kotlin compiles to: default arguments, statics, what is thrown."""
    android = {each.relative_to(STUBS).as_posix(): each.read_bytes() for each in (STUBS / "android").rglob("*.java")}
    stubs = written(compiled(android), tmp_path / "android")
    kotlin = tmp_path / "kotlin"
    run("kotlinc", "-nowarn", "-cp", stubs, STUBS.parent / "declarations/LiteRt.kt", "-d", kotlin)
    for task in Task:
        sources = wrapper.sources(PACKAGE, task, LITERT_2)
        del sources[wrapper.TEST]
        assert compiled(sources, class_path=(kotlin, stubs, KOTLIN)) == wrapper.classes(PACKAGE, task, LITERT_2)


@pytest.fixture(params=Task)
def tests_of_an_app(request, tmp_path):
    """The command that runs the bundle's own test in an app into which the files were copied."""
    bundle = written(android_files(APPS[request.param](), package=PACKAGE), tmp_path / "android")
    sources = {each.relative_to(bundle).as_posix(): each.read_bytes() for each in bundle.rglob("src/test/**/*.java")}
    classes = written(wrapper.classes(PACKAGE, request.param, DEFAULT), tmp_path / "classes")
    written(compiled(sources, class_path=(classes, *JUNIT)), classes)
    path = ":".join(map(str, (classes, *JUNIT)))
    shutil.copytree(bundle / "assets", tmp_path / "app/src/main/assets")
    return ["java", "-cp", path, "org.junit.runner.JUnitCore", f"{PACKAGE}.GoldenTest"]


@needs("java", "javac", files=JUNIT)
def test_the_unit_test_replays_the_golden_vectors(tests_of_an_app, tmp_path):
    assert "OK (1 test)" in run(*tests_of_an_app, cwd=tmp_path / "app")


@needs("java", "javac", files=JUNIT)
def test_the_unit_test_finds_one_other_byte(tests_of_an_app, tmp_path):
    file = tmp_path / "app/src/main/assets" / PACKAGE / "golden/case_1/resized.rgb"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = subprocess.run(tests_of_an_app, check=False, capture_output=True, text=True, cwd=tmp_path / "app")
    assert done.returncode == 1
    assert "case_1: resizing must give the recorded bytes, got 1 others" in done.stdout


def java_8(target):
    """Java 8's own classes, as the JDK remembers them, for a program that reads no newer ones."""
    home = Path(shutil.which("java")).resolve().parent.parent
    with zipfile.ZipFile(home / "lib/ct.sym") as known, zipfile.ZipFile(target, "w") as jar:
        for name in known.namelist():
            found = re.fullmatch(r"\w*8\w*/java\.base/(.+)\.sig", name)
            if found and found[1] != "module-info":
                content = known.read(name)
                jar.writestr(f"{found[1]}.class", content[:6] + (52).to_bytes(2) + content[8:])
    return target


@needs("proguard", "java", "javac")
@needs_java
@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each.name)
def test_a_shrunk_app_answers_as_before(tmp_path, task, runtime):
    app_model, name = APPS[task](), ("Accelerated" if runtime.is_accelerated else "") + PROGRAMS[task]
    bundle = written(android_files(app_model, package=PACKAGE, runtime=runtime), tmp_path / "android")
    classes = written(doubles(), tmp_path / "doubles")
    with zipfile.ZipFile(aar_of(bundle)) as archive:
        written({name: archive.read(name) for name in ("classes.jar", "proguard.txt")}, tmp_path)
    libraries = ["-libraryjars", classes, "-libraryjars", java_8(tmp_path / "java.jar")]
    shrunk = tmp_path / "shrunk.jar"
    run(
        "proguard",
        "-injars",
        tmp_path / "classes.jar",
        "-outjars",
        shrunk,
        *libraries,
        "-include",
        tmp_path / "proguard.txt",
    )
    app = tmp_path / "app"
    every = written(wrapper.classes(PACKAGE, task, runtime) | doubles(), tmp_path / "all")
    written(classes_of_app(name, every), app)
    written(doubles(), app)
    with zipfile.ZipFile(io.BytesIO(shrunk.read_bytes())) as jar:
        assert f"{PACKAGE.replace('.', '/')}/Files.class" not in jar.namelist()  # it was renamed
        jar.extractall(app)
    photo = bundle / "assets" / PACKAGE / "golden/case_0/raw.rgb"
    width = app_model.golden.cases[0].width
    phone = PHONES[runtime](app, assets=bundle / "assets", photo=photo, width=width, name=name)
    assert sorted(phone.told) == sorted(TOLD[runtime, task])


GRADLE = """
repositories {{ maven {{ url = uri("{bundle}/maven") }}; maven {{ url = uri("{google}") }} }}
configurations {{ app }}
dependencies {{ app("{package}:mobilenet_v1_0.25_32:{version}") }}
task show {{ doLast {{ configurations.app.files.sort().each {{ println("is " + it) }} }} }}
"""


@needs("gradle")
def test_gradle_takes_the_repository_and_what_the_pom_asks_for(bundle, tmp_path):
    google = Coordinates(group=LITERT_GROUP, artifact="litert", version=DEFAULT.version)
    for artifact in DEFAULT.artifacts:
        at = replace(google, artifact=artifact)
        made = repository(at, aar=b"LiteRT", sources=b"", needs=DEFAULT, description="", licence=None)
        written(made, tmp_path / "google")
        pom = tmp_path / "google" / at.path(".pom")
        pom.write_text(re.sub("(?s)<dependencies>.*</dependencies>", "", pom.read_text()))
    script = GRADLE.format(bundle=bundle, google=tmp_path / "google", package=PACKAGE, version=__version__)
    written({"app/build.gradle": script.encode(), "app/settings.gradle": b""}, tmp_path)
    told = run("gradle", "--no-daemon", "--offline", "-q", "-g", tmp_path / "home", "show", cwd=tmp_path / "app")
    names = {Path(line).name for line in told.splitlines() if line.startswith("is ")}
    assert names == {aar_of(bundle).name, *(f"{each}-{DEFAULT.version}.aar" for each in DEFAULT.artifacts)}
