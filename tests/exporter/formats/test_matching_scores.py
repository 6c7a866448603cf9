"""How an artifact's scores are read, by what makes them and how many there are, and which files do not fit."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto
from tflite_by_hand import model_of, op_of, tensor_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.classifier import Classifier
from mbexport.formats.matching import match, output_json
from mbexport.formats.registry import open_path, open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.formats.tflite.file import packed
from mbexport.models.facts import Output
from mbexport.models.preprocess import RAW, Preprocess
from mbexport.models.resolution import Resolution

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
PIXELS = Preprocess(resolution=Resolution.square(4), crop_fraction=1.0)
IMAGE, SCORES = (1, 4, 4, 3), ("scores", FLOAT, [1, 48])


def matched(runner: Runner, **changed: object) -> Subject:
    wanted = {"pixels": PIXELS, "classes": Classifier(runner).classes, "background": False} | changed
    return match(runner, given=RAW, **wanted)


@pytest.fixture
def flat(save) -> Runner:
    """Gives its image flat as its scores."""
    return open_runner(save([("image", FLOAT, IMAGE)], [SCORES], "Flatten image -> scores"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pixels": Preprocess(resolution=Resolution.square(5))}, "one resolution, got 4 px beside 5 px"),
        ({"pixels": replace(PIXELS, channels=1)}, r"images of one kind, got 3 channel\(s\) beside 1"),
        ({"classes": 46, "background": True}, "one number of classes, got 48 beside 46"),
        ({"classes": 49}, "one number of classes, got 48 beside 49"),
        ({"classes": 47}, "must be 47 scores, got 48: --background leaves out the first"),
    ],
)
def test_another_size_is_refused(flat, changed, message):
    with pytest.raises(DataError, match=message):
        matched(flat, **changed)


def test_a_background_is_left_out(flat):
    subject = matched(flat, classes=47, background=True)
    image = np.arange(48, dtype=np.uint8).reshape(IMAGE)
    assert subject.raw(image).tolist() == [list(range(1, 48))]
    assert (subject.classes, output_json(subject)) == (
        47,
        {"dtype": "float32", "kind": "logits", "background": True, "codes": None, "conflict": None},
    )
    assert not matched(flat, background=True).skips_background  # none of another file is left out


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ("Flatten image -> f; Softmax f -> scores", "softmax"),
        ("Flatten image -> f; Sigmoid f -> scores", "sigmoid"),
        ("Flatten image -> f; Relu f -> scores", "logits"),
        ("Softmax image -> p; Flatten p -> scores", "softmax"),
        ("Sigmoid image -> p; QuantizeLinear p s z -> q; DequantizeLinear q s z -> f; Flatten f -> scores", "sigmoid"),
        ("Flatten image -> f; Softmax f -> p; Relu p -> scores", "logits"),
        ("Flatten image -> scores", "logits"),
    ],
)
def test_what_makes_the_scores_says_what_they_are(save, steps, kind):
    constants = {"s": np.float32(1 / 256), "z": np.uint8(0)} if " s z " in steps else {}
    runner = open_runner(save([("image", FLOAT, IMAGE)], [SCORES], steps, **constants))
    assert output_json(matched(runner))["kind"] == kind


@pytest.mark.parametrize("kind", ["LOGISTIC", "SOFTMAX"])
def test_what_makes_the_scores_of_a_tflite_is_seen_behind_their_codes(tmp_path, kind):
    """The op, its result flat, and flat codes of that."""
    codes, shapes = Affine(scale=(1 / 256,), zero_point=(0,)), [(1, 2, 2, 3), (1, 2, 2, 3), (1, 12), (1, 12)]
    types, affines = ["float32", "float32", "float32", "uint8"], [None, None, None, codes]
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor_of(str(place), *end, affine=affine)
        for place, (*end, affine) in enumerate(zip(types, shapes, affines, strict=True))
    ]
    graph.tensors.append(tensor_of("sizes", "int32", (2,), buffer=1))
    graph.operators = [op_of(place, place, place + 1) for place in range(3)]
    graph.operators[1].inputs = np.array([1, 4], np.int32)
    graph.operators[0].builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions if kind == "SOFTMAX" else 0
    graph.operators[0].builtinOptions = schema.SoftmaxOptionsT() if kind == "SOFTMAX" else None
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([3], np.int32)
    contents = [None, np.array((1, 12), np.int32).tobytes()]
    (tmp_path / "net.tflite").write_bytes(packed(model_of(graph, [kind, "RESHAPE", "QUANTIZE"], contents)))
    for path_name in ("xnnpack", "builtin"):
        runner = open_path(tmp_path / "net.tflite", path_name)
        subject = match(
            runner, pixels=Preprocess(resolution=Resolution.square(2)), given=RAW, classes=12, background=False
        )
        assert subject.kind is {"LOGISTIC": Output.SIGMOID, "SOFTMAX": Output.SOFTMAX}[kind]
        assert output_json(subject)["dtype"] == "uint8"


def test_codes_that_are_no_probabilities_are_refused(save):
    steps = "Flatten image -> f; Softmax f -> p; Cast p -> scores"
    path = save([("image", FLOAT, IMAGE)], [("scores", UINT8, [1, 48])], steps, attributes={"Cast": {"to": UINT8}})
    with pytest.raises(DataError, match="its uint8 output has no quantization"):
        matched(open_runner(path))
