"""What the exporter's tests share: runners that answer from a table, and measurements made by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mbexport.artifact import Artifact, Format, Precision, TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.latency.interleaved import Latency, Ratio
from mbexport.models.cost import cost
from mbexport.models.facts import Facts, Output, facts_to_json
from mbexport.models.preprocess import Preprocess
from mbexport.models.spec import ModelSpec
from mbexport.plan import GATE_VALUES, HISTORY, MEASURED, NETWORK, TRIED, WEIGHTS
from mbexport.report import measured_json, to_bytes
from mbexport.runtimes.kernels import Arithmetic, KernelRow, Kernels
from mbexport.runtimes.opening import open_runner
from mbexport.runtimes.runner import Runner
from mbexport.verdict.comparison import Accuracy, Pair, raw_outputs
from mbexport.verdict.measure import Measured, MeasuredPair, Measurements, gate_values, measure_all


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
        return self.table[feed[0, 0, 0, 0]][None]


@pytest.fixture(scope="session")
def table_runner() -> type[TableRunner]:
    return TableRunner


def measured_entry(kind: str, **given: Any) -> Measured:
    """A measured artifact: `kind` is `int8.onnx` or the like; what is not given is flawless."""
    precision, suffix = kind.split(".")[-2].rpartition("_")[2], kind.rpartition(".")[2]
    return Measured(
        artifact=Artifact(
            format=Format(suffix),
            precision=Precision(precision),
            path=Path("out") / kind,
            sha256="0" * 64,
            size_bytes=given.get("size_bytes", 1000),
        ),
        runtime="table",
        accuracy=accuracy(kind, **given),
        latency=Latency(runs=4, p50_ms=1.0, p90_ms=2.0, p99_ms=3.0),
        kernels=convolutions(integer=given.get("int8_convs", 28), floats=given.get("float_convs", 0)),
    )


def convolutions(*, integer: int, floats: int) -> Kernels:
    """A runtime that executes nothing but so many convolutions."""
    kinds = ((integer, Arithmetic.INTEGER), (floats, Arithmetic.FLOAT))
    return Kernels(
        rows=tuple(
            KernelRow(op="CONV_2D", count=count, arithmetic=kind, executor="xnnpack", inputs=())
            for count, kind in kinds
            if count
        ),
        partitions=1,
    )


def accuracy(name: str, **given: Any) -> Accuracy:
    return Accuracy(
        name=name,
        samples=100,
        top1=given.get("top1", 0.9),
        top1_ci95=given.get("top1_ci95", (0.8, 0.95)),
        top5=given.get("top5", 1.0),
        agreement=given.get("agreement", 1.0),
        max_abs_error=given.get("max_abs_error", 0.0),
        distinct_outputs=given.get("distinct_outputs", 100),
    )


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
    }
    return Facts(**{**known, **changed})


@pytest.fixture(scope="session")
def facts() -> Callable[..., Facts]:
    return facts_of


@pytest.fixture(scope="session")
def entry() -> Callable[..., Measured]:
    return measured_entry


@pytest.fixture(scope="session")
def found() -> Callable[..., Measurements]:
    """Measurements of some artifacts; `twins` and `speedups` say agreements and intervals by the files' names."""

    def make(
        *artifacts: Measured,
        reference: dict[str, Any] | None = None,
        chance: float = 0.1,
        is_labelled: bool = True,
        twins: dict[tuple[str, str], float] | None = None,
        speedups: dict[tuple[str, str], tuple[float, float]] | None = None,
    ) -> Measurements:
        return Measurements(
            reference=accuracy("reference", **(reference or {})),
            artifacts=artifacts,
            pairs=tuple(
                MeasuredPair(
                    pair=Pair(a=a, b=b, agreement=agreement, max_lsb=3, differing_fraction=0.25),
                    latency=Ratio(a=a, b=b, ratio=1.5, ci95=(1.4, 1.6)),
                )
                for (a, b), agreement in (twins or {}).items()
            ),
            speedups=tuple(
                Ratio(a=a, b=b, ratio=sum(ci95) / 2, ci95=ci95) for (a, b), ci95 in (speedups or {}).items()
            ),
            chance=chance,
            is_labelled=is_labelled,
        )

    return make


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

    def trained_network(self, _plan, _origin, images, **_named):
        self.trained_on.append(images)
        for index in range(len(images)):
            images.read(index)
        return {**self.files, HISTORY: b"[]"}

    def stored_network(self, _plan, _origin):
        return self.files

    def foreign_network(self, _plan, _origin, *, classes):
        assert classes in (None, 2)
        return self.files

    def tried_file(self, _plan, _source, images):
        self.tried_on.append(images)
        return {TRIED: json.dumps({"samples": len(images), "top1": {"mobilenet": 0.25, "raw": 0.75}}).encode()}

    def float_tflite_file(self, _plan, _source, target):
        return {target.name: b"stand-in"}

    def onnx_file(self, _plan, _source, _tflite, target):
        return {target.name: self.network.read_bytes()}

    def measured_file(self, _plan, _source, artifacts, images, *, is_labelled, progress):
        runner = open_runner(self.network)

        def reference(pixels):
            return runner.scores(raw_outputs(runner, pixels, self.preprocess))

        found = measure_all(
            artifacts,
            images,
            self.preprocess,
            reference=reference,
            classes=2,
            threads=1,
            progress=progress,
            is_labelled=is_labelled,
        )
        return {MEASURED: to_bytes(measured_json(found)), GATE_VALUES: json.dumps(gate_values(found)).encode()}


@pytest.fixture
def stand_ins(monkeypatch, facts, colour_network, tmp_path) -> StandIns:
    """Runs take these stages in the place of those that load TensorFlow."""
    spec = ModelSpec(alpha=0.25, resolution_px=32, classes=2)
    made = StandIns(facts(spec), colour_network(tmp_path / "colours.onnx", classes=2))
    monkeypatch.setattr("mbexport.pipeline._origins", lambda: made)
    monkeypatch.setattr("mbexport.pipeline._heavy", lambda: made)
    monkeypatch.setattr("mbexport.artifact_stages._exports", lambda: made)
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
