"""Images per second: by hand from a latency, and on small files with an open, a fixed and a wrong batch."""

import onnx
import pytest
from onnx import TensorProto, helper
from tflite_by_hand import tflite_of

from mbexport.errors import DataError
from mbexport.formats.tflite.batch import with_open_batch
from mbexport.latency.interleaved import Latency
from mbexport.latency.throughput import measure_throughput, throughput_of


@pytest.fixture
def flat_onnx(tmp_path):
    """Writes an .onnx that gives an image flat; `lost` is a network that gives one answer for any number."""

    def write(name, batch, *, kind=TensorProto.FLOAT, lost=False):
        nodes = [helper.make_node("Flatten", ["image"], ["flat" if lost else "scores"])]
        if lost:
            nodes.append(helper.make_node("ReduceMean", ["flat"], ["scores"], axes=[0], keepdims=1))
        graph = helper.make_graph(
            nodes,
            "flat",
            [helper.make_tensor_value_info("image", kind, (batch, 2, 2, 3))],
            [helper.make_tensor_value_info("scores", kind, None)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    return write


def test_a_latency_in_images_per_second():
    latency = Latency(runs=3, p50_ms=4.0, p90_ms=8.0, p99_ms=9.0)
    found = throughput_of(latency, batch=2, threads=3)
    assert (found.batch, found.threads, found.images_per_s, found.reason) == (2, 3, 500, None)


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "UINT8", "INT8"])
def test_an_open_batch_is_filled(flat_onnx, kind):
    path = flat_onnx("open.onnx", "n", kind=getattr(TensorProto, kind))
    found = measure_throughput({path.name: path}, batch=5, threads=2)["open.onnx"]
    assert (found.batch, found.threads, found.reason) == (5, 2, None)
    assert found.images_per_s > 0


@pytest.mark.parametrize("kind", ["uint8", "int8", "float32"])
def test_litert_resizes_a_file_whose_batch_is_open(tmp_path, kind):
    path = tmp_path / "open.tflite"
    path.write_bytes(with_open_batch(tflite_of(kind)))
    assert measure_throughput({path.name: path}, batch=8)["open.tflite"].images_per_s > 0


def test_a_fixed_batch_is_a_reason_and_no_error(flat_onnx, tmp_path):
    tflite = tmp_path / "fixed.tflite"
    tflite.write_bytes(tflite_of("uint8"))
    paths = [flat_onnx("one.onnx", 1), tflite, flat_onnx("eight.onnx", 8), flat_onnx("open.onnx", "n")]
    found = measure_throughput({path.name: path for path in paths}, batch=8)
    assert list(found) == ["one.onnx", "fixed.tflite", "eight.onnx", "open.onnx"]
    for name in ("one.onnx", "fixed.tflite"):
        assert (found[name].images_per_s, found[name].reason) == (None, "the file takes 1 image(s) at a time")
    assert all(found[name].images_per_s > 0 and found[name].reason is None for name in ("eight.onnx", "open.onnx"))


def test_a_file_that_merges_its_images_is_refused(flat_onnx):
    found = measure_throughput({"lost.onnx": flat_onnx("lost.onnx", "n", lost=True)}, batch=4)["lost.onnx"]
    assert (found.images_per_s, found.reason) == (None, "the file gives 1 answer(s) for 4 images")


def test_the_batch_of_the_file_itself_is_always_legal(flat_onnx):
    assert measure_throughput({"one.onnx": flat_onnx("one.onnx", 1)}, batch=1)["one.onnx"].images_per_s > 0


def test_a_damaged_file_is_an_error(tmp_path):
    (tmp_path / "damaged.onnx").write_bytes(b"garbage")
    with pytest.raises(DataError, match="cannot be loaded"):
        measure_throughput({"damaged.onnx": tmp_path / "damaged.onnx"})
