"""Write sbom.cdx.json: the files of a manifest, what they were made of, and the installed packages that made them.

The format is CycloneDX 1.6 (ECMA-424). The file holds no time, and its serial number is a hash of the rest.
"""

import json
import platform
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from typing import Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from mbexport.fingerprint import LIBRARIES
from mbexport.formats.npu.chips import is_compiled
from mbexport.provenance.manifest import NAME, Input, Manifest

_LONGEST_LICENCE: Final = 80  # characters; some distributions put the whole text where the licence's name belongs
_CLASSIFIER: Final = "License :: "
SBOM: Final = "sbom.cdx.json"
FINGERPRINT: Final = "mbexport:fingerprint"
_MODEL: Final = "model"
_PYTHON: Final = "python"
_TFDS: Final = "tfds"  # an extra of mbexport, and the prefix of the data sets that need it
_NPU: Final = "npu"  # an extra, too: what compiles for NPUs
_SERIAL_NUMBERS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "pkg:pypi/mbexport#sbom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution; `needs` are the canonical names of the installed distributions that it requires here."""

    name: str
    version: str
    licence: str | None
    needs: tuple[str, ...]


def closure(roots: Mapping[str, Iterable[str]]) -> dict[str, Installed]:
    """The `roots` (extras by name) and all distributions that they require, directly or not, by canonical name, sorted.

    Markers are evaluated for this Python and machine; what is required and not installed is left out.
    """
    here: dict[str, Distribution] = {}
    for each in distributions():  # the first on the path is the one that is imported
        if "Name" in each.metadata and "Version" in each.metadata:  # else pip was stopped as it removed it
            here.setdefault(canonicalize_name(each.name), each)
    extras: dict[str, frozenset[str]] = {}
    needs: dict[str, set[str]] = {}
    open_ends = [(canonicalize_name(name), frozenset(asked)) for name, asked in roots.items()]
    while open_ends:
        name, asked = open_ends.pop()
        known = extras.get(name)
        if name not in here or (known is not None and asked <= known):
            continue
        extras[name] = asked | (known or frozenset())
        wanted = _wanted(here[name], extras[name])
        needs[name] = {each for each, _ in wanted if each in here}
        open_ends += wanted
    return {name: _installed(name, here[name], needs[name]) for name in sorted(needs)}


def _wanted(distribution: Distribution, extras: frozenset[str]) -> list[tuple[NormalizedName, frozenset[str]]]:
    wanted = []
    for text in distribution.requires or ():
        try:
            each = Requirement(text)
            counts = each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in {"", *extras})
        except (InvalidRequirement, UndefinedEnvironmentName):
            continue  # written before there were rules (PEP 508); pip cannot follow it either
        if counts:
            wanted.append((canonicalize_name(each.name), frozenset(each.extras)))
    return wanted


def _installed(name: str, distribution: Distribution, needs: Iterable[str]) -> Installed:
    return Installed(
        name=name, version=distribution.version, licence=_licence(distribution), needs=tuple(sorted(needs))
    )


def _licence(distribution: Distribution) -> str | None:
    """The licence that its metadata state, best first: an SPDX expression (PEP 639), a name, a classifier."""
    metadata = distribution.metadata
    for field in ("License-Expression", "License"):
        text = (metadata[field] or "").strip() if field in metadata else ""
        if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _LONGEST_LICENCE:
            return text
    named = [each for each in metadata.get_all("Classifier") or () if each.startswith(_CLASSIFIER)]
    return named[0].rsplit(" :: ", 1)[1] if named else None


def sbom_json(manifest: Manifest, *, stem: str, version: str, licence: str | None = None) -> bytes:
    """The bill of materials of the model `stem`: its files, its inputs, and the installed packages that made it.

    The same manifest gives the same bytes where the same packages are installed.
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
    installed = _installed_here(manifest.inputs.values(), is_compiled_for_npu=any(map(is_compiled, manifest.files)))
    tools = {each.name: _tool(each, manifest) for each in installed}
    python = _python(manifest.tool.environment[_PYTHON])
    bom = Bom(components=[*files, *inputs, *tools.values(), python])
    bom.metadata.component = model
    bom.register_dependency(model, [*files, *inputs, tools[NAME]])
    for each in installed:
        bom.register_dependency(tools[each.name], [python, *(tools[need] for need in each.needs)])
    return _to_bytes(bom)


def is_component(name: str) -> bool:
    """Whether the bill lists this file; it lists no bundles, which can be made of the other files again."""
    return is_compiled(name) or ("/" not in name and not name.endswith(".zip"))


def _installed_here(inputs: Iterable[Input], *, is_compiled_for_npu: bool) -> list[Installed]:
    """mbexport and what it needs; where it runs without being installed, the libraries that touch artifacts."""
    extras = [_TFDS] if any(each.name.startswith(f"{_TFDS}:") for each in inputs) else []
    extras += [_NPU] if is_compiled_for_npu else []
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


def _to_bytes(bom: Bom) -> bytes:
    """The JSON of the bill, without the time that the library adds, and with a serial number made of the rest.

    The library cannot write a model card yet (CycloneDX 1.6, `modelCard`): it is added here.
    """
    content = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del content["metadata"]["timestamp"], content["serialNumber"]
    content["metadata"]["component"]["modelCard"] = {"modelParameters": {"task": "image-classification"}}
    serial = uuid.uuid5(_SERIAL_NUMBERS, json.dumps(content, sort_keys=True))
    head = {name: content.pop(name) for name in ("$schema", "bomFormat", "specVersion")}
    return (json.dumps({**head, "serialNumber": serial.urn, **content}, indent=2) + "\n").encode()
