"""Turns the files of a finished run into the one value that every bundle is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mbexport import __version__
from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.tflite.format import TFLITE
from mbexport.golden.vectors import FOLDER, INDEX, Golden, GoldenArtifact, golden_from_bytes

# What an app gets, the first of these that was made: all integers, then what is smaller.
_PREFERRED: Final = (Precision.INT8, Precision.FP16, Precision.FP32, Precision.DYNAMIC, Precision.INT16X8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What goes into an app: one .tflite that takes one image, its classes, the vectors that prove that it works.

    `files` are those of `golden`, by the names that golden.json has for them; `name` and `version` are those of the
    bundle.
    """

    name: str
    artifact: GoldenArtifact
    model: bytes
    labels: tuple[str, ...]
    golden: Golden
    files: Mapping[str, bytes]
    version: str = __version__


def shipped(files: Mapping[str, bytes], labels: tuple[str, ...]) -> Shipped:
    """What an app gets of `files`, the content of an output folder by names from there.

    Raises `DataError` without golden vectors, or if no .tflite was made that takes one image.
    """
    index = f"{FOLDER}/{INDEX}"
    if index not in files:
        raise DataError(f"a bundle needs the golden vectors of the run, got no {index}")
    golden = golden_from_bytes(files[index])
    usable = {each.precision: each for each in golden.artifacts if _is_usable(each)}
    chosen = next((usable[each.value] for each in _PREFERRED if each.value in usable), None)
    if chosen is None:
        names = ", ".join(each.file for each in golden.artifacts)
        raise DataError(f"a bundle needs a .tflite that takes one image at a time, got {names}")
    vectors = {name.removeprefix(f"{FOLDER}/"): each for name, each in files.items() if name.startswith(f"{FOLDER}/")}
    del vectors[INDEX]
    return Shipped(
        name=golden.stem, artifact=chosen, model=files[chosen.file], labels=labels, golden=golden, files=vectors
    )


def of_one_artifact(shipped: Shipped, *, file: str | None = None) -> Shipped:
    """The same without golden vectors of other artifacts, and with the model's file called `file`.

    Raises `DataError` for vectors that are not whole.
    """
    known = shipped.artifact.file
    file = file or known
    artifact = replace(shipped.artifact, file=file)
    cases, files = [], {}
    for case in shipped.golden.cases:
        if known not in case.expected:
            raise DataError(f"golden.json does not say what {known} answers to {case.name}")
        expected = case.expected[known]
        output = expected.output.replace(known, file)
        for name, source in ((case.raw, case.raw), (case.resized, case.resized), (output, expected.output)):
            if source not in shipped.files:
                raise DataError(f"golden.json names {source}, which is not there")
            files[name] = shipped.files[source]
        cases.append(replace(case, expected={file: replace(expected, output=output)}))
    golden = replace(shipped.golden, artifacts=(artifact,), cases=tuple(cases))
    return replace(shipped, artifact=artifact, golden=golden, files=files)


def _is_usable(artifact: GoldenArtifact) -> bool:
    return artifact.format == TFLITE.name and artifact.input.shape[0] == 1
