"""What published lists take: each reason by hand, and what holds for any graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.formats.chosen_paths import every_path
from mbexport.formats.delegates.fitness import differing
from mbexport.formats.delegates.lists import COREML, EDGE_TPU, GPU, NNAPI
from mbexport.formats.delegates.op import Op, Source
from mbexport.formats.delegates.published import BEHIND, CUSTOM, NOT_LISTED
from mbexport.formats.delegates.rows import DELEGATES
from mbexport.formats.kernel_path import Share
from mbexport.formats.registry import FORMATS

C, Q, X = Source.CONSTANT, Source.CODES, Source.COMPUTED
IMAGE = (1, 8, 8, 16)
LISTS = (GPU, EDGE_TPU, COREML, NNAPI)


def int8(name, *shapes, **facts):
    return Op(name=name, types=("int8", "int8"), shapes=shapes or (IMAGE, IMAGE), **facts)


def floats(name, *shapes, **facts):
    return Op(name=name, types=("float32", "float32"), shapes=shapes or (IMAGE, IMAGE), **facts)


@pytest.mark.parametrize(
    ("published", "op", "why"),
    [
        (EDGE_TPU, int8("CONV_2D"), None),
        (EDGE_TPU, floats("CONV_2D"), "float32 is not among int8, uint8"),
        (EDGE_TPU, int8("HARD_SWISH"), NOT_LISTED),
        (EDGE_TPU, int8("TFLite_Detection_PostProcess", is_custom=True), CUSTOM),
        (EDGE_TPU, int8("CONV_2D", (None, 8, 8, 16)), "a size that is not fixed"),
        (EDGE_TPU, int8("CONV_2D", (2, 8, 8, 16)), "more than one in a batch"),
        (EDGE_TPU, int8("MAX_POOL_2D", is_fused=True), "with an activation in it"),
        (EDGE_TPU, int8("MEAN", axes=(1, 2)), None),
        (EDGE_TPU, int8("MEAN", axes=(-4,)), "reduces the batch"),
        (EDGE_TPU, int8("MEAN", axes=(3,)), None),
        (EDGE_TPU, int8("MEAN", (1, 8, 8, 3), axes=(-1,)), "reduces channels that are no multiple of 4"),
        (EDGE_TPU, int8("SOFTMAX", (1, 16_000)), None),
        (EDGE_TPU, int8("SOFTMAX", (1, 16_001)), "of more than 16,000 elements"),
        (EDGE_TPU, int8("SOFTMAX", (1, 2, 10)), "of more than one dimension"),
        (GPU, floats("CONV_2D"), None),
        (GPU, floats("CONV_2D", version=2), "version 2: at most 1 in floats"),
        (GPU, floats("DEPTHWISE_CONV_2D", version=2), None),
        (GPU, int8("CONV_2D", version=3), None),
        (GPU, floats("MEAN"), NOT_LISTED),
        (GPU, Op(name="CONV_2D", types=("int16",)), "int16 is not among float32, float16, int8, uint8"),
        (GPU, floats("DEQUANTIZE", inputs=(C,)), None),
        (GPU, floats("DEQUANTIZE", inputs=(X,)), "the input must be constant"),
        (COREML, floats("Conv", inputs=(X, C, C)), None),
        (COREML, floats("Conv", inputs=(X, C)), None),
        (COREML, floats("Conv", inputs=(X, Q, Q)), "the bias must be constant"),
        (COREML, floats("Conv", (1, 2, 3, 4, 5), inputs=(X, C)), "5 dimensions, not 3 or 4"),
        (COREML, floats("QuantizeLinear"), NOT_LISTED),
        (COREML, Op(name="Transpose", types=("uint8",)), "uint8 is not among float32, float16, int32, int64, bool"),
        (NNAPI, floats("Conv", inputs=(X, Q, Q)), None),
        (NNAPI, floats("Conv", inputs=(X, X, Q)), "the weight must be constant"),
        (NNAPI, floats("QuantizeLinear", inputs=(X, X, C)), "the scale must be constant"),
    ],
)
def test_an_op_is_taken_or_the_reason_is_said(published, op, why):
    assert published.reason(op) == why


def test_behind_the_first_refused_op_the_edge_tpu_takes_nothing():
    ops = [int8("CONV_2D"), int8("GATHER"), int8("CONV_2D"), int8("GATHER")]
    assert EDGE_TPU.judged(ops) == [None, NOT_LISTED, BEHIND, NOT_LISTED]
    assert GPU.judged(ops) == [None, NOT_LISTED, None, NOT_LISTED]
    fitness = EDGE_TPU.fitness(ops)
    assert (fitness["taken"], fitness["total"]) == (1, 4)
    assert fitness["refused"] == [
        {"op": "GATHER", "count": 2, "why": NOT_LISTED},
        {"op": "CONV_2D", "count": 1, "why": BEHIND},
    ]


graphs = st.lists(
    st.builds(
        Op,
        name=st.sampled_from(["CONV_2D", "MEAN", "SOFTMAX", "GATHER", "Conv", "Clip", "QuantizeLinear", "x"]),
        is_custom=st.booleans(),
        version=st.integers(1, 5),
        types=st.lists(st.sampled_from(["float32", "int8", "uint8", "int64"]), max_size=2).map(tuple),
        shapes=st.lists(st.lists(st.none() | st.integers(1, 9), max_size=5).map(tuple), max_size=2).map(tuple),
        inputs=st.lists(st.sampled_from(Source), max_size=4).map(tuple),
        is_fused=st.booleans(),
        axes=st.none() | st.lists(st.integers(-5, 4), max_size=3).map(tuple),
    ),
    max_size=8,
)


@given(st.sampled_from(LISTS), graphs)
def test_each_op_is_taken_or_refused_once(published, ops):
    fitness = published.fitness(ops)
    assert fitness["taken"] + sum(row["count"] for row in fitness["refused"]) == fitness["total"] == len(ops)
    assert {row["op"] for row in fitness["refused"]} <= {op.name for op in ops}


@given(graphs, graphs)
def test_what_comes_behind_changes_nothing_before_it(ops, others):
    for published in LISTS:
        assert published.judged([*ops, *others])[: len(ops)] == published.judged(ops)


@given(graphs, st.sets(st.sampled_from(["CONV_2D", "MEAN", "Conv"])))
def test_a_measurement_that_says_the_same_differs_nowhere(ops, left):
    published = {"refused": [{"op": name} for name in left]}
    same = Share(taken=0, total=1, left=tuple((name, 1) for name in left))
    assert differing(same, published, ops) == []
    names = list(dict.fromkeys(op.name for op in ops))
    whole = differing(Share(taken=1, total=1), published, ops)
    assert whole == [{"op": name, "measured": True} for name in names if name in left]
    assert differing(Share(taken=None, total=1), published, ops) == []


def test_what_is_left_in_a_measurement_and_not_by_the_list_is_told():
    share = Share(taken=1, total=2, left=(("CONV_2D", 1), ("others beside them", 1)))
    ops = [int8("CONV_2D"), int8("MEAN")]
    assert differing(share, GPU.fitness(ops), ops) == [
        {"op": "CONV_2D", "measured": False},
        {"op": "MEAN", "measured": True},
    ]


def test_every_row_is_known_by_something_and_names_a_path_that_is_there():
    paths = {(each.name, row.name) for each, row in every_path()}
    assert len({row.name for row in DELEGATES}) == len(DELEGATES)
    for row in DELEGATES:
        assert row.path or row.published
        assert row.path is None or (row.format, row.path) in paths
        assert row.format in {each.name for each in FORMATS}
