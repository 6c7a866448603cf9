"""The bill of materials: its content, that CycloneDX's validator accepts it, and that its bytes repeat."""

import json
import os
import re
import subprocess
import sys
import uuid
from dataclasses import replace
from importlib.metadata import version

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from delivered_by_hand import contents_by_hand, listing
from manifest_by_hand import ABC

from mbexport.provenance import sbom
from mbexport.provenance.manifest import FileFacts, Input, Recipe
from mbexport.provenance.sbom import Installed, sbom_json

INPUTS = {
    "data": Input(name="photos", is_file=False, digest=ABC),
    "classes": Input(name="c.txt", is_file=True, digest=ABC),
}
FILES = {
    "net.onnx": FileFacts.of(b"abc"),
    "ios/more": FileFacts.of(b""),
    "report.json": FileFacts.of(b"", repeats=False),
}
RECIPE = Recipe(command="build", options={"data": "photos", "classes": "c.txt"}, inputs=("data", "classes"))
MANIFEST = replace(listing({}), recipe=RECIPE, inputs=INPUTS, files=FILES)
MADE_UP = {
    "mbexport": Installed(name="mbexport", version="stale", licence="Apache-2.0", needs=("numpy", "odd")),
    "numpy": Installed(name="numpy", version="2.1", licence="BSD-3-Clause AND MIT", needs=()),
    "odd": Installed(name="odd", version="1.0+local", licence="a licence of our own", needs=("numpy",)),
}

WORDS = {"stem": "net", "version": "7.0", "task": "image-classification", "licence": "MIT"}


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr(sbom, "closure", lambda roots: MADE_UP)


def told(manifest=MANIFEST, **changed) -> dict:
    return json.loads(sbom_json(manifest, **{**WORDS, **changed}))


def test_components_by_hand(made_up):
    bom = told()
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"] == {
        "component": {
            "bom-ref": "model",
            "type": "machine-learning-model",
            "name": "net",
            "version": "7.0",
            "licenses": [{"license": {"id": "MIT"}}],
            "modelCard": {"modelParameters": {"task": "image-classification"}},
        }
    }
    found = {each["bom-ref"]: each for each in bom["components"]}
    assert set(found) == {
        *("file:net.onnx", "input:classes", "input:data", "python"),
        *("pkg:pypi/mbexport@1.0", "pkg:pypi/numpy@2.1", "pkg:pypi/odd@1.0%2Blocal"),
    }
    assert found["file:net.onnx"] == {
        "bom-ref": "file:net.onnx",
        "type": "file",
        "name": "net.onnx",
        "hashes": [{"alg": "SHA-256", "content": ABC}],
    }
    assert found["input:classes"]["hashes"] == [{"alg": "SHA-256", "content": ABC}]
    assert found["input:data"] == {
        "bom-ref": "input:data",
        "type": "data",
        "name": "photos",
        "properties": [{"name": "mbexport:fingerprint", "value": ABC}],
    }
    ours = found["pkg:pypi/mbexport@1.0"]
    assert (ours["type"], ours["properties"]) == ("application", [{"name": "mbexport:code", "value": "c0de"}])
    assert found["pkg:pypi/numpy@2.1"]["licenses"] == [{"expression": "BSD-3-Clause AND MIT"}]
    assert found["pkg:pypi/odd@1.0%2Blocal"]["licenses"] == [{"license": {"name": "a licence of our own"}}]
    assert (found["python"]["version"], found["python"]["purl"]) == ("3.11.9", "pkg:generic/python@3.11.9")


def test_dependencies_by_hand(made_up):
    needs = {each["ref"]: each.get("dependsOn", []) for each in told()["dependencies"]}
    odd = "pkg:pypi/odd@1.0%2Blocal"
    assert needs["model"] == ["file:net.onnx", "input:classes", "input:data", "pkg:pypi/mbexport@1.0"]
    assert needs["pkg:pypi/mbexport@1.0"] == ["pkg:pypi/numpy@2.1", odd, "python"]
    assert needs[odd] == ["pkg:pypi/numpy@2.1", "python"]


