"""Artifacts side by side: the same result on any number of threads, none of them in two at once, and little memory."""

import itertools
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.registry import open_runner
from mbexport.models.facts import Output
from mbexport.verification import streaming
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.comparison import verify
from mbexport.verification.streaming import answered_batches

UINT8_SCORES = Affine(scale=(1 / 256,), zero_point=(0,))


WAYS = st.fixed_dictionaries({"batch": st.integers(1, 9), "workers": st.sampled_from([1, 2, 7])})


@given(st.integers(1, 30), WAYS, st.sampled_from(list(Output)))
def test_neither_batches_nor_threads_change_the_result(table_runner, verified, count, way, kind):
    rng = np.random.default_rng(count)
    codes = rng.integers(0, 4, (3, count, 6), dtype=np.uint8)
    runners = [table_runner(name, table, UINT8_SCORES) for name, table in zip("abc", codes, strict=True)]
    labels, reference = rng.integers(0, 6, count), rng.integers(0, 4, (count, 6)) / 4
    whole = verified(runners, labels, reference=reference, kind=kind, batch=count, workers=1)
    assert verified(runners, labels, reference=reference, kind=kind, **way) == whole


def slow(runner):
    """Makes `runner` note how many threads it is in, at most, and be long in each."""
    runner.inside, runner.most, invoke = 0, 0, runner._invoke

    def noted(feed):
        runner.inside += 1
        runner.most = max(runner.most, runner.inside)
        time.sleep(0.002)
        runner.inside -= 1
        return invoke(feed)

    runner._invoke = noted
    return runner


@pytest.mark.parametrize("is_reference", [False, True])
def test_no_artifact_is_in_two_threads_at_once(table_runner, subject, numbered, pixel, is_reference):
    scores = np.eye(3, dtype=np.float32)[[0, 1, 2] * 4]
    subjects = [subject(slow(table_runner(name, scores))) for name in "abc"]
    other = subject(slow(table_runner("reference", scores[[0] * 12])))
    reference = Baseline.of(subjects[1] if is_reference else other)
    found = verify(subjects, numbered([0] * 12), pixel, reference=reference, batch=2, workers=8)
    assert [each.runner.most for each in subjects] == [1, 1, 1]
    assert found.reference.name == ("b" if is_reference else "reference")
    assert found.artifacts[0].agreement == (1.0 if is_reference else 1 / 3)


def test_artifacts_run_side_by_side_and_the_reference_meanwhile(numbered, pixel):
    # Each waits until all others are at work too: one after the other, they would wait for ever.
    together = threading.Barrier(3, timeout=60)
    batches = []

    def answer(batch, expected):
        together.wait()
        return expected

    def reference(batch):
        if batches:  # the artifacts are at work on the batch before
            together.wait()
        batches.append(len(batch.pixels))

    stream = answered_batches(numbered([0, 0]), pixel, reference=reference, artifacts=[answer] * 2, batch=1, workers=2)
    next(stream)
    assert batches == [1, 1]
    together.abort()  # nobody accompanies the last batch
    with pytest.raises(threading.BrokenBarrierError):
        next(stream)


@given(st.integers(0, 30), WAYS)
def test_answers_may_be_of_any_type_and_come_in_the_order_of_images_and_artifacts(numbered, pixel, count, way):
    """No classes anywhere: here the reference gives numbers, and artifacts give sentences."""

    def words(name):
        return lambda batch, expected: [f"{name} saw {image} in {total}" for image, total in expected]

    stream = answered_batches(
        numbered([0] * count),
        pixel,
        reference=lambda batch: [(int(image[0, 0, 0]), len(batch.pixels)) for image in batch.pixels],
        artifacts=[words("a"), words("b")],
        **way,
    )
    answered = list(stream)
    seen = [image for batch in answered for image, _ in batch.expected]
    assert seen == list(range(count))
    for place, name in enumerate("ab"):
        found = [word for batch in answered for word in batch.answers[place]]
        assert [word.split(" in ")[0] for word in found] == [f"{name} saw {image}" for image in range(count)]


