"""The parts of a verification: they cover the images once in whole batches, and add up to the whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import DataError, StageError
from mbexport.models.data.imageset import ImageSet
from mbexport.models.data.readable import ImageFindings, check_images, joined_looks, look_at
from mbexport.pipeline.verify_parts import ANSWER, LOOK, Part, Parts, findings_in, leave, leave_look
from mbexport.verification.classification.answers import Scores, answers_of
from mbexport.verification.classification.collect import Collected
from mbexport.verification.classification.pairs import PairTally
from mbexport.verification.streaming import BATCH


@given(images=st.integers(0, 3000), count=st.integers(1, 50))
@example(images=0, count=3)
@example(images=BATCH, count=2)
def test_parts_hold_every_image_once_and_only_the_last_one_less_than_whole_batches(images, count):
    parts = [Part(kind=ANSWER, number=number, count=count).places(images) for number in range(count)]
    assert [place for part in parts for place in part] == list(range(images))
    assert all(part.start % BATCH == 0 or part.start == images for part in parts)
    sizes = [-(-len(part) // BATCH) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_the_places_of_three_parts_by_hand():
    parts = [Part(kind=LOOK, number=number, count=3).places(100) for number in range(3)]
    assert parts == [range(32), range(32, 64), range(64, 100)]  # 4 batches: 1, 1 and 2


def pictures(colours: list[int | None]) -> ImageSet:
    """Pictures of one colour each; None cannot be read."""

    def read(place: int) -> Image.Image:
        if colours[place] is None:
            raise DataError(f"{place} cannot be decoded: it is damaged")
        return Image.new("RGB", (2, 2), (colours[place],) * 3)

    return ImageSet(labels=np.zeros(len(colours), np.int64), names=tuple(map(str, range(len(colours)))), read=read)


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=120), st.integers(1, 5))
def test_looks_at_parts_find_what_a_look_at_all_finds(tmp_path_factory, colours, count):
    folder = tmp_path_factory.mktemp("parts")
    images = pictures(colours)

    def run(parts, _on_step):
        for part in parts:
            leave_look(folder, part, images)

    found = Parts(folder=folder, count=count, run=run).look(images, lambda *_: None)
    whole = check_images([images])
    assert (found.unreadable, found.copies) == (whole.unreadable, whole.copies)
    assert findings_in(folder) == ImageFindings.from_json(whole.to_json())


def test_a_copy_in_another_part_is_found_by_hand():
    images = pictures([5, None, 7, 5, 7])
    joined = joined_looks([look_at(images, range(2)), look_at(images, range(2, 5))])
    assert dict(joined.unreadable) == {1: "1 cannot be decoded: it is damaged"}
    assert joined.findings()[1] == {3: 0, 4: 2}


def collected(values: np.ndarray, codes: np.ndarray) -> Collected:
    """Two artifacts whose scores are the values, and whose codes are compared."""
    scores = Scores(values=values, probabilities=values.astype(np.float64), step=0.5)
    answers = answers_of(scores, scores, np.zeros(len(values), np.int64))
    tally = PairTally()
    tally.add(codes, np.zeros_like(codes))
    return Collected(reference=[answers], artifacts=[[answers], [answers]], tallies={(0, 1): tally})


def empty() -> Collected:
    none = np.zeros((0, 3), np.float32)
    found = collected(none, none.astype(np.int64))
    found.tallies[0, 1].worst.clear()
    found.tallies[0, 1].mean.clear()
    return found


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_answers_that_went_through_files_are_those_that_were_collected(sizes, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(sum(sizes), 3)).astype(np.float32)
    codes = rng.integers(-128, 128, values.shape)
    put_together, start = empty(), 0
    for size in sizes:
        put_together.add_bytes(collected(values[start : start + size], codes[start : start + size]).to_bytes())
        start += size
    assert put_together.to_bytes() == collected(values, codes).to_bytes()


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive", b"\x93NUMPY"])
def test_what_holds_no_answers_is_refused(content):
    with pytest.raises(DataError, match="the answers to a part of the images cannot be read"):
        empty().add_bytes(content)


def test_an_image_that_nobody_answered_is_noticed(tmp_path):
    def run(parts, _on_step):
        for part in parts:
            leave(tmp_path, part.file, Collected.of([]).to_bytes())

    parts = Parts(folder=tmp_path, count=2, run=run)
    with pytest.raises(StageError, match="every image must be answered once, got 0 answers to 40 images"):
        parts.collect([], pictures([0] * 40), None, reference=None, on_step=lambda *_: None)


def test_a_part_that_is_none_is_refused(cli, tmp_path):
    for text in ("look:2/2", "see:0/1", "look:0", "answer:-1/2"):
        found = cli("verify", "x.tflite", "--data", "digits", "--part", text, "--parts", str(tmp_path))
        assert found.returncode == 2
    found = cli("verify", "x.tflite", "--data", "digits", "--jobs", "2")
    assert (found.returncode, "go with --shards" in found.stderr) == (2, True)
    found = cli("verify", "x.tflite", "--data", "digits", "--shards", "0")
    assert (found.returncode, "--shards must be from 1 to" in found.stderr) == (2, True)


@pytest.mark.run
def test_the_report_of_parts_is_that_of_the_whole(small_build: Path, cli_process, tmp_path):
    from mbexport.models.data.open import open_data

    digits = open_data("digits").evaluation(0)
    for place in range(150):
        file = tmp_path / "photos" / str(digits.labels[place]) / f"{place:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        digits.read(place if place != 140 else 3).save(file)  # a copy, in another part
    (tmp_path / "photos" / "4" / "bad.png").write_bytes(b"no image")
    files = sorted(map(str, small_build.glob("*.tflite"))) + sorted(map(str, small_build.glob("*_int8.onnx")))
    words = ["verify", *files, "--data", "photos", "--max-bad", "5%", "--crop-fraction", "1", "--no-latency", "--json"]
    whole = cli_process(*words, cwd=tmp_path)
    parts = cli_process(*words, "--shards", "3", "--jobs", "2", cwd=tmp_path)
    assert whole.returncode in (0, 1), whole.stderr
    assert parts.stdout == whole.stdout
    assert json.loads(whole.stdout)["reference"]["samples"] == 149
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


@pytest.mark.run
def test_digits_which_lie_in_no_files_are_answered_in_parts_too(small_build: Path, cli_process, tmp_path):
    (file,) = small_build.glob("*_int8.tflite")
    words = ["verify", str(file), "--data", "digits", "--no-latency", "--json"]
    whole = cli_process(*words, cwd=tmp_path)
    parts = cli_process(*words, "--shards", "2", cwd=tmp_path)
    assert whole.returncode in (0, 1), whole.stderr
    assert parts.stdout == whole.stdout
