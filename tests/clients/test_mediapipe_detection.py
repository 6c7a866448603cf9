"""MediaPipe's ObjectDetector, fed with image files as by an app, finds what our runner finds, and names the classes.

It stretches images of any shape to the input, as our preprocessing of detectors does.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clients.environments import HERE, ProcessError, run
from clients.same_objects import in_pixels, require_same_objects
from PIL import Image
from small_ssd import LABELS, PREPROCESS, conversion, pixels, tail, tflite_of

from mbexport.artifact import Io, Precision
from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite.convert import tflite_file
from mbexport.models.detection.boxes import Detections
from mbexport.models.detection.settings import PostProcess
from mbexport.verification.detection.pairing import pair_counts

pytestmark = pytest.mark.client

SIZES = ((320, 320), (640, 320), (320, 640))  # width, height
LEAST = tail().settings.score_threshold
USUAL = PostProcess()
CORNERS_PX = 2.0  # MediaPipe gives whole pixels, of a corner and of a size
PX_OF_CELLS = 192
Detect = Callable[..., list[list[Any]]]


@pytest.fixture
def detect(client_python) -> Detect:
    """MediaPipe's answers: for each image its objects as [label, score, left, top, right, bottom]."""
    python = client_python("mediapipe")

    def answers(model: Path, images: Sequence[Path], least: float = LEAST) -> list[list[Any]]:
        found: list[list[Any]] = json.loads(
            run([python, HERE / "detect_by_mediapipe.py", model, least, *images], is_ours=False)
        )
        return found

    return answers


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    """A larger file of each image, each pixel a block: however it is made small again, the same pixels come back."""
    paths = []
    for number, image in enumerate(pixels()):
        path = tmp_path / f"{number:03d}.png"
        Image.fromarray(image).resize(SIZES[number % len(SIZES)], Image.Resampling.NEAREST).save(path)
        paths.append(path)
    return paths


def rows_of(found: Detections, width: int, height: int) -> list[list[Any]]:
    """Our answer in the form of MediaPipe's."""
    return [
        [LABELS[cls], float(score), x_low * width, y_low * height, x_high * width, y_high * height]
        for cls, score, (y_low, x_low, y_high, x_high) in zip(found.classes, found.scores, found.corners, strict=True)
    ]


