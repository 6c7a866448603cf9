"""The web bundle: its files, their content, and the models that it refuses."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest
from detector_photos import DETECTOR, detector_model
from golden_by_hand import LABELS, MODEL, app_model_by_hand
from hostile import EXAMPLES
from node_programs import Modules, needs_node

from mbexport.bundles.web.bundle import web_files
from mbexport.errors import DataError
from mbexport.golden.vectors import golden_from_bytes
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.models.resolution import Resolution

SOURCES = ("encoding.js", "index.d.ts", "index.js", "labels.js", "network.js", "node.js", "pixels.js", "platform.js")
SOURCES += ("preprocess.js", "resampling.js", "runtime.js", "settings.js")
SHARED = {
    "README.md",
    "package.json",
    "package-lock.json",
    "golden/golden.json",
    *(f"src/{each}" for each in SOURCES),
    *(f"demo/{each}" for each in ("index.html", "demo.css", "demo.js", "shown.js")),
    *(f"test/{each}" for each in ("answers.js", "chromium.test.js", "golden.js", "golden.test.js", "page.html")),
    "test/page.js",
}


def changed(app, tensor, **changes):
    artifact = replace(app.artifact, **{tensor: replace(getattr(app.artifact, tensor), **changes)})
    return replace(app, artifact=artifact)


@pytest.fixture
def texts(tmp_path):
    """The labels and settings of a bundle, as JavaScript reads them."""

    def read(app):
        modules = Modules(web_files(app), tmp_path)
        try:
            return modules.ask("texts")
        finally:
            modules.close()

    return read


def test_the_files_of_a_classifier():
    made = web_files(app_model_by_hand())
    golden = ("case_0/raw.rgb", "case_0/resized.rgb", f"case_0/{MODEL}.out")
    own = {"src/scores.js", f"model/{MODEL}", *(f"golden/{each}" for each in golden)}
    assert set(made) == SHARED | own
    assert made[f"model/{MODEL}"] == b"TFL3 by hand"
    assert made == web_files(app_model_by_hand())


def test_the_files_of_a_detector():
    app = detector_model()
    made = web_files(app)
    images = {f"golden/{name}" for case in app.golden.cases for name in (case.raw, case.resized)}
    assert set(made) == SHARED | {"src/detections.js", f"model/{DETECTOR}"} | images
    assert b"export class Detector" in made["src/index.js"]
    assert b"export class Detector" in made["src/index.d.ts"]


def test_the_package_pins_its_runtime_and_packs_no_photos():
    made = web_files(replace(app_model_by_hand(), name="My Flowers", version="1.2.3"))
    package, lock = json.loads(made["package.json"]), json.loads(made["package-lock.json"])
    assert (package["name"], package["version"]) == (lock["name"], lock["version"]) == ("my-flowers", "1.2.3")
    assert set(package["dependencies"]) == {"@litertjs/core", "@litertjs/wasm-utils"}
    for name, version in package["dependencies"].items():
        assert re.fullmatch(r"[0-9.]+", version)
        locked = lock["packages"][f"node_modules/{name}"]
        assert locked["version"] == version
        assert locked["integrity"].startswith("sha512-")
    assert len(lock["packages"]) == 1 + len(package["dependencies"])  # nothing is installed that is not named
    assert not re.search(rb"https?://", made["package-lock.json"])
    assert package["files"] == ["src", "model"]
    (entry,) = package["exports"].values()
    assert {"types", "node", "default"} == set(entry)
    assert all(path.removeprefix("./") in made for path in entry.values())
    tests = package["scripts"]["test"].split()[2:]
    assert {name for name in made if name.endswith(".test.js")} == set(tests)


def test_pages_let_in_nothing_but_their_own_files():
    made = web_files(app_model_by_hand())
    page = made["demo/index.html"].decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page)
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    (import_map,) = re.findall(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == ["'self'", "'wasm-unsafe-eval'", f"'sha256-{digest}'"]
    assert rules["connect-src"] == rules["style-src"] == ["'self'"]
    assert " style=" not in page
    assert not re.search(r"<[^>]* on\w+=", page)
    (other,) = re.findall(r'<script type="importmap">(.*?)</script>', made["test/page.html"].decode(), re.DOTALL)
    assert json.loads(import_map) == json.loads(other)


def test_sources_reach_no_other_host_and_write_no_markup():
    made = {name: each for name, each in web_files(app_model_by_hand()).items() if name.endswith((".js", ".html"))}
    for name, content in made.items():
        text = content.decode()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )
        hosts = {each for each in re.findall(r"https?://([^/$'\"`\s]+)", text) if not each.startswith("127.0.0.1")}
        assert hosts == set(), name


@needs_node
def test_settings_are_those_of_the_model(texts):
    """1/3 needs 16 digits to come back as the same number."""
    app = app_model_by_hand()
    norm = Normalization(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 3.0), is_bgr=True)
    preprocess = Preprocess(
        resolution=Resolution(height_px=48, width_px=64), crop_fraction=1 / 3, normalization=norm, channels=3
    )
    app = replace(app, golden=replace(app.golden, preprocess=preprocess))
    app = changed(app, "input", dtype="float32", channel_order="BGR", mean=norm.mean, std=norm.std)
    app = changed(app, "output", dtype="int8", kind="logits", scale=0.1, zero_point=-128)

    told = texts(app)["settings"]

    sides = {"height": 48, "width": 64, "channels": 3}
    assert told["preprocess"] == {**sides, "cropFraction": 1 / 3, "isStretched": False}
    floats = {"mean": list(norm.mean), "std": list(norm.std)}
    assert told["input"] == {"name": "image", "type": "float32", "isBlueFirst": True, **floats}
    assert told["output"] == {"name": "scores", "scale": 0.1, "zeroPoint": -128, "areLogits": True}
    assert told["model"].endswith(f"/model/{MODEL}")


@needs_node
def test_codes_are_red_first_and_numbers_without_codes_have_no_scale(texts):
    app = changed(app_model_by_hand(), "input", channel_order="BGR")
    told = texts(changed(app, "output", dtype="float32", scale=None, zero_point=None))["settings"]
    assert told["input"]["isBlueFirst"] is False
    assert told["output"]["scale"] is None


@needs_node
def test_labels_and_names_come_through_as_they_are(texts):
    labels = [*EXAMPLES, "a\nb", "</script>", "${x}", "\u2028", "\udc80"]
    app = app_model_by_hand()
    app = replace(app, labels=tuple(labels), golden=replace(app.golden, classes=len(labels)))
    odd = changed(app, "output", name='"; evil(); "')
    told = texts(odd)
    assert told["labels"] == labels
    assert told["settings"]["output"]["name"] == '"; evil(); "'


def test_a_file_whose_name_is_syntax_in_an_address_is_renamed_throughout():
    app = app_model_by_hand()
    case = app.golden.cases[0]
    odd = f"a%2e b?{MODEL}"
    expected = replace(case.expected[MODEL], output=f"case_0/{odd}.out")
    golden = replace(app.golden, cases=(replace(case, expected={odd: expected}),))
    files = {**app.golden_files, expected.output: app.golden_files[f"case_0/{MODEL}.out"]}

    made = web_files(replace(app, artifact=replace(app.artifact, file=odd), golden=golden, golden_files=files))

    assert made["model/model.tflite"] == b"TFL3 by hand"
    assert set(golden_from_bytes(made["golden/golden.json"]).cases[0].expected) == {"model.tflite"}
    assert b'file: "model.tflite"' in made["src/settings.js"]
    assert not any(odd in name for name in made)


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (
            changed(app_model_by_hand(), "input", dtype="int16"),
            "the input of .* must be uint8, int8, float32, got int16",
        ),
        (changed(app_model_by_hand(), "output", dtype="int16"), "the output of .* must be uint8, int8, float32"),
        (changed(app_model_by_hand(), "input", layout="nchw"), "must be nhwc, got nchw"),
        (changed(detector_model(), "input", dtype="int16"), "the input of .* must be uint8, int8, float32, got int16"),
        (replace(app_model_by_hand(), labels=LABELS[:2]), "labels must be 3, one for each class, got 2"),
        (replace(app_model_by_hand(), golden_files={}), "golden.json names case_0/raw.rgb, and there is no such file"),
    ],
)
def test_what_the_sources_cannot_use_is_refused(app, message):
    with pytest.raises(DataError, match=message):
        web_files(app)


@pytest.mark.parametrize(("app", "word"), [(app_model_by_hand(), "8.0 away"), (detector_model(), "minScore: 0.5")])
def test_the_readme_shows_what_the_app_needs(app, word):
    readme = web_files(app)["README.md"].decode()
    for each in ("npm install", "mbexport demo .", "`Apache-2.0`", f'from "{app.name}"', word):
        assert each in readme
    unstated = replace(app, golden=replace(app.golden, licence=None))
    assert "not stated" in web_files(unstated)["README.md"].decode()
