"""Make the iOS bundle, a Swift package and a pod: the model, the code that calls it, and tests of both."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from markupsafe import Markup

from mbexport.artifact import LABELS, labels_file
from mbexport.bundles.app_model import AnyModel, DetectorModel, restrict_golden
from mbexport.bundles.detector_outputs import most_found
from mbexport.bundles.ios.names import file_name, module_name
from mbexport.errors import DataError
from mbexport.escaping.source import Source
from mbexport.escaping.templates import markdown_templates, source_templates
from mbexport.golden.vectors import FOLDER, INDEX
from mbexport.models.task import Task

_HERE: Final = "mbexport.bundles.ios"
# Google's own package (litert/swift/README.md in it): a release's branch has the binaries' addresses and checksums.
_RUNTIME_URL: Final = "https://github.com/google-ai-edge/LiteRT.git"
_RUNTIME_BRANCH: Final = "release/2.3.0"
_ELEMENTS: Final = ("uint8", "int8", "float32")
_SHARED: Final = "swift"
_PLAIN: Final = ".swift"
_TEMPLATE: Final = ".swift.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """What apps call for a task: the type `type` with the function `verb`, whose sources lie in the folder `noun`.

    `asked` are the arguments behind an image that are handed on. `values` are the further names that templates use;
    it raises `DataError` for a model that the sources cannot read.
    """

    type: str
    noun: str
    verb: str
    purpose: str
    asked: str = ""
    values: Callable[[AnyModel], dict[str, Any]] = lambda _: {}


def _detector(app: DetectorModel) -> dict[str, Any]:
    return {"most": most_found(app), "least_score": app.golden.least_score}


_CODE: Final[Mapping[Task, _Code]] = MappingProxyType(
    {
        Task.CLASSIFY: _Code(type="Classifier", noun="classifier", verb="classify", purpose="Image classification"),
        Task.DETECT: _Code(
            type="Detector",
            noun="detector",
            verb="detect",
            purpose="Object detection",
            values=_detector,
            asked=", minScore: minScore",
        ),
    }
)


def ios_files(app: AnyModel) -> dict[str, bytes]:
    """The files of the iOS bundle by their paths in its folder; the same values give the same bytes.

    Raises `DataError` for tensors that the sources cannot feed or read, for labels that are not one line each, and
    for golden vectors that are not whole.
    """
    _require_supported(app)
    code, name = _CODE[app.task], module_name(app.name, app.task)
    app = restrict_golden(app, file=file_name(app.artifact.file, name=name))
    sources, tests = f"Sources/{name}", f"Tests/{name}Tests"
    resources = {app.artifact.file: app.model, LABELS: labels_file(app.labels)}
    swift, ruby, markdown = source_templates(_HERE, "swift"), source_templates(_HERE, "ruby"), markdown_templates(_HERE)
    rendered = {
        "Package.swift": swift.get_template("package.j2"),
        "README.md": markdown.get_template(f"{code.noun}/readme.j2"),
        f"{name}.podspec": ruby.get_template("podspec.j2"),
        f"{sources}/Settings.swift": swift.get_template("settings.j2"),
        f"{tests}/GoldenTests.swift": swift.get_template(f"{code.noun}/tests.j2"),
    }
    values = _values(app, name)
    return {
        **{file: template.render(values).encode() for file, template in rendered.items()},
        **{f"{sources}/{file}": content for file, content in _swift_sources(code, values)},
        **{f"{sources}/Resources/{file}": content for file, content in resources.items()},
        f"{tests}/{FOLDER}/{INDEX}": app.golden.to_bytes(),
        **{f"{tests}/{FOLDER}/{file}": content for file, content in app.golden_files.items()},
    }


def _require_supported(app: AnyModel) -> None:
    source = app.artifact.input
    outputs = (app.artifact.output,) if app.task is Task.CLASSIFY else ()
    for what, dtype in (("input", source.dtype), *(("output", each.dtype) for each in outputs)):
        if dtype not in _ELEMENTS:
            raise DataError(f"the {what} of {app.artifact.file} must be {', '.join(_ELEMENTS)}, got {dtype}")
    if source.layout != "nhwc":
        raise DataError(f"the input of {app.artifact.file} must be nhwc, got {source.layout}")
    broken = next((label for label in app.labels if "\n" in label), None)
    if broken is not None:
        raise DataError(f"a label must be one line, got {broken!r}")


def _values(app: AnyModel, name: str) -> dict[str, Any]:
    """The names that the templates use."""
    licence, code = app.golden.licence, _CODE[app.task]
    return {
        **code.values(app),
        "is_detector": app.task is Task.DETECT,
        "type": code.type,
        "noun": code.noun,
        "verb": code.verb,
        "asked": Source(code.asked),
        "purpose": code.purpose,
        "name": name,
        "version": app.version,
        "artifact": app.artifact,
        "is_blue_first": app.is_blue_first,
        "labels": app.labels,
        "preprocess": app.golden.preprocess,
        "cases": len(app.golden.cases),
        "licence": licence,
        "licence_text": f"The model: {licence}." if licence else "No licence was stated for the model.",
        "runtime_url": _RUNTIME_URL,
        "runtime": Markup(f"`{_RUNTIME_URL}`"),  # our own, and no text to be escaped
        "runtime_branch": _RUNTIME_BRANCH,
    }


def _swift_sources(code: _Code, values: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The sources that are the same for every model of the task, by file name."""
    templates = source_templates(_HERE, "swift")
    for folder in (_SHARED, code.noun):
        for each in files(_HERE).joinpath(folder).iterdir():
            if each.name.endswith(_PLAIN):
                yield each.name, each.read_bytes()
            elif each.name.endswith(_TEMPLATE):
                text = templates.get_template(f"{folder}/{each.name}").render(values)
                yield each.name.removesuffix(".j2"), text.encode()
