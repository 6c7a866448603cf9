"""What a detector's .tflite says of its four outputs, by the numbers of the published schema, and its labels."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_by_hand import end_of, model_of, op_of, tensor_of

from mbexport.errors import StageError
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import OUTPUTS, DetectionTail
from mbexport.formats.tflite.detection_core import detection_tail_of
from mbexport.formats.tflite.detection_metadata import read_sides
from mbexport.formats.tflite.detection_tail import with_detection_tail
from mbexport.formats.tflite.file import metadata_buffer, opened, packed
from mbexport.formats.tflite.metadata import labels_of, metadata_of, with_metadata
from mbexport.formats.tflite.metadata_schema import BoundingBoxProperties, Content, Reader, Writer
from mbexport.models.detection.settings import PostProcess
from mbexport.models.facts import Output
from mbexport.models.resolution import Resolution

PLAIN = Description(
    name="net",
    text="A network.",
    labels=("red", "white", "platelet"),
    resolution=Resolution.square(2),
    channels=3,
    mean=(127.5,),
    std=(127.5,),
    output=Output.SIGMOID,
)
TAIL = DetectionTail(
    anchors=np.full((1, 4), 0.5, np.float32),
    code_scales=(10.0, 10.0, 5.0, 5.0),
    classes=3,
    settings=PostProcess(max_detections=5),
    maps=1,
)


def detector() -> bytes:
    """A file that takes codes and logits from places that an image of 2 x 2 px does not have: it is never run."""
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor_of("image", "float32", (1, 2, 2, 3)),
        tensor_of("codes", "float32", (1, 1, 1, 4)),
        tensor_of("logits", "float32", (1, 1, 1, 3)),
        *(tensor_of(f"number {place}", "int32", (4,), buffer=place) for place in (1, 2, 3)),
    ]
    graph.operators = [op_of(0, 0, 1), op_of(0, 0, 2)]
    for op, size in zip(graph.operators, (4, 5), strict=True):
        op.inputs = np.array([0, 3, size], np.int32)
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([2, 1], np.int32)
    contents = [np.array(values, np.int32).tobytes() for values in ([0] * 4, [1, 1, 1, 4], [1, 1, 1, 3])]
    model = model_of(graph, ["SLICE"], [None, *contents])
    model.signatureDefs[0].outputs = [end_of(b"boxes_0", [1]), end_of(b"classes_0", [2])]
    return with_detection_tail(packed(model), TAIL)


def graph_of(content: bytes) -> Reader:
    root = Reader.root(metadata_buffer(opened(content), b"TFLITE_METADATA").tobytes())
    assert root.text(7) == "1.2.0"  # since then there are groups
    (graph,) = root.tables(3)
    return graph


def test_fields_have_the_numbers_of_the_published_schema():
    """Counted in metadata_schema.fbs; the test of MediaPipe reads every field by its classes."""
    location, category, score, number = graph_of(with_metadata(detector(), PLAIN)).tables(3)
    box = location.table(3).table(1)
    assert (location.table(3).kind(0), box.kind(1), box.kind(2)) == (3, 1, 0)  # boxes, BOUNDARIES, RATIO
    assert [box._table.Bytes[at] for at in box._elements(0)] == [1, 0, 3, 2]
    assert (category.table(3).kind(0), score.table(3).kind(0), number.table(3)) == (1, 1, None)  # features
    (file,) = category.tables(6)
    assert (file.text(0), file.kind(2)) == ("labels.txt", 3)  # TENSOR_VALUE_LABELS
    assert [each.tables(6) for each in (location, score, number)] == [[], [], []]


def test_the_outputs_have_the_names_that_mediapipe_looks_for_and_one_group():
    graph = graph_of(with_metadata(detector(), PLAIN))
    assert [tensor.text(0) for tensor in graph.tables(3)] == list(OUTPUTS)
    (group,) = graph.tables(8)
    assert group.text(0) == "detection_result"
    names = [group._table.String(at).decode() for at in group._elements(1)]
    assert names == ["location", "category", "score"]


def test_everything_is_said_in_words():
    found = metadata_of(with_metadata(detector(), PLAIN))
    assert found["labels"] == "3 in labels.txt: red, white, platelet"
    assert found["normalization mean"] == "127.5"
    assert [found[f"output {number}"].partition(":")[0] for number in (1, 2, 3, 4)] == list(OUTPUTS)
    assert "output" not in found  # which would be a classifier's


@pytest.mark.parametrize(
    ("places", "kind", "unit", "said"),
    [
        ((1, 0, 3, 2), 1, 0, "top, left, bottom, right in fractions"),
        ((1, 0, 3, 2), 1, 1, "top, left, bottom, right in pixels"),
        ((0, 1, 2, 3), 1, 0, "left, top, right, bottom in fractions"),
        ((), 1, 0, "left, top, right, bottom in fractions"),  # what MediaPipe takes where nothing is said
        ((1, 0, 3), 1, 0, "sides in no order"),
        ((1, 0, 3, 7), 1, 0, "sides in no order"),
        ((1, 0, 3, 2), 3, 0, "no sides"),  # CENTER
    ],
)
def test_sides_of_boxes_are_read_in_their_order(places, kind, unit, said):
    writer = Writer()
    parts = {BoundingBoxProperties.INDEX: writer.counts(places)} if places else {}
    kinds = {BoundingBoxProperties.TYPE: kind, BoundingBoxProperties.COORDINATE_TYPE: unit}
    box = writer.table(parts=parts, kinds=kinds)
    content = writer.table(parts={Content.PROPERTIES: box}, kinds={Content.PROPERTIES_TYPE: 3})
    assert read_sides(Reader.root(writer.whole(content))) == said


def test_what_is_written_keeps_the_tail_and_is_written_alike():
    first = with_metadata(detector(), PLAIN)
    assert labels_of(first) == PLAIN.labels
    assert detection_tail_of(first).settings == TAIL.settings
    assert with_metadata(first, PLAIN) == first
    assert with_metadata(with_metadata(detector(), replace(PLAIN, labels=())), PLAIN) == first


def test_as_many_labels_as_classes_are_wanted():
    with pytest.raises(StageError, match="labels must be as many as the 3 classes, got 2"):
        with_metadata(detector(), replace(PLAIN, labels=("red", "white")))


def test_several_outputs_that_are_no_detector_s_are_refused():
    model = opened(detector())
    model.subgraphs[0].outputs = model.subgraphs[0].outputs[:3]
    with pytest.raises(StageError, match="or those of a detector, got 1, 3"):
        with_metadata(packed(model), PLAIN)