@pytest.mark.parametrize("manifest", [MANIFEST, listing(contents_by_hand())], ids=["little", "a run"])
@pytest.mark.parametrize("licence", [None, "MIT", "MIT OR Apache-2.0", "no name that SPDX knows"])
def test_strict_validator_of_the_format_takes_it(manifest, licence):
    content = sbom_json(manifest, **{**WORDS, "version": "1.0", "licence": licence}).decode()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(content) is None
    assert validator.validate_str(content.replace('"bomFormat"', '"format"')) is not None


def test_it_tells_what_is_installed_here():
    found = {each["name"]: each for each in told()["components"]}
    for name in ("numpy", "tensorflow", "protobuf"):  # the last is what tensorflow and onnx need, and we do not
        assert found[name]["version"] == version(name)
        assert found[name]["purl"] == f"pkg:pypi/{name}@{version(name)}"
    assert "pytest" not in found


def test_extra_for_published_data_sets_is_asked_for_where_one_was_read(monkeypatch):
    asked = []
    monkeypatch.setattr(sbom, "closure", lambda roots: asked.append(dict(roots)) or MADE_UP)
    told()
    told(replace(MANIFEST, inputs={"data": Input(name="tfds:mnist", is_file=False, digest=ABC)}))
    assert asked == [{"mbexport": []}, {"mbexport": ["tfds"]}]


def test_libraries_are_told_where_we_are_not_installed(monkeypatch):
    alone = {name: each for name, each in MADE_UP.items() if name != "mbexport"}
    monkeypatch.setattr(sbom, "closure", lambda roots: {} if "mbexport" in roots else dict(alone))
    needs = {each["ref"]: each.get("dependsOn", []) for each in told()["dependencies"]}
    assert needs["pkg:pypi/mbexport@1.0"] == ["pkg:pypi/numpy@2.1", "python"]


SCRIPT = """
import sys
from pathlib import Path
from mbexport.provenance.read_manifest import read_manifest
from mbexport.provenance.sbom import sbom_json
manifest = read_manifest(Path(sys.argv[1]))
sys.stdout.buffer.write(sbom_json(manifest, stem="net", version="7.0", task="image-classification", licence="MIT"))
"""


def test_same_bytes_whenever_and_in_whatever_order(tmp_path):
    (tmp_path / "manifest.json").write_bytes(MANIFEST.to_bytes())
    paths = os.pathsep.join(path for path in sys.path if path)
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, tmp_path / "manifest.json"],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths, "TZ": zone},
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    ]
    turned = replace(MANIFEST, files=dict(reversed(FILES.items())), inputs=dict(reversed(INPUTS.items())))
    here = sbom_json(turned, **WORDS)
    assert runs == [here, here]
    assert not re.search(rb"\d{4}-\d\d-\d\dT", here)


def test_the_model_card_names_the_task(made_up):
    card = told(task="object-detection")["metadata"]["component"]["modelCard"]
    assert card == {"modelParameters": {"task": "object-detection"}}


def test_serial_number_is_of_what_is_told(made_up):
    numbers = {told()["serialNumber"], told()["serialNumber"], told(version="7.1")["serialNumber"]}
    assert len(numbers) == 2
    for each in numbers:
        assert uuid.UUID(each).version == 5


def test_compiled_files_are_components_and_bring_their_compiler(monkeypatch):
    asked = []
    monkeypatch.setattr(sbom, "closure", lambda roots: asked.append(roots) or MADE_UP)
    told()
    compiled = {"npu/net_int8_qualcomm-sm8650.onnx": FileFacts.of(b"abc")}
    bom = told(replace(MANIFEST, files={**FILES, **compiled}))
    assert asked == [{"mbexport": []}, {"mbexport": ["npu"]}]
    files = [each["name"] for each in bom["components"] if each["type"] == "file"]
    assert files == ["net.onnx", "npu/net_int8_qualcomm-sm8650.onnx"]


def test_files_of_packages_are_components_and_bring_their_converter(monkeypatch):
    asked = []
    monkeypatch.setattr(sbom, "closure", lambda roots: asked.append(roots) or MADE_UP)
    name = "coreml/net_w8.mlpackage/Manifest.json"
    bom = told(replace(MANIFEST, files={**FILES, name: FileFacts.of(b"abc")}))
    assert asked == [{"mbexport": ["coreml"]}]
    assert name in [each["name"] for each in bom["components"] if each["type"] == "file"]
