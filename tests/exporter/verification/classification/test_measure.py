"""Measurements for a report: which files can be compared, and how a file is identified."""

import numpy as np
import pytest

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.contents import read_artifact
from mbexport.formats.registry import open_runner
from mbexport.models.data.open import ImageSet
from mbexport.models.facts import Output
from mbexport.progress import Silent
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.measure import MeasureOptions, measure_all

STEM = "mobilenet_v1_0.25_32"


def no_images(*labels: int) -> ImageSet:
    def read(_index: int):
        pytest.fail("images were read before the artifacts were found to fit")

    return ImageSet(labels=np.array(labels, np.int64), names=tuple(map(str, labels)), read=read)


def unasked(_pixels):
    pytest.fail("the reference was asked")


@pytest.fixture
def refused(subject, pixel, table_runner):
    """Measures tables of the given names and class counts, and gives the complaint."""

    def measure(*kinds: tuple[str, int], classes: int) -> str:
        names = tuple(map(str, range(classes)))
        subjects = [subject(table_runner(name, np.zeros((1, classes)))) for name, classes in kinds]
        baseline = Baseline(name="reference", kind=Output.SOFTMAX, scores=unasked)
        with pytest.raises(DataError) as caught:
            measure_all(subjects, no_images(0, 1), pixel, baseline, MeasureOptions(labels=names), progress=Silent())
        return str(caught.value)

    return measure


@pytest.mark.parametrize("scores", [9, 11, 965, 1001])
def test_other_number_of_scores_than_of_classes_is_refused_whatever_the_images_show(refused, scores):
    assert f"a must give a score for each class of the data, got {scores} scores for 10 classes" in refused(
        ("a", scores), classes=10
    )


def test_file_given_twice_is_refused_by_its_name(refused):
    assert "got b twice" in refused(("c", 10), ("b", 10), ("a", 10), ("b", 10), classes=10)


@pytest.mark.parametrize("kind", ["fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx"])
def test_a_file_is_identified_by_its_content_and_not_by_its_name(small_build, tmp_path, kind):
    content = (small_build / f"{STEM}_{kind}").read_bytes()
    lying_name = tmp_path / f"renamed_{'int8' if 'fp32' in kind else 'fp32'}.{kind.split('.')[1]}"
    lying_name.write_bytes(content)
    artifact = read_artifact(open_runner(lying_name))
    assert (artifact.format, artifact.precision) == (kind.split(".")[1], Precision(kind.split(".")[0]))
    assert artifact.size_bytes == len(content)
