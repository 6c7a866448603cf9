"""Bundles of models whose names, labels, licences and numbers try to become code, markup or paths."""

import io
import json
import re
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from defusedxml import ElementTree
from detector_photos import DETECTOR, detector_model, golden_of_photos, model
from golden_by_hand import LABELS, MODEL, app_model_by_hand, golden_files_of
from hostile import EXAMPLES, TEXTS
from hypothesis import given, settings
from markdown_it import MarkdownIt

from mbexport.artifact import labels_file
from mbexport.bundles.android import wrapper
from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.app_model import AnyModel
from mbexport.bundles.files import require_path, zip_bytes
from mbexport.bundles.ios.bundle import ios_files
from mbexport.bundles.make import bundle_files
from mbexport.bundles.registry import Bundling, platform_names
from mbexport.bundles.web.bundle import web_files
from mbexport.errors import DataError
from mbexport.escaping.characters import is_hidden
from mbexport.escaping.markup import clean
from mbexport.escaping.source import ruby
from mbexport.models.task import Task

PACKAGE = "com.acme.flowers"
APPS = {Task.CLASSIFY: app_model_by_hand, Task.DETECT: detector_model}
POM = "{http://maven.apache.org/POM/4.0.0}"
READER = MarkdownIt("commonmark").enable("table")


def named(task: Task, *, licence: str | None = "MIT", label: str = "cat") -> AnyModel:
    app: AnyModel = APPS[task]()
    return replace(app, labels=(label, *LABELS[1:]), golden=replace(app.golden, licence=licence), version="1.2.3")


