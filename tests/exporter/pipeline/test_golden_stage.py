"""The stage of golden vectors: forms that artifacts can have, and a real network."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from golden_replay import replay
from onnx import TensorProto, helper
from PIL import Image

from mbexport.golden.vectors import golden_from_bytes
from mbexport.models.data.imageset import ImageSet
from mbexport.models.data.open import open_data
from mbexport.models.facts import facts_to_json
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.task import Task
from mbexport.pipeline.stage_files import Float
from mbexport.pipeline.stages.golden import golden_vectors

PX = 32
CLASSES = PX * PX * 3
PLAN = SimpleNamespace(name="net", licence="MIT", seed=0, task=Task.CLASSIFY)


def images(count):
    """Noise: the largest number is another one in each."""
    noise = np.random.default_rng(0).integers(0, 200, (count, 40, 40, 3), np.uint8)
    noise[np.arange(count), 20, 20 + np.arange(count) % 5] = 255
    pictures = [Image.fromarray(pixels) for pixels in noise]
    return ImageSet(labels=np.zeros(count, np.int64), names=("",) * count, read=lambda i: pictures[i])


def made(source, paths, images, *, labels, is_labelled):
    """What the stage makes of these artifacts."""
    sets = SimpleNamespace(golden=images, is_golden_labelled=is_labelled)
    artifacts = {path.name: path for path in paths}
    return golden_vectors(SimpleNamespace(plan=PLAN, float=source, artifacts=artifacts, images=sets, labels=labels))


def write_flat(path, batch, *, op="Identity"):
    """Gives `op` of the image as its scores, from an input with the channels first, and says what it expects."""
    shape = (batch, 3, PX, PX)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["image"], ["flat"], axis=1), helper.make_node(op, ["flat"], ["scores"])],
        "flat",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (batch, CLASSES))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    words = {"normalization.mean": "[127.5]", "normalization.std": "[127.5]", "input.layout": "NCHW"}
    helper.set_model_props(model, {**words, "input.colour": "RGB"})
    onnx.save(model, path)
    return path


@pytest.fixture
def source(facts, tmp_path):
    """A float network of which nothing but the facts is known."""
    known = facts(
        ModelSpec(alpha=0.25, resolution=Resolution.square(PX)),
        classes=CLASSES,
        preprocess=Preprocess(resolution=Resolution.square(PX)),
    )
    network = tmp_path / "network.json"
    network.write_text(facts_to_json(known))
    return Float(network=network, weights=Path("none"))


@pytest.mark.parametrize(("batch", "size"), [(1, 1), (3, 3), ("n", 1)])
def test_channels_first_and_any_batch(source, tmp_path, batch, size):
    path = write_flat(tmp_path / "net_fp32.onnx", batch)
    labels = [str(number) for number in range(CLASSES)]
    files = made(source, [path], images(5), labels=labels, is_labelled=False)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    golden = golden_from_bytes(files["golden/golden.json"])
    (artifact,) = golden.artifacts
    assert (artifact.input.shape, artifact.input.layout) == ((size, 3, PX, PX), "nchw")
    assert artifact.output.shape == (size, CLASSES)
    assert len(files["golden/case_0/net_fp32.onnx.out"]) == 4 * CLASSES  # one row, whatever the batch
    assert replay(tmp_path) == len(golden.cases)


def test_answers_that_are_no_numbers_make_no_vectors(source, tmp_path):
    """The run goes on: its gates fail, and say why."""
    path = write_flat(tmp_path / "net_fp32.onnx", 1, op="Sqrt")  # of what is dark, which is below zero
    labels = [str(number) for number in range(CLASSES)]
    assert made(source, [path], images(5), labels=labels, is_labelled=False) == {}


def test_no_tensorflow_is_loaded():
    code = "import sys, mbexport.pipeline.build; print({'tensorflow', 'tf_keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_trained_network(small_build, tmp_path):
    """Real artifacts: three different digits, all seen right by all, and replayed by the runtimes alone."""
    train = small_build / ".mbexport" / "stages" / "train"
    float_network = Float(network=train / "network.json", weights=train / "weights.npz")
    data = open_data("digits")
    paths = sorted([*small_build.glob("*.tflite"), *small_build.glob("*.onnx")])
    told = {"labels": data.class_names, "is_labelled": True}
    files = made(float_network, paths, data.split(0)[1], **told)
    assert files == made(float_network, paths, data.split(0)[1], **told)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for path in paths:
        (tmp_path / path.name).symlink_to(path)
    golden = golden_from_bytes(files["golden/golden.json"])
    assert len({case.truth for case in golden.cases}) == 3
    assert all(each.top == case.truth for case in golden.cases for each in case.expected.values())
    assert replay(tmp_path) == 3 * len(paths)
