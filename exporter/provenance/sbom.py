"""Turns what a manifest lists, and what is installed here, into sbom.cdx.json: of what, and by what, files were made.

The format is CycloneDX 1.6 (ECMA-424). It bears no time, and its serial number is a hash of what it says.
"""

import json
import platform
import uuid
from collections.abc import Iterable
from typing import Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from mbexport.fingerprint import LIBRARIES
from mbexport.manifest import NAME, Input, Manifest
from mbexport.provenance.distributions import Installed, closure

SBOM: Final = "sbom.cdx.json"
FINGERPRINT: Final = "mbexport:fingerprint"
_MODEL: Final = "model"
_PYTHON: Final = "python"
_TFDS: Final = "tfds"  # an extra of ours, and how the name of a data set begins that needs it
_SERIAL_NUMBERS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "pkg:pypi/mbexport#sbom")


def sbom_json(manifest: Manifest, *, stem: str, version: str, licence: str | None = None) -> bytes:
    """The bill of materials of the model `stem`: its files, what it was made of, and all that is installed to make it.

    The same manifest gives the same bytes where the same is installed.
    """
    model = Component(
        name=stem,
        version=version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=_MODEL,
        licenses=_licences(licence),
    )
    files = [
        Component(name=name, type=ComponentType.FILE, bom_ref=f"file:{name}", hashes=[_sha256(facts.sha256)])
        for name, facts in sorted(manifest.files.items())
        if facts.repeats and is_component(name)
    ]
    inputs = [_input(option, each) for option, each in sorted(manifest.inputs.items())]
    installed = _installed(manifest.inputs.values())
    tools = {each.name: _tool(each, manifest) for each in installed}
    python = _python(manifest.tool.environment[_PYTHON])
    bom = Bom(components=[*files, *inputs, *tools.values(), python])
    bom.metadata.component = model
    bom.register_dependency(model, [*files, *inputs, tools[NAME]])
    for each in installed:
        bom.register_dependency(tools[each.name], [python, *(tools[need] for need in each.needs)])
    return _to_bytes(bom)


def is_component(name: str) -> bool:
    """Whether a file that was made is told: no bundle is, which may be made of the others again, otherwise."""
    return "/" not in name and not name.endswith(".zip")


def _installed(inputs: Iterable[Input]) -> list[Installed]:
    """Ourselves and what we need; where we run without having been installed, the libraries that touch artifacts."""
    extras = [_TFDS] if any(each.name.startswith(f"{_TFDS}:") for each in inputs) else []
    found = closure({NAME: extras})
    if NAME not in found:
        found = closure(dict.fromkeys(LIBRARIES, ()))
        needs = tuple(sorted(set(LIBRARIES) & set(found)))
        found[NAME] = Installed(name=NAME, version="", licence=None, needs=needs)
    return [found[name] for name in sorted(found)]


def _tool(installed: Installed, manifest: Manifest) -> Component:
    """A distribution; of ourselves the manifest's version counts, and a hash of the code."""
    is_ours = installed.name == NAME
    version = manifest.tool.versions[NAME] if is_ours else installed.version
    purl = PackageURL(type="pypi", name=installed.name, version=version)
    return Component(
        name=installed.name,
        version=version,
        type=ComponentType.APPLICATION if is_ours else ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=_licences(installed.licence),
        properties=[Property(name="mbexport:code", value=manifest.tool.code)] if is_ours else [],
    )


def _python(version: str) -> Component:
    name = platform.python_implementation()
    return Component(
        name=name,
        version=version,
        type=ComponentType.PLATFORM,
        bom_ref=_PYTHON,
        purl=PackageURL(type="generic", name=_PYTHON, version=version),
        licenses=_licences("PSF-2.0" if name == "CPython" else None),
    )


def _input(option: str, each: Input) -> Component:
    """What an option named; the fingerprint of a folder is no hash of a file, and is not told as one."""
    return Component(
        name=each.name,
        type=ComponentType.DATA,
        bom_ref=f"input:{option}",
        hashes=[_sha256(each.digest)] if each.is_file else [],
        properties=[] if each.is_file else [Property(name=FINGERPRINT, value=each.digest)],
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _licences(name: str | None) -> list[Any]:
    return [LicenseFactory().make_from_string(name)] if name else []


def _to_bytes(bom: Bom) -> bytes:
    """Without the time, with a serial number that follows from the rest, and with what the library cannot say yet."""
    told = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del told["metadata"]["timestamp"], told["serialNumber"]
    told["metadata"]["component"]["modelCard"] = {"modelParameters": {"task": "image-classification"}}
    serial = uuid.uuid5(_SERIAL_NUMBERS, json.dumps(told, sort_keys=True))
    head = {name: told.pop(name) for name in ("$schema", "bomFormat", "specVersion")}
    return (json.dumps({**head, "serialNumber": serial.urn, **told}, indent=2) + "\n").encode()
