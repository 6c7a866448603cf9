"""The model that an app gets: one artifact of a finished run, its labels and the golden vectors that prove it works."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from mbexport import __version__
from mbexport.artifact import Precision
from mbexport.bundles.registry import Bundling, Platform
from mbexport.errors import DataError
from mbexport.formats.npu.chips import CHIPS, Chip, compiled_name
from mbexport.golden.detection.vectors import DetectorArtifact, DetectorGolden
from mbexport.golden.read import read_golden
from mbexport.golden.vectors import FOLDER, INDEX, Golden, GoldenArtifact
from mbexport.models.channels import require_no_alpha
from mbexport.models.task import Task

# An app gets the first of these that was made: all integers, then what is smaller.
_PREFERRED: Final = (Precision.INT8, Precision.FP16, Precision.FP32, Precision.DYNAMIC, Precision.INT16X8)


_SHOWN: Final[Mapping[Task, str]] = MappingProxyType(
    {Task.CLASSIFY: "the central part of photos", Task.DETECT: "whole photos"}
)

Artifact = TypeVar("Artifact", GoldenArtifact, DetectorArtifact)
Vectors = TypeVar("Vectors", Golden, DetectorGolden)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppModel(Generic[Artifact, Vectors]):
    """One artifact that takes one image at a time, with its labels and golden vectors.

    `model` is the content of the artifact's file, `compiled` holds what was compiled of it for the NPUs of chips;
    `golden_files` are the files that `golden` names, by the names it has for them; `name` and `version` are those of
    the bundle.
    """

    name: str
    artifact: Artifact
    model: bytes
    labels: tuple[str, ...]
    golden: Vectors
    golden_files: Mapping[str, bytes]
    version: str = __version__
    compiled: Mapping[Chip, bytes] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """What it is for, from which follows what an app calls."""
        return self.golden.task

    @property
    def is_blue_first(self) -> bool:
        """Whether an app has to put blue first: only floats, as an artifact takes the codes of bytes of RGB."""
        source = self.artifact.input
        return bool(source.channel_order == "BGR" and source.dtype == "float32")


ClassifierModel = AppModel[GoldenArtifact, Golden]
DetectorModel = AppModel[DetectorArtifact, DetectorGolden]
AnyModel = AppModel[Any, Any]


def app_models(
    files: Mapping[str, bytes], labels: tuple[str, ...], bundling: Bundling
) -> tuple[tuple[Platform, AnyModel], ...]:
    """The platforms that get a bundle, each with the model in it; `files` are the contents of an output folder by name.

    Raises `DataError` without golden vectors, for a network that takes alpha, if no artifact suits any platform of
    `bundling`, or one that is required, and for a platform that has nothing for the artifacts' task.
    """
    index = f"{FOLDER}/{INDEX}"
    if index not in files:
        raise DataError(f"a bundle needs the golden vectors of the run, got no {index}; make the folder again")
    golden = read_golden(files[index])
    require_no_alpha(golden.preprocess.channels, by="a bundle's app")
    suited = bundling.possible([each.format for each in golden.artifacts if _takes_one_image(each)], golden.task)
    platforms = bundling.rows() if bundling.is_required else suited or bundling.rows()
    other = next((each for each in platforms if golden.task not in each.tasks), None)
    if other is not None:
        raise DataError(f"the bundle {other.name} is for --task {', '.join(other.tasks)}, got --task {golden.task}")
    return tuple((each, _app_model(files, labels, bundling, golden, each.model_format)) for each in platforms)


def restrict_golden(app: AnyModel, *, file: str | None = None) -> AnyModel:
    """Leave out the golden vectors of other artifacts, and call the model's file `file` in the rest, if that is given.

    Raises `DataError` if a vector is missing, if labels are not as many as the classes, and for a model that is shown
    another part of photos than the code of its task shows it.
    """
    if app.golden.preprocess.is_stretched is not (app.task is Task.DETECT):
        shown, got = _SHOWN[app.task], "a part" if app.task is Task.DETECT else "whole ones"
        raise DataError(f"{app.artifact.file}: a bundle for --task {app.task} shows the model {shown}, got {got}")
    if len(app.labels) != app.golden.classes:
        raise DataError(f"labels must be {app.golden.classes}, one for each class, got {len(app.labels)}")
    known = app.artifact.file
    file = file or known
    artifact = replace(app.artifact, file=file)
    cases, files = [], {}
    for case in app.golden.cases:
        if known not in case.expected:
            raise DataError(f"golden.json must hold an output of {known} for {case.name}, got none")
        kept, renamed = (case.only(known, renamed=name) for name in (known, file))
        for name, source in zip(renamed.files, kept.files, strict=True):
            if source not in app.golden_files:
                raise DataError(f"golden.json names {source}, and there is no such file")
            files[name] = app.golden_files[source]
        cases.append(renamed)
    golden = replace(app.golden, artifacts=(artifact,), cases=tuple(cases))
    return replace(app, artifact=artifact, golden=golden, golden_files=files)


def _app_model(
    files: Mapping[str, bytes],
    labels: tuple[str, ...],
    bundling: Bundling,
    golden: Golden | DetectorGolden,
    model_format: str,
) -> AnyModel:
    usable = {
        each.precision: each for each in golden.artifacts if each.format == model_format and _takes_one_image(each)
    }
    chosen = next((usable[each.value] for each in _PREFERRED if each.value in usable), None)
    if chosen is None:
        names = ", ".join(each.file for each in golden.artifacts)
        raise DataError(f"a bundle needs a .{model_format} that takes one image at a time, got {names}")
    if chosen.file not in files:
        raise DataError(f"{FOLDER}/{INDEX} names {chosen.file}, and there is no such file")
    vectors = {name.removeprefix(f"{FOLDER}/"): each for name, each in files.items() if name.startswith(f"{FOLDER}/")}
    del vectors[INDEX]
    return AppModel(
        name=bundling.name or golden.stem,
        artifact=chosen,
        model=files[chosen.file],
        labels=labels,
        golden=golden,
        golden_files=vectors,
        version=bundling.version or __version__,
        compiled=_compiled(files, golden.stem, chosen),
    )


def _compiled(files: Mapping[str, bytes], stem: str, source: GoldenArtifact | DetectorArtifact) -> dict[Chip, bytes]:
    """What was compiled of the artifact, by the chips that it was compiled for: of int8 files alone there is any."""
    names = {chip: compiled_name(stem, chip, source.format) for chip in CHIPS}
    is_source = source.precision == Precision.INT8
    return {chip: files[name] for chip, name in names.items() if is_source and name in files}


def _takes_one_image(artifact: GoldenArtifact | DetectorArtifact) -> bool:
    return artifact.input.shape[0] == 1