def test_artifact_that_fails_is_named(table_runner, verified, one_hot):
    runner = table_runner("a.tflite", one_hot(0, 0))

    def fail(_feed):
        raise RuntimeError("out of luck")

    runner._invoke = fail
    with pytest.raises(DataError, match=r"a\.tflite loads, but fails when it runs: out of luck"):
        verified([table_runner("b", one_hot(0, 0)), runner], [0, 0], reference=one_hot(0, 0))


def test_image_that_cannot_be_read_stops_the_comparison(table_runner, subject, pixel, numbered, one_hot):
    def read(index):
        raise DataError(f"{index} cannot be read")

    images = numbered([0] * 3)
    broken = type(images)(labels=images.labels, names=images.names, read=read)
    with pytest.raises(DataError, match="0 cannot be read"):
        verify(
            [subject(table_runner("a", one_hot(0, 0, 0)))],
            broken,
            pixel,
            reference=Baseline.of(subject(table_runner("b", one_hot(0, 0, 0)))),
        )


def test_few_images_are_decoded_ahead(pixel, numbered):
    read, images, count = [], numbered([0] * 40), 40

    def noted(index):
        read.append(index)
        return images.read(index)

    watched = type(images)(labels=images.labels, names=images.names, read=noted)
    stream = answered_batches(watched, pixel, reference=lambda batch: 0, artifacts=[lambda batch, _: 1], batch=2)
    for number, _ in enumerate(stream):
        assert len(read) <= 2 * (number + 3)
    assert sorted(read) == list(range(count))


def test_progress_counts_images(table_runner, verified, one_hot):
    steps = []
    verified(
        [table_runner("a", one_hot(0, 1, 2))],
        [0, 0, 0],
        reference=one_hot(0, 1, 2),
        batch=2,
        on_step=lambda *step: steps.append(step),
    )
    assert steps == [(2, 3, "images"), (3, 3, "images")]


def multiplying_onnx(path):
    """A network that takes some milliseconds: the image tiled to a large matrix, times another, ten times."""
    side = 512
    names = [f"x{place}" for place in range(11)]
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Tile", ["flat", "times"], ["x0"]),
        *(helper.make_node("MatMul", [a, "matrix"], [b]) for a, b in itertools.pairwise(names)),
        helper.make_node("ReduceMax", ["x10"], ["scores"], axes=[0], keepdims=1),
    ]
    constants = {"matrix": np.eye(side, dtype=np.float32), "times": np.array([side, 2], np.int64)}
    graph = helper.make_graph(
        nodes,
        "matrices",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 16, 16, 1))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, side))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def quantizing_tflite(path):
    """A network that takes some milliseconds: a large image, to codes and back."""
    affine = Affine(scale=(1 / 128,), zero_point=(0,))
    path.write_bytes(tflite_of("float32", codes="int8", affine=affine, px=1024))
    return path


@pytest.mark.parametrize(("make", "name"), [(multiplying_onnx, "a.onnx"), (quantizing_tflite, "a.tflite")])
def test_runtimes_release_the_interpreter_lock(tmp_path, make, name):
    runner = open_runner(make(tmp_path / name))
    feed = np.zeros(runner.input.shape, np.float32)
    interval, seen = sys.getswitchinterval(), []
    sys.setswitchinterval(1000)  # a thread gives up the lock only where it says so
    try:
        for _ in range(20):
            entered, left = threading.Event(), threading.Event()

            def infer(entered=entered, left=left):
                entered.set()
                runner.invoke(feed)
                left.set()

            thread = threading.Thread(target=infer)
            thread.start()
            entered.wait()
            seen.append(left.is_set())
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not all(seen)


def test_what_tasks_share_knows_nothing_of_classification():
    shared = sorted(Path(streaming.__file__).parent.glob("*.py"))
    assert {path.stem for path in shared} > {"streaming", "kernel_paths", "statistics", "gates", "judge"}
    assert [path.name for path in shared if "verify.classification" in path.read_text("utf-8")] == []
