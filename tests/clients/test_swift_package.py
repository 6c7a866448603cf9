"""Swift builds the iOS folder, replays its golden vectors, and makes of images what Python makes, to the byte."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from clients.environments import HERE, ProcessError, run
from clients.swift_packages import (
    KINDS,
    LIBRARY,
    app_model_of,
    detector_app,
    mirror,
    write_litert,
    write_package,
    write_vectors,
)
from detector_by_hand import PREPROCESS, HandDetector

from mbexport.bundles.app_model import AnyModel
from mbexport.bundles.ios.bundle import ios_files
from mbexport.bundles.ios.names import module_name
from mbexport.formats.registry import open_runner

pytestmark = pytest.mark.client

GOLDEN = 3  # tests in GoldenTests.swift


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is built: the model, our own tests of it and how many they are, and what a program may try."""

    name: str
    app: AnyModel
    tests: str = "MoreTests.swift"
    more: int = 15
    tried: str = """
let scores = try Classifier(threads: 3).classify(rgba: [9, 8, 7, 255], width: 1, height: 1)
print(scores.prefix(2).map { "\\($0.index) \\($0.value)" }.joined(separator: ", "))
"""

    def __str__(self) -> str:
        return self.name

    @property
    def module(self) -> str:
        """What Swift calls it."""
        return module_name(self.app.name, self.app.task)


# Its outputs have the bytes of the input, 3 added to each for as many threads: no number of rows that there could be.
TRY_DETECTOR = """
let outputs = try linkedEngine(model: try Resources.url(of: Settings.model), threads: 3)
  .run([UInt8](repeating: 9, count: 12))
print(outputs.keys.sorted().map { "\\($0) \\(outputs[$0]!)" }.joined(separator: ", "))
"""
CLASSIFIERS = [Bundle(name=str(kind), app=app_model_of(kind)) for kind in KINDS]
DETECTOR = Bundle(name="detector", app=detector_app(), tests="DetectorTests.swift", more=10, tried=TRY_DETECTOR)


@pytest.fixture(scope="session")
def swift() -> str:
    """Apple's Swift; a client of OpenStack has the same name."""
    found = shutil.which("swift")
    if found is None or "Swift version" not in run([found, "--version"], is_ours=False, allowed=range(256)):
        pytest.skip("Swift is not installed")
    if not (LIBRARY / "libLiteRt.so").is_file():
        pytest.skip("LiteRT's libLiteRt.so is missing")
    return found


@pytest.fixture(scope="session")
def litert(swift, tmp_path_factory) -> Path:
    """A stand-in for Google's Swift package of LiteRT."""
    return write_litert(tmp_path_factory.mktemp("litert"))


def executed(printed: str) -> int:
    """How many tests were run; none failed."""
    (count,) = re.findall(r"'All tests' passed.*\s+Executed (\d+) tests, with 0 failures", printed)
    return int(count)


@pytest.mark.parametrize("bundle", [*CLASSIFIERS, DETECTOR], ids=str)
def test_the_package_s_own_tests_and_ours_pass(swift, litert, bundle, tmp_path, monkeypatch):
    app, name, package = bundle.app, bundle.module, tmp_path / "ios"
    write_package(app, package, litert)
    tests = package / "Tests" / f"{name}Tests"
    (tests / bundle.tests).write_text((HERE / "swift" / bundle.tests).read_text().replace("@NAME@", name))
    write_vectors(tmp_path / "vectors", app.labels, is_stretched=app.golden.preprocess.is_stretched)
    monkeypatch.setenv("VECTORS", str(tmp_path / "vectors"))

    told = json.loads(run([swift, "package", "dump-package"], is_ours=False, cwd=package))
    assert (told["name"], told["products"][0]["name"]) == (name, name)
    assert executed(run([swift, "test"], is_ours=False, cwd=package)) == GOLDEN + bundle.more

    (pixels,) = (package / ".build" / "debug").glob(f"*_{name}Tests.resources/golden/case_1/resized.rgb")
    pixels.write_bytes(bytes([pixels.read_bytes()[0] ^ 1]) + pixels.read_bytes()[1:])
    with pytest.raises(ProcessError) as failed:
        run([swift, "test", "--skip-build", "--filter", "GoldenTests"], is_ours=False, cwd=package)
    assert "testImagesAreResizedToTheByte' failed" in failed.value.output


def found_in(path: Path, *, shade: int, px: int, labels: tuple[str, ...]) -> str:
    """What the snippet prints of a square photo of one colour: rows of at least 0.5, in its pixels."""
    detector = HandDetector(runner=open_runner(path))
    (found,) = detector.detections(np.full((1, *PREPROCESS.shape), shade, np.uint8))
    rows = zip(found.classes.tolist(), found.scores.tolist(), (found.corners.astype(float) * px).tolist(), strict=True)
    return "".join(
        f"{labels[index]} {score} {left} {top} {right} {bottom}\n"
        for index, score, (top, left, bottom, right) in rows
        if score >= 0.5
    )


