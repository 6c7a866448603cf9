"""What settings.properties says to the Java wrapper, a table by the task of the model."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from mbexport.bundles.android.ai_pack import asset_of_npu
from mbexport.bundles.android.runtimes import Runtime
from mbexport.bundles.app_model import AnyModel, ClassifierModel, DetectorModel
from mbexport.bundles.detector_outputs import most_found
from mbexport.errors import DataError
from mbexport.escaping.source import boolean, double, integer
from mbexport.golden.detection.vectors import DetectorCase
from mbexport.golden.vectors import FOLDER, Case, GoldenOutput
from mbexport.models.task import Task

_CODES: Final = ("uint8", "int8")
_DTYPES: Final = (*_CODES, "float32")
_SIGNATURE: Final = "serving_default"  # what TensorFlow's converter calls the one function of a file
# How far codes may be off at least that an NPU or a GPU has computed: on 100 images six emulated NPUs and a GPU's
# accelerator were up to 20 off (decisions 0053 and 0056). A tolerance for floats has room for half precision already.
_ACCELERATED_CODES: Final = 24


def settings_of(app: AnyModel, *, package: str, runtime: Runtime) -> dict[str, str]:
    """The settings that Settings.java reads. Each number is spelt so that it comes back as the same double.

    Raises `DataError` for a model whose tensors the wrapper cannot feed or read.
    """
    accelerated = _accelerated(app, package) if runtime.is_accelerated else {}
    return {**_SETTINGS[app.task](app), **accelerated}


def _accelerated(app: AnyModel, package: str) -> dict[str, str]:
    """What the wrapper has to know to tell accelerators from one another, and to look for the NPU's file."""
    told = (
        {"chip": chip.name, "title": chip.title, "sha256": hashlib.sha256(content).hexdigest()}
        for chip, content in app.compiled.items()
    )
    return {
        "model.sha256": hashlib.sha256(app.model).hexdigest(),
        "signature": _SIGNATURE,
        "input.name": app.artifact.input.name,
        "npu.file": asset_of_npu(package),
        "npu.chips": str(len(app.compiled)),
        **_numbered("npu", told),
        **_ACCELERATED[app.task](app),
    }


def _accelerated_output(app: ClassifierModel) -> dict[str, str]:
    target = app.artifact.output
    return {
        "output.name": target.name,
        "output.tolerance.accelerated": double(accelerated_tolerance(target)),
    }


def accelerated_tolerance(target: GoldenOutput) -> float:
    """How far an output may be off that an NPU or a GPU has computed."""
    return max(target.tolerance, _ACCELERATED_CODES) if target.dtype in _CODES else target.tolerance


def _classifier(app: ClassifierModel) -> dict[str, str]:
    golden, target = app.golden, app.artifact.output
    _require_supported(app, target.dtype)
    if target.dtype in _CODES and target.scale is None:
        raise DataError(f"the output of {app.artifact.file} must have a scale for its {target.dtype} codes, got none")
    return {
        **_input(app),
        "output.type": target.dtype,
        "output.kind": target.kind,
        "output.scale": double(1.0 if target.scale is None else target.scale),
        "output.zero_point": integer(0 if target.zero_point is None else target.zero_point),
        "output.tolerance": double(target.tolerance),
        "cases": str(len(golden.cases)),
        **_numbered("case", (_case(each, app.artifact.file) for each in golden.cases)),
    }


def _detector(app: DetectorModel) -> dict[str, str]:
    golden, tolerance = app.golden, app.artifact.tolerance
    _require_supported(app)
    return {
        **_input(app),
        "most": integer(most_found(app)),
        "least_score": double(golden.least_score),
        "tolerance.score": double(tolerance.score),
        "tolerance.corner": double(tolerance.corner),
        "cases": str(len(golden.cases)),
        **_numbered("case", (_photo(each, app.artifact.file) for each in golden.cases)),
    }


_SETTINGS: Final[Mapping[Task, Callable[[AnyModel], dict[str, str]]]] = MappingProxyType(
    {Task.CLASSIFY: _classifier, Task.DETECT: _detector}
)


_ACCELERATED: Final[Mapping[Task, Callable[[AnyModel], dict[str, str]]]] = MappingProxyType(
    {Task.CLASSIFY: _accelerated_output, Task.DETECT: lambda _: {}}  # boxes are made by an op that CPUs alone have
)


def _require_supported(app: AnyModel, *outputs: str) -> None:
    source = app.artifact.input
    wrong = [dtype for dtype in (source.dtype, *outputs) if dtype not in _DTYPES]
    if wrong or source.layout != "nhwc":
        told = " and ".join((f"{source.dtype} ({source.layout})", *outputs))
        raise DataError(
            f"{app.artifact.file}: an Android bundle needs uint8, int8 or float32 tensors with the channels last, "
            f"got {told}"
        )


def _input(app: AnyModel) -> dict[str, str]:
    """How photos become the model's input."""
    source, preprocess = app.artifact.input, app.golden.preprocess
    return {
        "model": app.artifact.file,
        "classes": integer(app.golden.classes),
        "resolution": str(preprocess.resolution),
        "channels": integer(preprocess.channels),
        **({} if preprocess.is_stretched else {"crop_fraction": double(preprocess.crop_fraction)}),
        "input.type": source.dtype,
        "input.channel_order": source.channel_order,
        "input.mean": ",".join(double(each) for each in source.mean),
        "input.std": ",".join(double(each) for each in source.std),
    }


def _case(case: Case, file: str) -> dict[str, str]:
    expected = case.expected[file]
    return {**_image(case), "output": f"{FOLDER}/{expected.output}", "top": integer(expected.top)}


def _photo(case: DetectorCase, file: str) -> dict[str, str]:
    rows = case.expected[file]
    told = (
        {
            "class": integer(row.index),
            "score": double(row.score),
            "box": ",".join(double(each) for each in row.box),
            "safe": boolean(row.is_safe),
        }
        for row in rows
    )
    return {**_image(case), "rows": str(len(rows)), **_numbered("row", told)}


def _image(case: Case | DetectorCase) -> dict[str, str]:
    return {
        "name": case.name,
        "width": integer(case.width),
        "height": integer(case.height),
        "raw": f"{FOLDER}/{case.raw}",
        "resized": f"{FOLDER}/{case.resized}",
    }


def _numbered(name: str, entries: Iterator[dict[str, str]]) -> dict[str, str]:
    """The entries of each, behind a name and its number: case.0.width."""
    return {f"{name}.{number}.{key}": value for number, each in enumerate(entries) for key, value in each.items()}