def in_order(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """The most certain first; of equal scores, as nobody says which of them comes first, by name and place."""
    return sorted(rows, key=lambda row: (-round(row[1], 5), row[0], round(row[2] / 8), row[3]))


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_a_detector_finds_what_ours_finds(detect, photos, precision, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_of(precision))
    ours = match_detector(open_runner(path), pixels=PREPROCESS, given=None).detections(pixels())

    found = detect(path, photos)

    assert sum(map(len, ours)) > 50
    for number, (objects, theirs) in enumerate(zip(ours, found, strict=True)):
        own = in_order(rows_of(objects, *SIZES[number % len(SIZES)]))
        theirs = in_order(theirs)  # noqa: PLW2901
        assert [row[0] for row in theirs] == [row[0] for row in own]
        assert [row[1] for row in theirs] == pytest.approx([row[1] for row in own], abs=1e-4)
        for their, row in zip(theirs, own, strict=True):
            assert np.abs(np.subtract(their[2:], row[2:])).max() < CORNERS_PX
    assert {row[0] for rows in found for row in rows} == set(LABELS)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_raw_heads_are_decoded_by_mediapipe_itself(detect, photos, precision, tmp_path):
    """It drops boxes as one across classes, and moves corners that stick out: the best box inside the image is ours."""
    path, own_path = tmp_path / "raw.tflite", tmp_path / "net.tflite"
    path.write_bytes(tflite_file(conversion(precision, is_raw=True)))
    own_path.write_bytes(tflite_of(precision))
    ours = match_detector(open_runner(own_path), pixels=PREPROCESS, given=None).detections(pixels())

    found = detect(path, photos)

    compared = 0
    for number, (objects, theirs) in enumerate(zip(ours, found, strict=True)):
        own = rows_of(objects, *SIZES[number % len(SIZES)])
        is_clear = len(own) > 1 and theirs and own[0][1] - own[1][1] > 0.03  # one step of codes changes no order
        if not is_clear or objects.corners[0].min() <= 0 or objects.corners[0].max() >= 1:
            continue
        compared += 1
        assert theirs[0][0] == own[0][0]
        assert theirs[0][1] == pytest.approx(own[0][1], abs=0.03)
        assert np.abs(np.subtract(theirs[0][2:], own[0][2:])).max() < (CORNERS_PX if precision != "int8" else 6)
    assert compared >= 5


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_a_trained_detector_finds_what_ours_finds(detect, detector_network, precision, tmp_path):
    """Photos have the size of the network, so that MediaPipe has nothing to resize."""
    kind = f"{precision.value}.tflite"
    ours = detector_network.subject(kind).detections(detector_network.pixels)
    height, width = detector_network.pixels.shape[1:3]

    found = detect(detector_network.file(kind), saved(detector_network.pixels, tmp_path), USUAL.score_threshold)

    assert sum(map(len, ours)) >= 10 * len(ours)
    assert len({cls for each in ours for cls in each.classes.tolist()}) == len(detector_network.labels)
    for own, rows in zip(ours, found, strict=True):
        theirs = detections_of(rows, detector_network.labels)
        require_same_objects(in_pixels(own, height, width), theirs, scores=1e-5, corners=CORNERS_PX)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_photos_that_it_resizes_are_sampled_and_not_averaged(detect, cells_network, precision, tmp_path):
    """Of 640 x 480 px it takes single places of the photo, from its corner on: other pixels, and other answers."""
    subject = cells_network.subject(f"{precision.value}.tflite")
    paths = [tmp_path / f"{number}.png" for number in range(len(cells_network.photos))]
    for path, photo in zip(paths, cells_network.photos, strict=True):
        photo.save(path)

    rows = detect(cells_network.file(f"{precision.value}.tflite"), paths)

    sizes = [(photo.height, photo.width) for photo in cells_network.photos]
    theirs = [detections_of(each, cells_network.labels) for each in rows]
    samples = np.stack([sampled(np.asarray(photo), PX_OF_CELLS) for photo in cells_network.photos])
    shares = [
        share_kept([in_pixels(own, *size) for own, size in zip(subject.detections(pixels), sizes, strict=True)], theirs)
        for pixels in (samples, cells_network.pixels)
    ]
    assert shares[0] > 0.9
    assert shares[0] > shares[1] + 0.05


def sampled(photo: np.ndarray, side: int) -> np.ndarray:
    """The photo (h, w, 3) as (side, side, 3): place i lies at i * h / side, between the pixels around it."""
    low, part = zip(*(np.divmod(np.arange(side) * length / side, 1) for length in photo.shape[:2]), strict=True)
    rows, columns = (each.astype(int) for each in low)
    down, right = part[0][:, None, None], part[1][None, :, None]
    corner = [[photo[rows + y][:, columns + x].astype(float) for x in (0, 1)] for y in (0, 1)]
    above, below = (pair[0] * (1 - right) + pair[1] * right for pair in corner)
    return np.round(above * (1 - down) + below * down).astype(np.uint8)


def share_kept(ours: Sequence[Detections], theirs: Sequence[Detections]) -> float:
    """The share of our certain detections that it has, too, in all images."""
    counts = pair_counts(ours, theirs)
    return float(counts.paired[:, 0].sum() / counts.certain[:, 0].sum())


def saved(pixels: np.ndarray, folder: Path) -> list[Path]:
    """A file of each image (n, px, px, 3) with just these pixels."""
    paths = [folder / f"{index:03d}.png" for index in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths


def detections_of(rows: Sequence[Sequence[Any]], labels: Sequence[str]) -> Detections:
    """MediaPipe's rows, corners in pixels."""
    corners = [[top, left, bottom, right] for _, _, left, top, right, bottom in rows]
    return Detections.of(corners, [labels.index(row[0]) for row in rows], [row[1] for row in rows])


def test_int8_input_is_refused_rather_than_misread(detect, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_file(conversion(Precision.INT8, io=Io.INT8)))
    with pytest.raises(ProcessError, match="Type mismatch for input tensor image"):
        detect(path, [])


def test_the_published_classes_read_what_was_written(client_python, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_of(Precision.FP32))

    found = json.loads(run([client_python("mediapipe"), HERE / "read_by_published_classes.py", path], is_ours=False))

    (graph,) = found["subgraphMetadata"]
    location, category, score, number = graph["outputTensorMetadata"]
    each = {"min": 2, "max": 2}
    assert location["content"] == {
        "contentPropertiesType": 3,  # BoundingBoxProperties
        "contentProperties": {"index": [1, 0, 3, 2], "type": 1, "coordinateType": 0},  # BOUNDARIES, RATIO
        "range": each,
    }
    feature = {"contentPropertiesType": 1, "contentProperties": {}, "range": each}
    assert [category["content"], score["content"], number.get("content")] == [feature, feature, None]
    assert category["associatedFiles"] == [
        {"name": "labels.txt", "description": "A line for each class.", "type": 3},  # TENSOR_VALUE_LABELS
    ]
    assert graph["outputTensorGroups"] == [
        {"name": "detection_result", "tensorNames": ["location", "category", "score"]}
    ]
    assert found["minParserVersion"] == "1.2.0"