@pytest.fixture(autouse=True, scope="module")
def without_java():
    """The Java wrapper is the same for every name, and takes most of the time that a bundle takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wrapper, "sources", lambda package, task, runtime: {wrapper.TEST: b""})
        patch.setattr(wrapper, "classes", lambda package, task, runtime: {})
        yield


def each_of(app: AnyModel) -> tuple[dict[str, bytes], dict[str, bytes], dict[str, bytes]]:
    return android_files(app, package=PACKAGE), ios_files(app), web_files(app)


def structure(markdown: bytes) -> list[tuple[str, str]]:
    """The blocks of a page, and what their words are: all but the words."""
    tokens = READER.parse(markdown.decode())
    return [(token.type, token.info) for token in tokens] + [
        (each.type, each.attrGet("href") or "") for token in tokens for each in token.children or () if each.nesting
    ]


@pytest.mark.parametrize("task", Task)
@given(text=TEXTS)
@settings(max_examples=20)
def test_a_licence_is_a_text_wherever_it_is_written(task, text):
    if not text.strip():
        return
    android, ios, web = each_of(named(task, licence=text))
    plain_android, plain_ios, plain_web = each_of(named(task))
    (pom,) = (content for name, content in android.items() if name.endswith(".pom"))
    found = ElementTree.fromstring(pom).findtext(f".//{POM}license/{POM}name")
    assert found.split() == clean(text).split()
    for made, plain in ((android, plain_android), (ios, plain_ios), (web, plain_web)):
        assert structure(made["README.md"]) == structure(plain["README.md"])
        assert not any(is_hidden(char) and char != "\n" for char in made["README.md"].decode())
        assert set(made) == set(plain)
    (spec,) = (content.decode() for name, content in ios.items() if name.endswith(".podspec"))
    (plain_spec,) = (content.decode() for name, content in plain_ios.items() if name.endswith(".podspec"))
    assert spec == plain_spec.replace('"MIT"', ruby(text)).replace('"The model: MIT."', ruby(f"The model: {text}."))


@pytest.mark.parametrize("task", Task)
@given(text=TEXTS.filter(str.isprintable))
@settings(max_examples=20)
def test_a_label_is_a_text_in_the_readme_and_a_line_in_the_list(task, text):
    android, ios, _ = each_of(named(task, label=text))
    plain_android, _, _ = each_of(named(task))
    assert structure(android["README.md"]) == structure(plain_android["README.md"])
    for files in (android, ios):
        (labels,) = (content for name, content in files.items() if name.endswith("labels.txt"))
        assert labels.decode().split("\n") == [text, *LABELS[1:], ""]


def golden_with(place: tuple[Any, ...], value: object) -> dict[str, bytes]:
    """The files of a finished folder whose golden.json has that value in that place."""
    files = {**golden_files_of("net", {MODEL: b"TFL3 by hand"}, px=32), MODEL: b"TFL3 by hand"}
    content = json.loads(files["golden/golden.json"])
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return {**files, "golden/golden.json": json.dumps(content).encode(), "labels.txt": labels_file(LABELS)}


OUTPUT = ("artifacts", 0, "output")
NUMBERS = [
    *((*OUTPUT, name) for name in ("zero_point", "scale", "tolerance", "spread")),
    *(("preprocess", name) for name in ("resolution_px", "crop_fraction")),
    *(("cases", 0, name) for name in ("width", "height")),
    ("cases", 0, "expected", MODEL, "top"),
    ("classes",),
]


@pytest.mark.parametrize("platform", platform_names())
@pytest.mark.parametrize("place", NUMBERS, ids=lambda place: place[-1])
@pytest.mark.parametrize("value", ["0)\n  static let evil = shell(", "1", [1], True, {"a": 1}])
def test_a_number_of_golden_json_that_is_none_is_refused_and_never_code(platform, place, value):
    bundling = Bundling(platforms=(platform,), is_required=True)
    try:
        made = bundle_files(golden_with(place, value), LABELS, bundling)
    except DataError:
        return
    written = {name: content for name, content in made.items() if not name.endswith("golden.json")}
    plain = bundle_files(golden_with((*OUTPUT, "zero_point"), 0), LABELS, bundling)
    assert written == {name: plain[name] for name in written}  # what this bundle does not write is only in golden.json


ROW = ("cases", 0, "expected", DETECTOR, "rows", 0)
DETECTOR_NUMBERS = [
    *(("artifacts", 0, "tolerance", name) for name in ("score", "corner")),
    *((*ROW, name) for name in ("class", "score", "safe", "box")),
    ("least_score",),
    ("artifacts", 0, "outputs", 0, "shape"),
]


@pytest.mark.parametrize("platform", platform_names())
@pytest.mark.parametrize("place", DETECTOR_NUMBERS, ids=lambda place: place[-1])
@pytest.mark.parametrize("value", ["0)\n  static let evil = shell(", "1", [1], {"a": 1}, None])
def test_a_number_of_a_detector_that_is_none_is_refused(platform, place, value):
    content = json.loads(golden_of_photos()["golden/golden.json"])
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    golden = {"golden/golden.json": json.dumps(content).encode(), "labels.txt": labels_file(LABELS), DETECTOR: model()}
    with pytest.raises(DataError):
        bundle_files(golden_of_photos() | golden, LABELS, Bundling(platforms=(platform,), is_required=True))


def test_the_zero_point_of_the_attack_is_refused():
    with pytest.raises(DataError, match=r"source code needs a whole number where it got '0\)\\n"):
        ios_files(
            replace(
                app_model_by_hand(),
                artifact=replace(
                    app_model_by_hand().artifact,
                    output=replace(app_model_by_hand().artifact.output, zero_point="0)\nimport Evil"),
                ),
            )
        )


@pytest.mark.parametrize("place", [(*OUTPUT, "dtype"), ("artifacts", 0, "input", "dtype"), (*OUTPUT, "kind")])
@pytest.mark.parametrize("value", ["uint8\nevil", "float32; evil()", ["uint8"], 8])
def test_a_type_of_golden_json_is_one_of_the_known_ones_or_text(place, value):
    try:
        made = bundle_files(golden_with(place, value), LABELS, Bundling())
    except DataError:
        return
    sources = [
        content for name, content in made.items() if name.endswith((".swift", ".kt", ".java", ".podspec", ".js"))
    ]
    assert not [content for content in sources if b"evil" in content]


def test_a_file_that_golden_json_names_has_to_be_there():
    with pytest.raises(DataError, match=r"names other\.tflite, and there is no such file"):
        bundle_files(golden_with(("artifacts", 0, "file"), "other.tflite"), LABELS, Bundling())


@pytest.mark.parametrize("stem", ["../../x", "/x", "a/../../x", "x\x1b", "x" * 300])
def test_a_zip_stays_in_the_folder(stem):
    with pytest.raises(DataError) as refused:
        bundle_files(golden_with(("stem",), stem), LABELS, Bundling(name="net", is_zipped=True))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["a", "a/b.c", "a b/é.tflite", "-x", "a..b/...c"])
def test_paths_inside_are_taken(name):
    assert require_path(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "../a",
        "a/./b",
        "a/..",
        "a\\b",
        "C:a",
        "a\nb",
        "a\0",
        "\u202ea",
        "\udcff",
        "é" * 128,
    ],
)
def test_no_path_leads_out_of_a_zip_or_hides_in_it(name):
    with pytest.raises(DataError, match="a file of a bundle must have a relative path") as refused:
        zip_bytes({name: b""})
    assert "\n" not in str(refused.value)


@given(TEXTS)
def test_a_zip_holds_paths_inside_and_nothing_else(name):
    try:
        content = zip_bytes({name: b"x"})
    except DataError:
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (found,) = archive.namelist()
    assert found == name
    assert not re.search(r"(^|/)\.{0,2}(/|$)|\\|^[A-Za-z]:", found)


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("name", [each for each in EXAMPLES if each])
def test_any_name_of_a_model_gives_a_bundle_whose_files_have_plain_names(name, task):
    for files in each_of(replace(named(task), name=name[:100])):
        assert all(re.fullmatch(r"[\w./-]+", path, re.ASCII) for path in files)
