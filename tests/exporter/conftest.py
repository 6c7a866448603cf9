"""What the exporter's tests share: runners that answer from a table, and measurements made by hand."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_micro import write_package
from golden_by_hand import golden_files_of
from measured_by_hand import artifact_json, measured_json

from mbexport.artifact import Precision, TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.formats.matching import match
from mbexport.formats.onnx.format import ONNX
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.tflite.format import TFLITE
from mbexport.models.architectures import architecture_of
from mbexport.models.facts import Facts, Output, facts_to_json
from mbexport.models.mobilenet_v1.cost import cost
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import MOBILENET, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.pipeline import build
from mbexport.pipeline.exports import Export
from mbexport.pipeline.stage_files import HISTORY, MEASURED, NETWORK, PICTURES, TRIED, WEIGHTS
from mbexport.report.content import to_bytes
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.measure import MeasureOptions, measure_all
from mbexport.verification.pictures import pictures_to_json

_RUNTIMES = {".tflite": "litert", ".onnx": "onnxruntime"}


class TableRunner(Runner):
    """Answers image number i (its first byte) with row i of a table."""

    runtime = "table"
    precision = Precision.FP32

    def __init__(self, name: str, table: Any, affine: Affine | None = None, px: int = 1, channels: int = 3) -> None:
        self.table = np.asarray(table)
        source = TensorSpec(name="image", shape=(1, px, px, channels), dtype="uint8")
        target = TensorSpec(name="scores", shape=(1, self.table.shape[1]), dtype=self.table.dtype.name, affine=affine)
        super().__init__(Path(name), source, target)
        self.runtime = _RUNTIMES.get(self.path.suffix, self.runtime)

    def metadata(self) -> dict[str, str]:
        return {}

    def _invoke(self, feed: Any) -> Any:
        return (self.table[feed[0, 0, 0, 0]][None],)


@pytest.fixture(scope="session")
def table_runner() -> type[TableRunner]:
    return TableRunner


def facts_of(spec: ModelSpec, **changed: Any) -> Facts:
    """What is known of a network of ours, without making one; `changed` is known otherwise."""
    total = cost(spec)
    known: dict[str, Any] = {
        "preprocess": Preprocess(resolution=spec.resolution),
        "classes": spec.classes,
        "output": Output.SOFTMAX,
        "alpha": spec.alpha,
        "mult_adds": total.mult_adds,
        "parameters": total.parameters,
        "architecture": "{}",
        "family": architecture_of(spec).name,
    }
    return Facts(**{**known, **changed})


@pytest.fixture(scope="session")
def facts() -> Callable[..., Facts]:
    return facts_of


@pytest.fixture(scope="session")
def entry() -> Callable[..., dict[str, Any]]:
    return artifact_json


@pytest.fixture(scope="session")
def found() -> Callable[..., dict[str, Any]]:
    return measured_json


class StandIns:
    """Stages that make the same small network whatever they are asked, and remember which images they were given."""

    def __init__(self, facts, network: Path) -> None:
        self.files = {NETWORK: facts_to_json(facts).encode(), WEIGHTS: b"weights"}
        self.network, self.preprocess, self.trained_on = network, facts.preprocess, []
        self.tried_on: list[Any] = []
        self.golden_of: list[Any] = []

    def train(self, run):
        self.trained_on.append(run.images.train)
        for index in range(len(run.images.train)):
            run.images.train.read(index)
        return {**self.files, HISTORY: b"[]"}

    def read_network(self, _run):
        return self.files

    def check_import(self, _run):
        return {}

    def try_normalizations(self, run):
        self.tried_on.append(run.images.test)
        told = {"samples": len(run.images.test), "top1": {"mobilenet": 0.25, "raw": 0.75}}
        return {TRIED: json.dumps(told).encode()}

    def tflite(self, run):
        return {run.target(Export(format=TFLITE, precision=Precision.FP32)).name: b"stand-in"}

    def onnx(self, run):
        return {run.target(Export(format=ONNX, precision=Precision.FP32)).name: self.network.read_bytes()}

    def golden(self, run):
        self.golden_of.append((run.images.golden, run.images.is_golden_labelled))
        models = {name: path.read_bytes() for name, path in run.artifacts.items()}
        return golden_files_of(run.plan.name, models, px=self.preprocess.resolution.height_px)

    def verify(self, run):
        told = {"pixels": self.preprocess, "given": MOBILENET, "classes": 2, "background": False}
        found = measure_all(
            [match(open_runner(path), **told) for path in run.artifacts.values()],
            run.images.test,
            self.preprocess,
            Baseline.of(match(open_runner(self.network), **told)),
            MeasureOptions(labels=run.labels, is_timed=False, is_labelled=run.images.is_labelled),
            progress=run.progress,
        )
        return {MEASURED: to_bytes(found.measured), PICTURES: pictures_to_json(found.pictures)}

    def works(self):
        """The stand-in for each stage that loads TensorFlow or takes long, by the stage's name.

        A test may put something else in a stand-in's place: it is looked up when the stage runs.
        """
        by_stage = {
            "train": "train",
            "weights": "read_network",
            "import": "read_network",
            "check-import": "check_import",
            "tflite-fp32": "tflite",
            "onnx-fp32": "onnx",
            "verify": "verify",
            "normalizations": "try_normalizations",
            "golden": "golden",
        }
        return {stage: self._late(name) for stage, name in by_stage.items()}

    def _late(self, name):
        def work(run):
            return getattr(self, name)(run)

        return work


@pytest.fixture
def stand_ins(monkeypatch, facts, colour_network, tmp_path) -> StandIns:
    """Runs take these stages in the place of those that load TensorFlow."""
    spec = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=2)
    made = StandIns(facts(spec), colour_network(tmp_path / "colours.onnx", classes=2))
    works = made.works()
    stages = tuple(replace(stage, work=works.get(stage.name, stage.work)) for stage in build.STAGES)
    monkeypatch.setattr(build, "STAGES", stages)
    return made


@pytest.fixture
def refused(cli, tmp_path):
    """Runs the command line in an empty folder, and gives its complaint once it has proved to be a clean one."""

    def run(*arguments: object) -> str:
        here = tmp_path / "here"
        here.mkdir()
        done = cli(*arguments, cwd=here)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith("Error: ")
        assert done.stderr.endswith("\n")
        assert done.stderr.count("\n") == 1, done.stderr
        assert list(here.iterdir()) == []
        return done.stderr

    return run


@pytest.fixture
def install_micro(monkeypatch, tmp_path):
    """Installs a package of TFLite Micro that does so at each invocation, for processes that begin now."""

    def install(**how):
        folder = write_package(tmp_path / "packages", **how)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    return install
