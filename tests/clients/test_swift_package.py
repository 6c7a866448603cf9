"""Swift builds the iOS folder, replays its golden vectors, and makes of images what Python makes, to the byte."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from clients.environments import HERE, ProcessError, run
from clients.swift_packages import (
    KINDS,
    LIBRARY,
    app_model_of,
    mirror,
    write_litert,
    write_package,
    write_vectors,
)

from mbexport.bundles.ios.bundle import ios_files
from mbexport.bundles.ios.names import module_name

pytestmark = pytest.mark.client

GOLDEN, MORE = 3, 15  # tests in GoldenTests.swift and in MoreTests.swift
TRY = """
let scores = try Classifier(threads: 3).classify(rgba: [9, 8, 7, 255], width: 1, height: 1)
print(scores.prefix(2).map { "\\($0.index) \\($0.value)" }.joined(separator: ", "))
"""


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


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_package_s_own_tests_and_ours_pass(swift, litert, kind, tmp_path, monkeypatch):
    app, name = app_model_of(kind), module_name(kind.stem)
    package = tmp_path / "ios"
    write_package(app, package, litert)
    tests = package / "Tests" / f"{name}Tests"
    (tests / "MoreTests.swift").write_text((HERE / "swift" / "MoreTests.swift").read_text().replace("@NAME@", name))
    write_vectors(tmp_path / "vectors", app.labels)
    monkeypatch.setenv("VECTORS", str(tmp_path / "vectors"))

    told = json.loads(run([swift, "package", "dump-package"], is_ours=False, cwd=package))
    assert (told["name"], told["products"][0]["name"]) == (name, name)
    assert executed(run([swift, "test"], is_ours=False, cwd=package)) == GOLDEN + MORE

    (pixels,) = (package / ".build" / "debug").glob(f"*_{name}Tests.resources/golden/case_1/resized.rgb")
    pixels.write_bytes(bytes([pixels.read_bytes()[0] ^ 1]) + pixels.read_bytes()[1:])
    with pytest.raises(ProcessError) as failed:
        run([swift, "test", "--skip-build", "--filter", "GoldenTests"], is_ours=False, cwd=package)
    assert "testImagesAreResizedToTheByte' failed" in failed.value.output


def test_an_app_needs_no_more_than_the_readme_says(swift, litert, tmp_path):
    """The app's manifest takes the lines of the README, its program the snippet."""
    app = app_model_of(KINDS[-1])
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

    lines = [line.rpartition(" ")[0] for line in printed.rstrip("\n").split("\n")]
    assert lines == [f"{at} {app.labels[at]}" for at in range(3)]  # one colour everywhere: a tie


def test_copied_files_run_on_tensorflow_lite(swift, tmp_path):
    """As a pod or in an app there is no Bundle.module; 9 + 3 threads - zero point 7, by 0.1."""
    kind = KINDS[0]
    app = replace(app_model_of(kind), model=b"12")
    name = module_name(kind.stem)
    sources = []
    for path, content in ios_files(app).items():
        if path.startswith(f"Sources/{name}/"):
            target = tmp_path / path.removeprefix(f"Sources/{name}/").removeprefix("Resources/")
            target.write_bytes(content)
            sources += [target] if target.suffix == ".swift" else []
    (tmp_path / "main.swift").write_text(TRY)
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
    assert printed.strip() == "0 0.5, 3 0.5"


def test_without_a_runtime_it_builds_and_says_what_is_missing(swift, tmp_path):
    """The two lines that the README names are taken out; images are made as ever, by plain Swift."""
    package = tmp_path / "ios"
    write_package(app_model_of(KINDS[-1]), package, tmp_path / "nowhere")
    manifest = package / "Package.swift"
    lines = manifest.read_text().splitlines()
    kept = [line for line in lines if ".package(url:" not in line and "dependencies: [.product(" not in line]
    assert len(kept) == len(lines) - 2
    manifest.write_text("\n".join(kept))

    with pytest.raises(ProcessError) as failed:
        run([swift, "test"], is_ours=False, cwd=package)

    assert "testImagesAreResizedToTheByte' passed" in failed.value.output
    assert "must link LiteRT (Swift package) or TensorFlowLiteC (pod), got neither" in failed.value.output
