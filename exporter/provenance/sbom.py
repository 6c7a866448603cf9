"""Write sbom.cdx.json: the files of a manifest, what they were made of, and the installed packages that made them.

The format is CycloneDX 1.6 (ECMA-424). The file holds no time, and its serial number is a hash of the rest.
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
from mbexport.formats.coreml.rows import is_in_package
from mbexport.formats.npu.chips import is_compiled
from mbexport.provenance.installed import Installed, closure
from mbexport.provenance.manifest import NAME, Input, Manifest

SBOM: Final = "sbom.cdx.json"
FINGERPRINT: Final = "mbexport:fingerprint"
_MODEL: Final = "model"
_PYTHON: Final = "python"
_TFDS: Final = "tfds"  # an extra of mbexport, and the prefix of the data sets that need it
_EXTRAS: Final = (("npu", is_compiled), ("coreml", is_in_package))  # by the files that they make
_SERIAL_NUMBERS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "pkg:pypi/mbexport#sbom")


def sbom_json(manifest: Manifest, *, stem: str, version: str, task: str, licence: str | None = None) -> bytes:
    """The bill of materials of the model `stem`: its files, its inputs, and the installed packages that made it.

    `task` is what the Hugging Face Hub calls the model's. The same manifest gives the same bytes where the same
    packages are installed.
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
    installed = _installed_here(manifest.inputs.values(), manifest.files)
    tools = {each.name: _tool(each, manifest) for each in installed}
    python = _python(manifest.tool.environment[_PYTHON])
    bom = Bom(components=[*files, *inputs, *tools.values(), python])
    bom.metadata.component = model
    bom.register_dependency(model, [*files, *inputs, tools[NAME]])
    for each in installed:
        bom.register_dependency(tools[each.name], [python, *(tools[need] for need in each.needs)])
    return _to_bytes(bom, task)


def is_component(name: str) -> bool:
    """Whether the bill lists this file; it lists no bundles, which can be made of the other files again."""
    return is_compiled(name) or is_in_package(name) or ("/" not in name and not name.endswith(".zip"))


def _installed_here(inputs: Iterable[Input], files: Iterable[str]) -> list[Installed]:
    """mbexport and what it needs; where it runs without being installed, the libraries that touch artifacts."""
    extras = [_TFDS] if any(each.name.startswith(f"{_TFDS}:") for each in inputs) else []
    names = list(files)
    extras += [extra for extra, is_made in _EXTRAS if any(map(is_made, names))]
    found = closure({NAME: extras})
    if NAME not in found:
        found = closure(dict.fromkeys(LIBRARIES, ()))
        needs = tuple(sorted(set(LIBRARIES) & set(found)))
        found[NAME] = Installed(name=NAME, version="", licence=None, needs=needs)
    return [found[name] for name in sorted(found)]


def _tool(installed: Installed, manifest: Manifest) -> Component:
    """A distribution; mbexport itself has the manifest's version, and a hash of its code."""
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
    """The input that an option named; a folder's fingerprint is no hash of a file, and stands among the properties."""
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


def _to_bytes(bom: Bom, task: str) -> bytes:
    """The JSON of the bill, without the time that the library adds, and with a serial number made of the rest.

    The library cannot write a model card yet (CycloneDX 1.6, `modelCard`): it is added here.
    """
    content = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del content["metadata"]["timestamp"], content["serialNumber"]
    content["metadata"]["component"]["modelCard"] = {"modelParameters": {"task": task}}
    serial = uuid.uuid5(_SERIAL_NUMBERS, json.dumps(content, sort_keys=True))
    head = {name: content.pop(name) for name in ("$schema", "bomFormat", "specVersion")}
    return (json.dumps({**head, "serialNumber": serial.urn, **content}, indent=2) + "\n").encode()
