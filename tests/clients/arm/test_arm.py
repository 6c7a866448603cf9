"""Our files on emulated ARM processors, with and without dot products, answer as on this machine.

`FIGURES` says how far they were apart, for people to look at.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator
from clients.arm.processors import PROCESSORS, Answered, Processor, answer_here, answer_on
from clients.arm.sysroot import sysroot
from clients.environments import ROOT, UnreachableError

from mbexport.formats.tflite.file import opened, packed
from mbexport.models.data.open import open_data, open_unlabelled

pytestmark = [pytest.mark.client, pytest.mark.slow, pytest.mark.timeout(3600)]

LOGITS = "logits.tflite"  # int8.tflite up to its softmax
INT8, FP32 = ("int8.tflite", "int8.onnx"), ("fp32.tflite", "fp32.onnx")
DIGITS, PHOTOS = 225, 40
FIGURES = ROOT / "build" / "tests" / "arm"
HEAD = (
    "| processor | file | dot products | images | of the same class | to the bit | largest distance |",
    "|---|---|---|---|---|---|---|",
)
# Sums of floats are added up in another order: some units of the last place of a probability, over 30 layers.
FLOAT_ERROR = 1e-5
# LiteRT's softmax of codes is another one on ARM (TFLITE_SOFTMAX_USE_UINT16_LUT in its optimized_ops.h): it looks up
# 16 bits, where x86 computes floats. What is one rounding apart is one code apart.
SOFTMAX_LSB = 1
Pair = tuple[Answered, Answered]


@pytest.fixture(scope="session", params=["digits", "photos"])
def network(request):
    """The shared small network with many digits, or the one of ImageNet with photos, where the shared data is."""
    found = request.getfixturevalue("digits_network" if request.param == "digits" else "imagenet_network")
    if request.param == "digits":
        _, images = open_data("digits").split(0)
        count = DIGITS
    else:
        images = open_unlabelled(request.getfixturevalue("shared_data") / "imagenet" / "eval").images
        count = PHOTOS
    chosen = [index * len(images) // count for index in range(count)]
    return replace(found, pixels=np.stack([found.preprocess.pixels(images.read(index)) for index in chosen]))


@pytest.fixture(scope="session")
def pair_of(network, tmp_path_factory) -> Iterator[Callable[[str, Processor], Pair]]:
    """What the artifact of a kind answers here and on a processor; each is asked once."""
    try:
        root = sysroot()
    except UnreachableError as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("arm")
    logits = folder / LOGITS
    logits.write_bytes(_up_to_softmax(network.file("int8.tflite").read_bytes()))
    files = {kind: network.file(kind) for kind in (*INT8, *FP32)} | {LOGITS: logits}
    feeds = {kind: network.fed("int8.tflite" if kind == LOGITS else kind) for kind in files}

    @cache
    def here(kind: str) -> Answered:
        return answer_here(files[kind], feeds[kind], folder)

    pairs: dict[tuple[Processor, str], Pair] = {}

    def pair_of(kind: str, processor: Processor) -> Pair:
        if (processor, kind) not in pairs:
            there = answer_on(processor, files[kind], feeds[kind], folder, root=root)
            pairs[processor, kind] = here(kind), there
        return pairs[processor, kind]

    yield pair_of
    lines = [_figures(processor, kind, *pairs[processor, kind]) for processor, kind in sorted(pairs, key=str)]
    FIGURES.mkdir(parents=True, exist_ok=True)
    (FIGURES / f"{network.folder.name}.md").write_text("\n".join([*HEAD, *lines, ""]))


@pytest.fixture(params=PROCESSORS, ids=lambda each: each.name)
def processor(request) -> Processor:
    """Each of the emulated processors."""
    return request.param


@pytest.mark.parametrize("kind", [*INT8, *FP32])
def test_the_same_release_answers_with_the_kernels_of_that_processor(pair_of, network, processor, kind):
    here, there = pair_of(kind, processor)

    assert there.said == {**here.said, "machine": "aarch64", "has_dotprod": processor.has_dotprod}
    assert there.dot_products is not None
    assert (there.dot_products > 0) == (processor.has_dotprod and kind in INT8)
    assert len(np.unique(here.outputs, axis=0)) > 5  # one answer to everything would prove nothing
    np.testing.assert_array_equal(here.outputs, network.answers(kind))


@pytest.mark.parametrize("kind", [LOGITS, "int8.onnx"])
def test_integers_are_the_same_to_the_bit(pair_of, processor, kind):
    """All that XNNPACK and onnxruntime compute of codes: their roundings are one definition everywhere."""
    here, there = pair_of(kind, processor)

    np.testing.assert_array_equal(there.outputs, here.outputs)


@pytest.mark.parametrize("kind", INT8)
def test_int8_files_give_the_same_class_and_codes_at_most_one_apart(pair_of, processor, kind):
    here, there = (answered.outputs.astype(np.int16) for answered in pair_of(kind, processor))

    assert np.abs(there - here).max() <= (SOFTMAX_LSB if kind == "int8.tflite" else 0)
    np.testing.assert_array_equal(there.argmax(axis=1), here.argmax(axis=1))


@pytest.mark.parametrize("kind", FP32)
def test_float_files_give_the_same_class_and_nearly_the_same_scores(pair_of, processor, kind):
    here, there = (answered.outputs for answered in pair_of(kind, processor))

    np.testing.assert_allclose(there, here, rtol=0, atol=FLOAT_ERROR)
    np.testing.assert_array_equal(there.argmax(axis=1), here.argmax(axis=1))


def _up_to_softmax(content: bytes) -> bytes:
    """A .tflite file that gives what the softmax of the file `content` is fed with."""
    model = opened(content)
    (graph,) = model.subgraphs
    codes = [model.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    softmax = codes.index(BuiltinOperator.SOFTMAX)
    graph.outputs, graph.operators = graph.operators[softmax].inputs, graph.operators[:softmax]
    model.signatureDefs = []  # they would name the output that is gone
    return packed(model)


def _figures(processor: Processor, kind: str, here: Answered, there: Answered) -> str:
    """A row of the table of `HEAD`."""
    ours, theirs = (answered.outputs.astype(np.float64) for answered in (here, there))
    classes = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    distances = np.abs(ours - theirs).max(axis=1)
    same, largest = int((distances == 0).sum()), f"{distances.max():.2g}"
    cells = (processor.name, kind, there.dot_products, len(ours), classes, same, largest)
    return f"| {' | '.join(map(str, cells))} |"
