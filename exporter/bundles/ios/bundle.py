"""Turns what an app gets of a run into a Swift package and a pod: the model, its classifier, tests of both."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from mbexport.artifact import LABELS, labels_file
from mbexport.bundles.app import Shipped, of_one_artifact
from mbexport.bundles.files import environment
from mbexport.bundles.ios import names as ios_names
from mbexport.errors import DataError
from mbexport.golden.vectors import FOLDER, INDEX

_HERE: Final = "mbexport.bundles.ios"
# Google's own package, litert/swift/README.md there: the branch of a release has the binaries' addresses and checksums.
_RUNTIME_URL: Final = "https://github.com/google-ai-edge/LiteRT.git"
_RUNTIME_BRANCH: Final = "release/2.3.0"
_ELEMENTS: Final = ("uint8", "int8", "float32")


def ios_files(shipped: Shipped) -> dict[str, bytes]:
    """The files of the folder `ios`, by their paths in it: the same run gives the same bytes.

    Raises `DataError` for tensors that the classifier cannot feed or read, for labels that are not one line each, and
    for golden vectors that are not whole.
    """
    _require_readable(shipped)
    name = ios_names.module_name(shipped.name)
    shipped = of_one_artifact(shipped, file=ios_names.file_name(shipped.artifact.file, name=name))
    sources, tests = f"Sources/{name}", f"Tests/{name}Tests"
    resources = {shipped.artifact.file: shipped.model, LABELS: labels_file(shipped.labels)}
    rendered = {
        "Package.swift": "package.j2",
        "README.md": "readme.j2",
        f"{name}.podspec": "podspec.j2",
        f"{sources}/Settings.swift": "settings.j2",
        f"{tests}/GoldenTests.swift": "tests.j2",
    }
    return {
        **_rendered(shipped, name, rendered),
        **{f"{sources}/{file}": content for file, content in _swift_sources().items()},
        **{f"{sources}/Resources/{file}": content for file, content in resources.items()},
        f"{tests}/{FOLDER}/{INDEX}": shipped.golden.to_bytes(),
        **{f"{tests}/{FOLDER}/{file}": content for file, content in shipped.files.items()},
    }


def _require_readable(shipped: Shipped) -> None:
    source, target = shipped.artifact.input, shipped.artifact.output
    for what, dtype in (("input", source.dtype), ("output", target.dtype)):
        if dtype not in _ELEMENTS:
            raise DataError(f"the {what} of {shipped.artifact.file} must be {', '.join(_ELEMENTS)}, got {dtype}")
    if source.layout != "nhwc":
        raise DataError(f"the input of {shipped.artifact.file} must be nhwc, got {source.layout}")
    if len(shipped.labels) != shipped.golden.classes:
        raise DataError(f"labels must be {shipped.golden.classes}, one for each class, got {len(shipped.labels)}")
    broken = next((label for label in shipped.labels if "\n" in label), None)
    if broken is not None:
        raise DataError(f"a label must be one line, got {broken!r}")


def _rendered(shipped: Shipped, name: str, templates: Mapping[str, str]) -> dict[str, bytes]:
    found = environment(_HERE)
    for word in ("swift", "ruby", "double", "doubles", "code"):
        found.filters[word] = getattr(ios_names, word)
    licence = shipped.golden.licence
    source = shipped.artifact.input
    values = {
        "name": name,
        "version": shipped.version,
        "artifact": shipped.artifact,
        "is_blue_first": source.channel_order == "BGR" and source.dtype == "float32",  # codes are bytes of RGB
        "labels": shipped.labels,
        "preprocess": shipped.golden.preprocess,
        "cases": len(shipped.golden.cases),
        "licence": licence,
        "licence_text": f"The model: {licence}." if licence else "No licence was stated for the model.",
        "runtime_url": _RUNTIME_URL,
        "runtime_branch": _RUNTIME_BRANCH,
    }
    return {file: found.get_template(template).render(values).encode() for file, template in templates.items()}


def _swift_sources() -> dict[str, bytes]:
    folder = files(_HERE).joinpath("swift")
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.endswith(".swift")}
