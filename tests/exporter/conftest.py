"""What the exporter's tests share: runners that answer from a table, and measurements made by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from golden_by_hand import golden_files_of
from measured_by_hand import artifact_json, measured_json
from onnx import TensorProto, helper, numpy_helper

from mbexport.artifact import Precision, TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.models.architectures import architecture_of
from mbexport.models.facts import Facts, Output, facts_to_json
from mbexport.models.mobilenet_v1.cost import cost
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import MOBILENET, Preprocess
from mbexport.pipeline import build
from mbexport.pipeline.stage_files import HISTORY, MEASURED, NETWORK, PICTURES, TRIED, WEIGHTS
from mbexport.report.content import to_bytes
from mbexport.verify.classification.baseline import Baseline
from mbexport.verify.classification.measure import MeasureOptions, measure_all
from mbexport.verify.classification.pictures import pictures_to_json


class TableRunner(Runner):
    """Answers image number i (its first byte) with row i of a table."""

    runtime = "table"
    precision = Precision.FP32

    def __init__(self, name: str, table: Any, affine: Affine | None = None, px: int = 1, channels: int = 3) -> None:
        self.table = np.asarray(table)
        source = TensorSpec(name="image", shape=(1, px, px, channels), dtype="uint8")
        target = TensorSpec(name="scores", shape=(1, self.table.shape[1]), dtype=self.table.dtype.name, affine=affine)
        super().__init__(Path(name), source, target)

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
        "preprocess": Preprocess(resolution_px=spec.resolution_px),
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


def write_colour_network(
    path: Path, *, classes: int = 10, top: float = 1, shape: tuple[int, ...] = (1, 32, 32, 3), outputs: int = 1
) -> Path:
    """A network that averages the picture's colours and multiplies them with a matrix."""
    weights = numpy_helper.from_array(
        np.linspace(-1, top, shape[-1] * classes, dtype=np.float32).reshape(shape[-1], classes), "weights"
    )
    names = [f"scores{i}" for i in range(outputs)]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["colour"], axes=[1, 2], keepdims=0),
            *(helper.make_node("MatMul", ["colour", "weights"], [name]) for name in names),
        ],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, classes)) for name in names],
        [weights],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def colour_network() -> Callable[..., Path]:
    return write_colour_network


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

    def try_normalizations(self, run):
        self.tried_on.append(run.images.test)
        told = {"samples": len(run.images.test), "top1": {"mobilenet": 0.25, "raw": 0.75}}
        return {TRIED: json.dumps(told).encode()}

    def tflite(self, run):
        return {run.target("tflite", Precision.FP32).name: b"stand-in"}

    def onnx(self, run):
        return {run.target("onnx", Precision.FP32).name: self.network.read_bytes()}

    def golden(self, run):
        self.golden_of.append((run.images.golden, run.images.is_golden_labelled))
        models = {name: path.read_bytes() for name, path in run.artifacts.items()}
        return golden_files_of(run.plan.name, models, px=self.preprocess.resolution_px)

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
        """The stand-in for each stage that loads TensorFlow or takes long, by the stage's name."""
        return {
            "train": self.train,
            "weights": self.read_network,
            "import": self.read_network,
            "tflite-fp32": self.tflite,
            "onnx-fp32": self.onnx,
            "verify": self.verify,
            "normalizations": self.try_normalizations,
            "golden": self.golden,
        }


@pytest.fixture
def stand_ins(monkeypatch, facts, colour_network, tmp_path) -> StandIns:
    """Runs take these stages in the place of those that load TensorFlow."""
    spec = ModelSpec(alpha=0.25, resolution_px=32, classes=2)
    made = StandIns(facts(spec), colour_network(tmp_path / "colours.onnx", classes=2))
    works = made.works()
    stages = tuple(replace(stage, work=works.get(stage.name, stage.work)) for stage in build.STAGES)
    monkeypatch.setattr(build, "STAGES", stages)
    return made


@pytest.fixture
def without_reader() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs Python with a stdout whose reader has gone, as behind `| head`."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        reading, writing = os.pipe()
        os.close(reading)
        try:
            command = [sys.executable, *map(str, arguments)]
            return subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
        finally:
            os.close(writing)

    return run
