"""Compile int8 artifacts for the NPUs of chips, and compare what was compiled with its source."""

import hashlib
import tempfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mbexport.artifact import Precision
from mbexport.formats.file_format import FileFormat
from mbexport.formats.npu.chips import CHIPS, Chip, compiled_name, compiler_version
from mbexport.formats.registry import EXPORTED
from mbexport.pipeline.context import Context
from mbexport.pipeline.exports import Export, compiled
from mbexport.pipeline.stage import Files, Options, Stage
from mbexport.pipeline.stage_files import NPU
from mbexport.pipeline.stages import verify
from mbexport.workdir import StageRecord

_EMULATED: Final = "emulated.onnx"
_COMPILED: Final = tuple(each for each in EXPORTED if each.npu is not None)


def compile_stages() -> tuple[Stage, ...]:
    """The stages that compile, one a format and chip."""
    return tuple(_compile_stage(each, chip) for each in _COMPILED for chip in CHIPS)


def emulation_stage() -> Stage:
    """The stage that runs all that was compiled, beside its sources."""
    return Stage(
        name="npu",
        options=_emulation_options,
        upstream=(
            "check-images",
            *(_source(each).stage for each in _COMPILED),
            *(stage.name for stage in compile_stages()),
        ),
        is_wanted=lambda run: bool(run.plan.npu) and run.plan.is_judged,
        work=emulate,
    )


def compiled_files(run: Context) -> dict[str, Path]:
    """The finished compiled artifacts by their paths in the output folder."""
    return {
        compiled_name(run.plan.name, chip, each.name): _record(run, each, chip).files[_file_name(run, each, chip)]
        for each, chip in compiled(run.plan)
    }


def _source(made: FileFormat) -> Export:
    """The int8 artifact that is compiled."""
    return Export(format=made, precision=Precision.INT8)


def _record(run: Context, made: FileFormat, chip: Chip) -> StageRecord:
    return run.records[_stage_name(made, chip)]


def _stage_name(made: FileFormat, chip: Chip) -> str:
    return f"{made.name}-{chip.vendor}-{chip.name.lower()}"


def _file_name(run: Context, made: FileFormat, chip: Chip) -> str:
    return PurePosixPath(compiled_name(run.plan.name, chip, made.name)).name


def _compile_stage(made: FileFormat, chip: Chip) -> Stage:
    return Stage(
        name=_stage_name(made, chip),
        options=lambda _run: {"chip": repr(chip), "compiler": compiler_version()},
        upstream=(_source(made).stage,),
        is_wanted=lambda run: (made, chip) in compiled(run.plan),
        work=partial(_compile, made=made, chip=chip),
    )


def _compile(run: Context, *, made: FileFormat, chip: Chip) -> Files:
    """The artifact, and the same graph for the emulator."""
    from mbexport.formats.npu.compile import compile_file

    found = compile_file(run.artifact(_source(made)), made.name, chip)
    return {_file_name(run, made, chip): found.content, _EMULATED: found.emulated}


def _emulation_options(run: Context) -> Options:
    return {"images": run.images.fingerprints, "most": run.plan.npu_images, "seed": run.plan.seed}


def emulate(run: Context) -> Files:
    """What is known of each compiled artifact, and how alike the emulated NPU and the CPU answer."""
    from mbexport.report.content import to_bytes
    from mbexport.verification.classification.npu import compare_compiled

    sources = {subject.runner.path.name: subject for subject in verify.subjects_of(run)}
    entries: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for done, (made, chip) in enumerate(compiled(run.plan)):
            record = _record(run, made, chip)
            source, name = run.artifact(_source(made)).name, compiled_name(run.plan.name, chip, made.name)
            run.progress.step(done, len(compiled(run.plan)), f"{chip}, .{made.name}")
            graph = Path(folder) / f"{done}.onnx"  # a path of its own: stages' files are sealed, and stay as they are
            graph.write_bytes(record.files[_EMULATED].read_bytes())
            found = compare_compiled(
                sources[source],
                chip,
                graph,
                run.images.test,
                run.float.facts.preprocess,
                most=run.plan.npu_images,
            )
            content = record.files[_file_name(run, made, chip)].read_bytes()
            entries.append({**_facts(content, name=name, source=source, chip=chip), **found})
    return {NPU: to_bytes({"npu": entries})}


def _facts(content: bytes, *, name: str, source: str, chip: Chip) -> dict[str, Any]:
    return {
        "file": name,
        "source": source,
        "chip": str(chip),
        "title": chip.title,
        "device": f"Hexagon {chip.hexagon}, simulated",
        "compiler": compiler_version(),
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