@pytest.mark.parametrize("bundle", [CLASSIFIERS[-1], DETECTOR], ids=str)
def test_an_app_needs_no_more_than_the_readme_says(swift, litert, bundle, tmp_path):
    """The app's manifest takes the lines of the README, its program the snippet."""
    app = bundle.app
    write_package(app, tmp_path / "path" / "to" / "ios", litert)
    readme = (tmp_path / "path" / "to" / "ios" / "README.md").read_text()
    manifest, program = re.findall("```swift\n(.*?)```", readme, re.DOTALL)
    sources = tmp_path / "Sources" / "App"
    sources.mkdir(parents=True)
    mirror(tmp_path, litert)
    (tmp_path / "Package.swift").write_text(
        "// swift-tools-version:5.9\nimport PackageDescription\n"
        f'let package = Package(name: "App", {manifest.replace(".target(", ".executableTarget(")})\n'
    )
    photo = "import UIKit\nlet bytes = [UInt8](repeating: 200, count: 400)\n"
    photo += "let photo = UIImage(cgImage: CGImage(rgba: bytes, width: 10, height: 10), orientation: .right)\n"
    (sources / "main.swift").write_text(photo + program)

    printed = run([swift, "run"], is_ours=False, cwd=tmp_path)

    if bundle is DETECTOR:
        path = tmp_path / "net.tflite"
        path.write_bytes(app.model)
        assert printed == found_in(path, shade=212, px=10, labels=app.labels)  # 200 with an alpha of 200, over white
        return
    lines = [line.rpartition(" ")[0] for line in printed.rstrip("\n").split("\n")]
    assert lines == [f"{at} {app.labels[at]}" for at in range(3)]  # one colour everywhere: a tie


@pytest.mark.parametrize(
    ("bundle", "model", "expected"),
    [
        (CLASSIFIERS[0], b"12", "0 0.5, 3 0.5"),  # 9 + 3 threads - zero point 7, by 0.1
        (DETECTOR, b"12\n4 score\n8 number of detections\n", f"number of detections {[12] * 8}, score {[12] * 4}"),
    ],
    ids=["classifier", "detector"],
)
def test_copied_files_run_on_tensorflow_lite(swift, bundle, model, expected, tmp_path):
    """As a pod or in an app there is no Bundle.module."""
    app, name = replace(bundle.app, model=model), bundle.module
    sources = []
    for path, content in ios_files(app).items():
        if path.startswith(f"Sources/{name}/"):
            target = tmp_path / path.removeprefix(f"Sources/{name}/").removeprefix("Resources/")
            target.write_bytes(content)
            sources += [target] if target.suffix == ".swift" else []
    (tmp_path / "main.swift").write_text(bundle.tried)
    stand_in = HERE / "swift" / "tensorflowlite"
    swiftc = shutil.which("swiftc") or Path(swift).with_name("swiftc")
    run(["cc", "-c", "-Wall", "-Werror", "-o", tmp_path / "c.o", stand_in / "TensorFlowLiteC.c"], is_ours=False)
    command = [swiftc, "-module-name", name, "-I", stand_in, "-o", tmp_path / "app"]
    run([*command, *sources, tmp_path / "main.swift", tmp_path / "c.o"], is_ours=False, cwd=tmp_path)

    try:
        printed = run([tmp_path / "app"], is_ours=False)
    except ProcessError as failure:
        if "loading shared libraries" in failure.output:
            pytest.skip("Swift is installed elsewhere than its programs look for their libraries")
        raise
    assert printed.strip() == expected


def test_without_a_runtime_it_builds_and_says_what_is_missing(swift, tmp_path):
    """The two lines that the README names are taken out; images are made as ever, by plain Swift."""
    package = tmp_path / "ios"
    write_package(CLASSIFIERS[-1].app, package, tmp_path / "nowhere")
    manifest = package / "Package.swift"
    lines = manifest.read_text().splitlines()
    kept = [line for line in lines if ".package(url:" not in line and "dependencies: [.product(" not in line]
    assert len(kept) == len(lines) - 2
    manifest.write_text("\n".join(kept))

    with pytest.raises(ProcessError) as failed:
        run([swift, "test"], is_ours=False, cwd=package)

    assert "testImagesAreResizedToTheByte' passed" in failed.value.output
    assert "must link LiteRT (Swift package) or TensorFlowLiteC (pod), got neither" in failed.value.output
