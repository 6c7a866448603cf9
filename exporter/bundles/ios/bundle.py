"""Make the iOS bundle, a Swift package and a pod: the model, its classifier, and tests of both."""

from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup

from mbexport.artifact import LABELS, labels_file
from mbexport.bundles.app_model import AnyModel, restrict_golden
from mbexport.bundles.ios.names import file_name, module_name
from mbexport.errors import DataError
from mbexport.escaping.templates import markdown_templates, source_templates
from mbexport.golden.vectors import FOLDER, INDEX

_HERE: Final = "mbexport.bundles.ios"
# Google's own package (litert/swift/README.md in it): a release's branch has the binaries' addresses and checksums.
_RUNTIME_URL: Final = "https://github.com/google-ai-edge/LiteRT.git"
_RUNTIME_BRANCH: Final = "release/2.3.0"
_ELEMENTS: Final = ("uint8", "int8", "float32")


def ios_files(app: AnyModel) -> dict[str, bytes]:
    """The files of the iOS bundle by their paths in its folder; the same values give the same bytes.

    Raises `DataError` for tensors that the classifier cannot feed or read, for labels that are not one line each, and
    for golden vectors that are not whole.
    """
    _require_supported(app)
    name = module_name(app.name)
    app = restrict_golden(app, file=file_name(app.artifact.file, name=name))
    sources, tests = f"Sources/{name}", f"Tests/{name}Tests"
    resources = {app.artifact.file: app.model, LABELS: labels_file(app.labels)}
    swift, ruby, markdown = source_templates(_HERE, "swift"), source_templates(_HERE, "ruby"), markdown_templates(_HERE)
    rendered = {
        "Package.swift": swift.get_template("package.j2"),
        "README.md": markdown.get_template("readme.j2"),
        f"{name}.podspec": ruby.get_template("podspec.j2"),
        f"{sources}/Settings.swift": swift.get_template("settings.j2"),
        f"{tests}/GoldenTests.swift": swift.get_template("tests.j2"),
    }
    values = _values(app, name)
    return {
        **{file: template.render(values).encode() for file, template in rendered.items()},
        **{f"{sources}/{file}": content for file, content in _swift_sources().items()},
        **{f"{sources}/Resources/{file}": content for file, content in resources.items()},
        f"{tests}/{FOLDER}/{INDEX}": app.golden.to_bytes(),
        **{f"{tests}/{FOLDER}/{file}": content for file, content in app.golden_files.items()},
    }


def _require_supported(app: AnyModel) -> None:
    source, target = app.artifact.input, app.artifact.output
    for what, dtype in (("input", source.dtype), ("output", target.dtype)):
        if dtype not in _ELEMENTS:
            raise DataError(f"the {what} of {app.artifact.file} must be {', '.join(_ELEMENTS)}, got {dtype}")
    if source.layout != "nhwc":
        raise DataError(f"the input of {app.artifact.file} must be nhwc, got {source.layout}")
    broken = next((label for label in app.labels if "\n" in label), None)
    if broken is not None:
        raise DataError(f"a label must be one line, got {broken!r}")


def _values(app: AnyModel, name: str) -> dict[str, Any]:
    """The names that the templates use."""
    licence = app.golden.licence
    source = app.artifact.input
    return {
        "name": name,
        "version": app.version,
        "artifact": app.artifact,
        "is_blue_first": source.channel_order == "BGR" and source.dtype == "float32",  # codes are bytes of RGB
        "labels": app.labels,
        "preprocess": app.golden.preprocess,
        "cases": len(app.golden.cases),
        "licence": licence,
        "licence_text": f"The model: {licence}." if licence else "No licence was stated for the model.",
        "runtime_url": _RUNTIME_URL,
        "runtime": Markup(f"`{_RUNTIME_URL}`"),  # our own, and no text to be escaped
        "runtime_branch": _RUNTIME_BRANCH,
    }


def _swift_sources() -> dict[str, bytes]:
    folder = files(_HERE).joinpath("swift")
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.endswith(".swift")}
