"""What was compiled beside its source: by hand, with a stand-in for the emulator."""

import numpy as np
import pytest
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.npu.chips import CHIPS
from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.verification import measure_paths
from mbexport.verification.classification.npu import compare_compiled

PIXELS = Preprocess(resolution=Resolution.square(2), crop_fraction=1.0)


@pytest.fixture
def compared(tmp_path, monkeypatch, numbered):
    """The entry of a file that gives its bytes as scores, where the emulator does `emulate` with the outputs."""
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(tflite_of("uint8", affine=Affine(scale=(1 / 256,), zero_point=(0,))))
    runner = open_runner(path)
    subject = Subject(
        runner=runner, preprocess=PIXELS, kind=Output.SOFTMAX, source=Source.OPTION, skips_background=False
    )
    asked = []

    def compare(emulate, *, most=16):
        class Emulator:
            share = None

            def __init__(self, like, name, *, file):
                asked.append((name, file))
                self._like = like

            def __getattr__(self, name):
                return getattr(self._like, name)

            def invoke(self, feed):
                return [emulate(raw) for raw in self._like.invoke(feed)]

            def close(self):
                asked.append("closed")

        monkeypatch.setattr(measure_paths, "PathRunner", Emulator)
        graph = tmp_path / "graph.onnx"
        return compare_compiled(subject, CHIPS[3], graph, numbered(range(100)), PIXELS, most=most), asked

    return compare


def test_the_same_answers_are_the_same(compared, tmp_path):
    entry, asked = compared(lambda raw: raw)
    assert asked == [("qnn-htp:v75", tmp_path / "graph.onnx"), "closed"]
    assert (entry["images"], entry["a"], entry["b"]) == (16, "xnnpack", "qnn-htp:v75")
    assert (entry["agreement"], entry["max_lsb"], entry["max_abs_error"]) == (1.0, 0, 0.0)
    assert entry["agreement_ci95"] == pytest.approx([0.8064, 1.0], abs=1e-4)
    assert "failure" not in entry


def test_a_step_is_a_step(compared):
    entry, _ = compared(lambda raw: np.where(raw < 255, raw + 1, raw).astype(raw.dtype), most=5)
    assert (entry["images"], entry["max_lsb"]) == (5, 1)


def test_an_emulator_that_fails_is_an_entry_with_the_reason(compared):
    def crash(_raw):
        raise DataError("qnn-htp:v75 crashed (SIGSEGV)")

    entry, asked = compared(crash)
    assert asked[-1] == "closed"
    assert (entry["images"], entry["max_lsb"], entry["failure"]) == (0, None, "qnn-htp:v75 crashed (SIGSEGV)")
    assert np.isnan(entry["agreement"])
