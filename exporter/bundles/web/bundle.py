"""Make the web bundle, an npm package: the model, the code that calls it, tests of both and a demo page."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from mbexport.bundles.app_model import AnyModel, ClassifierModel, DetectorModel, restrict_golden
from mbexport.bundles.detector_outputs import most_found
from mbexport.bundles.web.names import file_name, package_name
from mbexport.documents import parse_json
from mbexport.errors import DataError
from mbexport.escaping.templates import markdown_templates, source_templates
from mbexport.formats.runner import FLOAT
from mbexport.golden.vectors import FOLDER, INDEX
from mbexport.models.task import Task

_HERE: Final = "mbexport.bundles.web"
# LiteRT.js, and what it is itself made of: both exactly, since an app's own lock decides for what they depend on.
_RUNTIME: Final = ("@litertjs/core", "@litertjs/wasm-utils")
_LOCK: Final = "package-lock.json"  # every package with its hash, as npm wrote it
_LICENCE: Final = "SEE LICENSE IN README.md"  # as package.json spells that one expression does not cover all files
_NODE: Final = ">=20.6"  # the first with import.meta.resolve
_TYPES: Final = ("uint8", "int8", "float32")
_SOURCES: Final = "src"
_TEMPLATE: Final = ".j2"
# Where files of a task go that are no sources of the package: what its tests ask, and what its demo shows.
_PLACES: Final = {"answers.js": "test", "shown.js": "demo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """What apps call for a task, a `title` for people: the class `type`, whose sources lie in the folder `noun`.

    `values` are the further names that templates use; it raises `DataError` for a model that the sources cannot read.
    """

    type: str
    noun: str
    title: str
    values: Callable[[AnyModel], dict[str, Any]]


def _classifier(app: ClassifierModel) -> dict[str, Any]:
    _require_type("output", app.artifact.output.dtype, app)
    return {"output": app.artifact.output.dtype}


def _detector(app: DetectorModel) -> dict[str, Any]:
    return {"output": FLOAT, "most": most_found(app), "least_score": app.golden.least_score}


_CODE: Final[Mapping[Task, _Code]] = MappingProxyType(
    {
        Task.CLASSIFY: _Code(type="Classifier", noun="classifier", title="Image classifier", values=_classifier),
        Task.DETECT: _Code(type="Detector", noun="detector", title="Object detector", values=_detector),
    }
)


def web_files(app: AnyModel) -> dict[str, bytes]:
    """The files of the web bundle by their paths in its folder; the same values give the same bytes.

    Raises `DataError` for tensors that the sources cannot feed or read, and for golden vectors that are not whole.
    """
    _require_type("input", app.artifact.input.dtype, app)
    if app.artifact.input.layout != "nhwc":
        raise DataError(f"the input of {app.artifact.file} must be nhwc, got {app.artifact.input.layout}")
    code = _CODE[app.task]
    app = restrict_golden(app, file=file_name(app.artifact.file))
    values = _values(app)
    source, markdown = source_templates(_HERE, "javascript"), markdown_templates(_HERE)
    rendered = {
        "README.md": markdown.get_template(f"{code.noun}/readme.j2"),
        f"{_SOURCES}/settings.js": source.get_template("settings.j2"),
        f"{_SOURCES}/labels.js": source.get_template("labels.j2"),
    }
    return {
        **_package_files(app),
        **{file: template.render(values).encode() for file, template in rendered.items()},
        **dict(_copied(code)),
        f"model/{app.artifact.file}": app.model,
        f"{FOLDER}/{INDEX}": app.golden.to_bytes(),
        **{f"{FOLDER}/{file}": content for file, content in app.golden_files.items()},
    }


def _require_type(what: str, dtype: str, app: AnyModel) -> None:
    if dtype not in _TYPES:
        raise DataError(f"the {what} of {app.artifact.file} must be {', '.join(_TYPES)}, got {dtype}")


def _package_files(app: AnyModel) -> dict[str, bytes]:
    """package.json, and the lock that goes with it."""
    lock: dict[str, Any] = parse_json(files(_HERE).joinpath(_LOCK).read_bytes())
    what = f"{_CODE[app.task].title} {app.artifact.file}"
    package = {
        "name": package_name(app.name),
        "version": app.version,
        "description": f"{what}: {app.golden.classes} classes, in browsers and in node",
        "license": _LICENCE,
        "type": "module",
        "sideEffects": False,
        "exports": {
            ".": {
                "types": f"./{_SOURCES}/index.d.ts",
                "node": f"./{_SOURCES}/node.js",
                "default": f"./{_SOURCES}/index.js",
            }
        },
        "files": [_SOURCES, "model"],
        "scripts": {"test": "node --test test/golden.test.js test/chromium.test.js"},
        "dependencies": {each: lock["packages"][f"node_modules/{each}"]["version"] for each in _RUNTIME},
        "engines": {"node": _NODE},
    }
    own = {name: package[name] for name in ("name", "version", "license", "dependencies", "engines")}
    named = {"name": own["name"], "version": own["version"]}
    locked = {**lock, **named, "packages": {**lock["packages"], "": own}}
    return {"package.json": _json(package), _LOCK: _json(locked)}


def _json(content: dict[str, Any]) -> bytes:
    return f"{json.dumps(content, indent=2)}\n".encode()


def _copied(code: _Code) -> Iterator[tuple[str, bytes]]:
    """The files that are the same for every model of the task, by their paths."""
    for folder in (_SOURCES, "demo", "test", code.noun):
        for each in files(_HERE).joinpath(folder).iterdir():
            if not each.name.endswith(_TEMPLATE):
                place = _PLACES.get(each.name, _SOURCES) if folder == code.noun else folder
                yield f"{place}/{each.name}", each.read_bytes()


def _values(app: AnyModel) -> dict[str, Any]:
    """The names that the templates use."""
    code = _CODE[app.task]
    return {
        **code.values(app),
        "is_detector": app.task is Task.DETECT,
        "type": code.type,
        "name": package_name(app.name),
        "version": app.version,
        "artifact": app.artifact,
        "is_blue_first": app.is_blue_first,
        "labels": app.labels,
        "preprocess": app.golden.preprocess,
        "cases": len(app.golden.cases),
        "licence": app.golden.licence,
        "model_bytes": len(app.model),
    }
