"""Points of a sweep: their names, the order in which they are built, and when one is finished."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_by_hand import manifest_by_hand

from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.dry_run import PlannedStage, Status
from mbexport.provenance.manifest import FileFacts
from mbexport.sweep import point as points
from mbexport.sweep.job import Ended
from mbexport.sweep.point import Point, finished, in_turns, point_name, remember, report_of_point
from mbexport.workdir import Workdir

ENDED = Ended(name="0.25_32", code=1, attempts=2, seconds=12.5, node="here")


def spec(alpha: float = 0.25, side: str = "32", conv: Convolution = Convolution.SEPARABLE) -> ModelSpec:
    return ModelSpec(alpha=alpha, resolution=Resolution.parse(side), classes=10, conv=conv)


def point(out: Path, own: ModelSpec | None = None, *, statuses: tuple[Status, ...] = (Status.REUSED,)) -> Point:
    own = own or spec()
    stages = tuple(PlannedStage(name=f"{number}", status=each) for number, each in enumerate(statuses))
    return Point(
        name=point_name(own),
        arguments=("build", "--alpha=0.25"),
        local_arguments=(),
        spec=own,
        planned=SimpleNamespace(
            plan=SimpleNamespace(out=out), stages=stages, network=SimpleNamespace(mult_adds=int(1000 * own.alpha))
        ),
    )


@pytest.fixture
def delivered(tmp_path):
    """A point's folder with a file and a manifest that lists it."""
    folder = tmp_path / "points" / "0.25_32"
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(b"model")
    manifest = replace(manifest_by_hand(), files={"model.tflite": FileFacts.of(b"model")})
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    (folder / "report.json").write_text(json.dumps({"passed": True}))
    return folder


@pytest.fixture
def workdir(tmp_path):
    with Workdir.open(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("own", "name"),
    [
        (spec(), "0.25_32"),
        (spec(1, "96x128"), "1.0_96x128"),
        (spec(0.5, "64", Convolution.STANDARD), "0.5_64_standard"),
    ],
)
def test_a_folder_is_called_by_alpha_resolution_and_what_is_unusual(own, name):
    assert point_name(own) == name


def test_the_largest_come_first_and_neighbours_decode_different_images_by_hand(tmp_path):
    family = [point(tmp_path, spec(alpha, side)) for alpha in (0.25, 0.5) for side in ("32", "64")]
    assert [each.name for each in in_turns(family)] == ["0.5_32", "0.5_64", "0.25_32", "0.25_64"]
    lone = [point(tmp_path, spec(alpha, "32")) for alpha in (0.25, 0.5)] + [point(tmp_path, spec(0.25, "64"))]
    assert [each.name for each in in_turns(lone)] == ["0.5_32", "0.25_64", "0.25_32"]


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.25, 0.5]), st.sampled_from(["32", "64", "96"])), unique=True))
def test_every_point_comes_once(kinds):
    family = [point(Path("x"), spec(alpha, side)) for alpha, side in kinds]
    assert sorted(each.name for each in in_turns(family)) == sorted(each.name for each in family)


def test_a_point_that_is_as_it_was_made_is_finished(workdir, delivered):
    own = point(delivered)
    assert finished(workdir, own) is None
    remember(workdir, own, ENDED)
    assert finished(workdir, own) == ENDED
    assert report_of_point(own) == {"passed": True}


@pytest.mark.parametrize("name", ["model.tflite", "manifest.json", ".mbexport/points/0.25_32.json"])
@pytest.mark.parametrize("content", [None, b"", b"other"])
def test_a_file_that_has_changed_or_gone_makes_it_unfinished(workdir, delivered, name, content):
    own = point(delivered)
    remember(workdir, own, ENDED)
    file = (workdir.root if name.startswith(".") else delivered) / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert finished(workdir, own) is None


def test_a_stage_that_would_run_makes_it_unfinished(workdir, delivered):
    remember(workdir, point(delivered), ENDED)
    assert finished(workdir, point(delivered, statuses=(Status.REUSED, Status.TO_RUN))) is None


def test_other_words_and_other_code_make_it_unfinished(workdir, delivered, monkeypatch):
    own = point(delivered)
    remember(workdir, own, ENDED)
    assert finished(workdir, replace(own, arguments=(*own.arguments, "--strict"))) is None
    assert finished(workdir, replace(own, local_arguments=("--cache=none",))) == ENDED  # they change no byte
    monkeypatch.setattr(points, "tool_fingerprint", lambda: "other")
    assert finished(workdir, own) is None


def test_the_record_of_another_user_does_not_count(workdir, delivered, monkeypatch):
    own = point(delivered)
    remember(workdir, own, ENDED)
    monkeypatch.setenv("MBEXPORT_CACHE_SECRET", "another secret, of another user!!")
    assert finished(workdir, own) is None


@pytest.mark.parametrize("content", [None, b"{", b"\xff"])
def test_a_build_that_left_no_report_has_none(delivered, content):
    (delivered / "report.json").unlink()
    if content is not None:
        (delivered / "report.json").write_bytes(content)
    assert report_of_point(point(delivered)) is None
