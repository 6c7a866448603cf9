"""What every verification of files has in common: its options, the reference, readable images, facts of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mbexport import __version__
from mbexport.artifact import Precision
from mbexport.errors import OptionError
from mbexport.fingerprint import library_versions
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner, distinct_names
from mbexport.formats.subject import Fed
from mbexport.models.data.open import DataSet
from mbexport.models.data.readable import ImageFindings, ReadableSets, drop_unreadable
from mbexport.models.preprocess import Normalization
from mbexport.report.content import Json, preprocess_json
from mbexport.report.detector_content import boxes_json
from mbexport.report.images import copies_json, left_out_json, unreadable_json
from mbexport.verification.gates import GATES, Gates, NetworkFacts, comparing_gates
from mbexport.verification.measure_paths import USUAL_PATHS, PathChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """The files to compare, with what, and how.

    Without a `reference` the first of several files that is fp32 is the reference, and without such a one the labels.
    `normalization` is that of files that do not say what they expect; without a `crop_fraction` the usual one of the
    data is taken. `paths` are the kernel paths that they are compared through.
    """

    files: tuple[Path, ...]
    limits: Mapping[str, float]
    reference: Path | None = None
    crop_fraction: float | None = None
    normalization: Normalization | None = None
    background: bool = False
    max_bad: float = 0.0
    strict: bool = False
    latency: bool = True
    seed: int = 0
    threads: int = 1
    paths: PathChoice = USUAL_PATHS


def reference_of(options: VerifyOptions, runners: Sequence[Runner], gates: Gates = GATES) -> Runner | None:
    """The file of --reference, or the first of several files that is fp32; None where only labels are left.

    One file alone would be compared with itself, which proves nothing. Raises `OptionError` for a limit of a gate of
    the table `gates` that compares, where nothing can be compared.
    """
    fp32 = next((runner.path for runner in runners if runner.precision is Precision.FP32), None)
    chosen = options.reference or (fp32 if len(runners) > 1 else None)
    if chosen is not None:
        reference = open_runner(chosen)  # again, if it is one of the files: none is in two threads at once
        reference.name = distinct_names([chosen, *(path for path in options.files if path != chosen)])[0]
        return reference
    named = [name for name in comparing_gates(gates) if name in options.limits]
    if named:
        raise OptionError(
            f"--gate {', '.join(named)} must have a network to compare with, got the labels alone: give --reference "
            "FILE, or an fp32 file among several"
        )
    return None


def report_facts(
    known: Fed, data: DataSet, readable: ReadableSets, *, classes: int, is_reference: bool
) -> dict[str, Json]:
    """The report's part on the tool, the model and the data; `known` is the reference, or a file beside the labels.

    It tells so many `classes` apart.
    """
    return {
        "tool": {"name": "mbexport", "version": __version__, "libraries": library_versions()},
        "model": {
            **({"reference": known.name} if is_reference else {"reference": None, "name": known.name}),
            "resolution_px": known.runner.resolution.json,
            "classes": classes,
        },
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            **preprocess_json(known.preprocess),
            "unreadable": unreadable_json(readable.bad),
            "left_out": left_out_json(data.left_out),
            "copies": copies_json(readable.copies[0]),
        },
        **({} if data.objects is None else {"boxes": boxes_json(data.box_problems)}),
    }


def readable_of(data: DataSet, seed: int, *, max_bad: float, looked: ImageFindings | None = None) -> ReadableSets:
    """The images to verify on, without those that cannot be read, by what was found if they have been `looked` at."""
    images = data.evaluation(seed)
    findings = looked if data.is_photos else ImageFindings.none(sets=1)  # digits lie in no files of their own
    return drop_unreadable([images], max_bad=max_bad, findings=findings)


def network_of_files(known: Runner, measured: Json) -> NetworkFacts:
    """What the resolution of `known`, and the size and the latency of measured fp32 files, show of a network."""
    floats = [entry for entry in measured["artifacts"] if entry["precision"] == Precision.FP32]
    times = [entry["latency_ms"]["p50"] for entry in floats if entry["latency_ms"]["p50"] is not None]
    return NetworkFacts(
        resolution=known.resolution,
        fp32_bytes=max((entry["size_bytes"] for entry in floats), default=None),
        fp32_ms=min(times, default=None),
    )
