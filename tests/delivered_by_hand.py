"""An output folder written by hand, with all that a run delivers, for tests of checks of such folders."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from golden_by_hand import golden_by_hand
from manifest_by_hand import manifest_by_hand

from mbexport.bundles.files import zip_bytes
from mbexport.provenance.git import Git
from mbexport.provenance.manifest import FileFacts, Manifest
from mbexport.provenance.sbom import sbom_json
from mbexport.provenance.signing import PrivateKey, sign
from mbexport.provenance.statement import statement_json

MODEL = "net_int8.tflite"
AAR = "android/repository/org/net/1.0/net-1.0.aar"
OF_THE_RUN = ("report.json", "report.html", "junit.xml", "MODEL_CARD.md", "sbom.cdx.json", "provenance.intoto.json")
VERDICT = {"passed": True, "strict": False, "gates": {"agreement": "pass"}}


def contents_by_hand() -> dict[str, bytes]:
    """All but the manifest: an artifact, its vectors, a bundle for each system and its zip, what tells of the run."""
    model = b"TFL3 by hand"
    sha256 = hashlib.sha256(model).hexdigest()
    golden = golden_by_hand()
    golden = replace(golden, artifacts=(replace(golden.artifacts[0], file=MODEL, sha256=sha256),))
    aar = zip_bytes({"AndroidManifest.xml": b"<manifest/>", "assets/net.tflite": model})
    android = {
        "assets/net.tflite": model,
        "README.md": b"android",
        AAR.removeprefix("android/"): aar,
        **{
            f"{AAR.removeprefix('android/')}.{name}": hashlib.new(name, aar).hexdigest().encode()
            for name in ("md5", "sha1", "sha256", "sha512")
        },
    }
    ios = {"Resources/net.tflite": model, "Package.swift": b"// swift-tools-version:5.9"}
    report = {"artifacts": [{"file": MODEL, "sha256": sha256}], "passed": True, "strict": False}
    return {
        MODEL: model,
        "labels.txt": b"cat\ndog\n",
        "golden/golden.json": golden.to_bytes(),
        "golden/case_0/raw.rgb": bytes(60),
        **{f"android/{name}": content for name, content in android.items()},
        **{f"ios/{name}": content for name, content in ios.items()},
        "net-android.zip": zip_bytes(android),
        "net-ios.zip": zip_bytes(ios),
        "report.json": json.dumps(report).encode(),
        "MODEL_CARD.md": b"# net",
    }


def listing(contents: dict[str, bytes]) -> Manifest:
    """The manifest of `contents`."""
    facts = {name: FileFacts.of(each, repeats=name not in OF_THE_RUN) for name, each in contents.items()}
    environment = {"cores": "2", "python": "3.11.9"}
    manifest = manifest_by_hand(files=facts, git=Git(commit="c0de" * 10, dirty=False), verdict=VERDICT)
    return replace(manifest, tool=replace(manifest.tool, environment=environment))


def with_proof(contents: dict[str, bytes]) -> dict[str, bytes]:
    """`contents`, and the documents on them."""
    words = {"stem": "net", "version": "1.0", "task": "image-classification", "licence": "MIT"}
    told = {**contents, "sbom.cdx.json": sbom_json(listing(contents), **words)}
    return {**told, "provenance.intoto.json": statement_json(listing(told))}


def deliver(folder: Path, contents: dict[str, bytes], *, key: PrivateKey | None = None) -> None:
    """Writes `contents` into `folder`, with their manifest, and its signature by `key`."""
    manifest = listing(contents).to_bytes()
    files = {**contents, "manifest.json": manifest, ".mbexport/lock": b""}
    if key is not None:
        files["manifest.json.sig"] = sign(manifest, key)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
