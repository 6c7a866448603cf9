"""The kernel paths that a user names: on which images, beside what, and what is told of one that fails."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.verification.classification.kernel_paths import CLASSIFIER_PATHS, PathPair
from mbexport.verification.classification.serialize import paths_json
from mbexport.verification.measure_paths import PathChoice, named_paths, usual_paths
from mbexport.verification.measured_values import path_agreements

PIXELS = Preprocess(resolution=Resolution.square(2), crop_fraction=1.0)
MICRO = "tflite-micro"


@pytest.fixture
def file_subject(tmp_path):
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(tflite_of("uint8", affine=Affine(scale=(1 / 256,), zero_point=(0,))))
    return Subject(
        runner=open_runner(path), preprocess=PIXELS, kind=Output.SOFTMAX, source=Source.OPTION, skips_background=False
    )


@pytest.fixture
def images(numbered):
    return numbered(range(100))


def test_usual_paths_as_without_any_choice(file_subject, images):
    found = usual_paths(file_subject, CLASSIFIER_PATHS, images, PIXELS)
    assert (found.names, found.images, dict(found.shares)) == (("xnnpack", "builtin", "reference"), 64, {})
    assert set(paths_json(found)) == {"file", "images", "paths", "pairs"}
    assert all(
        set(pair) == {"a", "b", "agreement", "agreement_ci95", "max_lsb", "max_abs_error"}
        for pair in paths_json(found)["pairs"]
    )


def test_usual_ones_are_compared_pair_by_pair_and_others_with_the_default(file_subject, images, install_micro):
    install_micro()
    choice = PathChoice(names=("reference", MICRO, "optimized", "builtin"))
    usual, micro = named_paths(file_subject, CLASSIFIER_PATHS, choice, images, PIXELS)
    assert (usual.names, usual.images) == (("xnnpack", "reference", "builtin"), 64)
    assert len(usual.pairs) == 3
    assert set(usual.shares) == {"reference", "builtin"}
    assert (micro.names, micro.images) == (("xnnpack", MICRO), 20)
    (pair,) = micro.pairs
    assert (pair.a, pair.b, pair.agreement, pair.max_lsb, pair.failure) == ("xnnpack", MICRO, 1.0, 0, None)
    assert micro.shares[MICRO].arena_bytes == 5 * 1024


def test_the_number_of_images_is_the_users(file_subject, images, install_micro):
    install_micro()
    choice = PathChoice(names=("builtin", MICRO), images=7)
    assert [each.images for each in named_paths(file_subject, CLASSIFIER_PATHS, choice, images, PIXELS)] == [7, 7]


def test_the_default_alone_has_nothing_beside_it(file_subject, images):
    assert named_paths(file_subject, CLASSIFIER_PATHS, PathChoice(names=("xnnpack",)), images, PIXELS) == []


@pytest.mark.parametrize(
    ("invoke", "reason"),
    [
        ("os.abort()", "tflite-micro crashed (SIGABRT), in a process of its own, with net_int8.tflite"),
        ("raise RuntimeError('an op is missing')", "an op is missing"),
    ],
)
def test_a_path_that_fails_is_an_entry_which_fails_the_gate(file_subject, images, install_micro, invoke, reason):
    install_micro(invoke=invoke)
    choice = PathChoice(names=("builtin", MICRO))
    usual, failed = named_paths(file_subject, CLASSIFIER_PATHS, choice, images, PIXELS)
    assert usual.images == 64
    entry = paths_json(failed)
    (pair,) = entry["pairs"]
    assert (entry["images"], entry["paths"], "shares" in entry) == (0, ["xnnpack", MICRO], False)
    assert reason in pair["failure"]
    assert pair["agreement_ci95"] is None
    *_, value = path_agreements({"paths": [paths_json(usual), entry]})
    assert math.isnan(value.value)
    assert value.subject == "net_int8.tflite, xnnpack and tflite-micro"
    assert reason in value.reason


@given(reason=st.text(min_size=1), a=st.sampled_from(["xnnpack", "optimized"]))
def test_nothing_is_known_of_any_pair_that_failed(reason, a):
    pair = PathPair.failed(a, MICRO, reason)
    assert (pair.a, pair.b, pair.failure, pair.max_lsb) == (a, MICRO, reason, None)
    assert all(np.isnan([pair.agreement, *pair.agreement_ci95, pair.max_abs_error]))
