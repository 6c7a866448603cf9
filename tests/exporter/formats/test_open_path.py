"""One file through each of its runtime's kernels: which are asked for, and that they answer alike."""

import subprocess
import sys
from typing import Any

import ai_edge_litert.interpreter
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError, OptionError
from mbexport.formats.contents import recognize
from mbexport.formats.matching import match
from mbexport.formats.registry import FORMATS, ONNX, TFLITE, format_of, kernels_of, open_path, open_runner
from mbexport.models.data.open import iter_pixels, open_data
from mbexport.models.facts import Output
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import MOBILENET, Preprocess
from mbexport.models.resolution import Resolution

LEVELS = onnxruntime.GraphOptimizationLevel


def test_nothing_but_a_keras_file_loads_tensorflow(tmp_path):
    (tmp_path / "net.tflite").write_bytes(tflite_of("uint8", affine=Affine(scale=(1.0,), zero_point=(0,))))
    program = """
import sys
from pathlib import Path
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.formats.contents import labels_of, recognize
from mbexport.formats.registry import kernels_of, open_path
from mbexport.formats.matching import match
runner = open_path(Path(sys.argv[1]), "builtin")
match(runner, pixels=Preprocess(resolution=Resolution.square(2)), given=None, classes=12, background=False)
recognize(runner), labels_of(runner), kernels_of(runner)
print(sorted({"tensorflow", "tf_keras", "onnxruntime"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "net.tflite")], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.fixture
def graph(save):
    return save([("image", TensorProto.FLOAT, (1, 4, 4, 3))], [("scores", TensorProto.FLOAT, [1, 48])])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xnnpack", OpResolverType.AUTO),
        ("builtin", OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
        ("reference", OpResolverType.BUILTIN_REF),
    ],
)
def test_each_name_asks_litert_for_its_kernels(monkeypatch, tmp_path, name, expected):
    asked: list[dict[str, Any]] = []

    def noted(**options: Any) -> Interpreter:
        asked.append(options)
        return Interpreter(**options)

    monkeypatch.setattr(ai_edge_litert.interpreter, "Interpreter", noted)
    (tmp_path / "net.tflite").write_bytes(tflite_of("float32"))
    open_path(tmp_path / "net.tflite", name, threads=2)
    (options,) = asked
    assert (options["experimental_op_resolver_type"], options["num_threads"]) == (expected, 2)


@pytest.mark.parametrize(
    ("name", "expected"), [("optimized", LEVELS.ORT_ENABLE_ALL), ("unoptimized", LEVELS.ORT_DISABLE_ALL)]
)
def test_each_name_asks_onnxruntime_for_its_level(graph, name, expected):
    options = open_path(graph, name, threads=2)._session.get_session_options()
    assert (options.graph_optimization_level, options.intra_op_num_threads) == (expected, 2)


def test_the_first_name_is_what_a_file_is_opened_with(graph):
    level = open_runner(graph)._session.get_session_options().graph_optimization_level
    assert level == LEVELS.ORT_ENABLE_ALL
    assert [each.kernel_paths[:1] for each in FORMATS] == [("xnnpack",), ("optimized",), ()]


def test_other_names_and_files_are_refused(graph, tmp_path):
    with pytest.raises(
        OptionError, match=r"kernels of a onnx file must be one of optimized, unoptimized, qnn-htp\[.*\], got xnnpack"
    ):
        open_path(graph, "xnnpack")
    with pytest.raises(DataError, match="no such file"):
        open_path(tmp_path / "none.tflite", "xnnpack")


def test_every_path_of_a_build_answers_alike(small_build):
    images = open_data("digits").evaluation(0).subset(np.arange(60))
    pixels = np.concatenate(list(iter_pixels(images, Preprocess(resolution=Resolution.square(32)))))
    for path in (*small_build.glob("*.tflite"), *small_build.glob("*.onnx")):
        answers = {}
        for name in format_of(path).kernel_paths:
            runner = open_path(path, name)
            subject = match(
                runner, pixels=Preprocess(resolution=Resolution.square(32)), given=None, classes=10, background=False
            )
            assert (subject.preprocess.normalization, subject.kind) == (MOBILENET, Output.SOFTMAX)
            assert recognize(runner) == ModelSpec(alpha=0.25)
            answers[name] = subject.raw(pixels).argmax(axis=1)
            delegated = kernels_of(runner).delegated_ops
            assert (delegated > 0) is (name == "xnnpack")
        first = next(iter(answers.values()))
        assert len(np.unique(first)) > 5
        assert all((found == first).mean() >= 0.95 for found in answers.values())
    assert {format_of(path) for path in small_build.glob("*int8*.*")} == {TFLITE, ONNX}
