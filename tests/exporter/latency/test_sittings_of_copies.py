"""Real files on this machine, whatever else it does: two copies of one do not differ, a tenth is seen."""

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mbexport.formats.registry import open_runner
from mbexport.latency.sittings import time_artifacts
from mbexport.pipeline.bench_files import feeds_of

REPETITIONS = 20
LAYERS, CHANNELS, PX = 6, 16, 48
SLOWER = 0.1


class Slower:
    """A runner that does nothing for a tenth of each inference's time after it."""

    def __init__(self, runner) -> None:
        self.name, self._runner = runner.name, runner

    def invoke(self, feed):
        start = time.perf_counter()
        output = self._runner.invoke(feed)
        now = time.perf_counter()
        end = now + SLOWER * (now - start)
        while time.perf_counter() < end:
            pass
        return output


def write_convolutions(path: Path) -> Path:
    """A chain of small convolutions: well below a millisecond, as the smallest networks are."""
    rng = np.random.default_rng(0)
    nodes, weights, source, depth = [], [], "image", 3
    for layer in range(LAYERS):
        weights.append(numpy_helper.from_array(rng.normal(0, 0.1, (CHANNELS, depth, 3, 3)).astype("f4"), f"w{layer}"))
        nodes.append(helper.make_node("Conv", [source, f"w{layer}"], [f"x{layer}"], pads=[1, 1, 1, 1]))
        source, depth = f"x{layer}", CHANNELS
    nodes += [
        helper.make_node("GlobalAveragePool", [source], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, PX, PX))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, CHANNELS))],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.slow
def test_two_copies_are_alike_in_19_of_20_and_a_tenth_is_seen_every_time(tmp_path):
    paths = [write_convolutions(tmp_path / f"{name}.onnx") for name in ("one", "copy", "slow")]
    feeds = feeds_of([open_runner(path) for path in paths])

    def opened(path, *, threads):
        runner = open_runner(path, threads=threads)
        return Slower(runner) if path.stem == "slow" else runner

    alike = seen = 0
    for seed in range(REPETITIONS):
        timings = time_artifacts({path.name: path for path in paths}, feeds, seed=seed, open_file=opened)
        low, high = timings.ratio("copy.onnx", "one.onnx").ci95
        alike += low <= 1 <= high
        seen += timings.ratio("slow.onnx", "one.onnx").ci95[0] > 1
    assert alike >= 0.95 * REPETITIONS
    assert seen == REPETITIONS
