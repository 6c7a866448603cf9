"""MediaPipe's ImageClassifier, fed with image files as by an app, gives our answers and names their classes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clients.environments import HERE, ProcessError, run
from PIL import Image
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.formats.classifier import Classifier
from mbexport.formats.description import Description
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite.metadata import with_metadata
from mbexport.models.facts import Output
from mbexport.models.preprocess import CAFFE, MOBILENET, Normalization

pytestmark = pytest.mark.client

# Of our own runner: MediaPipe holds another version of the kernels.
TOLERANCES = {"fp32.tflite": 1e-3, "int8.tflite": 2 / 256}
Classify = Callable[[Path, Sequence[Path]], list[list[Any]]]


@pytest.fixture
def classify(client_python) -> Classify:
    """MediaPipe's answers: for each image its best three as [index, label name, score]."""
    python = client_python("mediapipe")

    def answers(model: Path, images: Sequence[Path]) -> list[list[Any]]:
        found: list[list[Any]] = json.loads(
            run([python, HERE / "classify_by_mediapipe.py", model, *images], is_ours=False)
        )
        return found

    return answers


def described(labels: Sequence[str], px: int, normalization: Normalization = MOBILENET) -> Description:
    return Description(
        name="net",
        text="A network.",
        labels=tuple(labels),
        px=px,
        channels=3,
        mean=normalization.mean,
        std=normalization.std,
        is_bgr=normalization.is_bgr,
        output=Output.SOFTMAX,
    )


def saved(pixels: np.ndarray, folder: Path) -> list[Path]:
    """A file of each image (n, px, px, 3) with just these pixels."""
    paths = [folder / f"{index:03d}.png" for index in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.mark.parametrize("kind", TOLERANCES)
def test_a_network_gives_our_answers_by_name(network, kind, classify, tmp_path):
    labels = (network.folder / "labels.txt").read_text().splitlines()
    path = network.file(kind)
    ours = Classifier(open_runner(path)).scores(network.answers(kind))

    found = classify(path, saved(network.pixels, tmp_path))

    assert len(set(ours.argmax(axis=1))) > 5  # one answer to everything would prove nothing
    for scores, best in zip(ours, found, strict=True):
        assert [name for _, name, _ in best] == [labels[index] for index, _, _ in best]
        assert [score for _, _, score in best] == pytest.approx(
            scores[[entry[0] for entry in best]], abs=TOLERANCES[kind]
        )
        assert best[0][2] == pytest.approx(scores.max(), abs=TOLERANCES[kind])


def test_photos_of_any_size_are_named_rightly(imagenet_network, shared_data, classify):
    """MediaPipe stretches what our preprocessing crops, so that not every answer is ours."""
    lines = (shared_data / "imagenet" / "classes.txt").read_text().splitlines()
    names = dict(line.split(" ", 1) for line in lines)
    photos = sorted((shared_data / "imagenet" / "eval").glob("*/*"))[::25]

    found = classify(imagenet_network.file("int8.tflite"), photos)

    hits = [
        names[photo.parent.name] in [name for _, name, _ in best] for photo, best in zip(photos, found, strict=True)
    ]
    assert np.mean(hits) >= 0.6  # the network itself has the class among its first five for 3 photos of 4


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_what_mediapipe_feeds_is_what_the_bytes_stand_for(classify, kind, tmp_path):
    """The file gives its input back as scores: of the image's 48 numbers the three largest come back."""
    affine = Affine(scale=(1 / 127.5,), zero_point=(128,))
    content = tflite_of(kind, affine=affine, px=4)
    (tmp_path / "net.tflite").write_bytes(with_metadata(content, described([str(i) for i in range(48)], 4)))
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3) * 5

    (best,) = classify(tmp_path / "net.tflite", saved(pixels, tmp_path))

    mean = 128 if kind == "uint8" else 127.5
    assert [(index, name) for index, name, _ in best] == [(47, "47"), (46, "46"), (45, "45")]
    assert [score for _, _, score in best] == pytest.approx([(b - mean) / 127.5 for b in (235, 230, 225)], abs=1e-6)


def test_a_float_input_that_is_quantized_first_gets_each_byte_on_its_code(classify, tmp_path):
    affine = Affine(scale=(0.5,), zero_point=(-14,))
    content = tflite_of("float32", codes="int8", affine=affine, px=4)
    (tmp_path / "net.tflite").write_bytes(with_metadata(content, described([str(i) for i in range(48)], 4, CAFFE)))
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3) * 5

    (best,) = classify(tmp_path / "net.tflite", saved(pixels, tmp_path))

    assert [(index, score) for index, _, score in best] == [(47, 60.5), (46, 58.0), (45, 55.5)]  # (b - 114) * 0.5


def test_blue_first_is_refused_rather_than_taken_for_red_first(classify, tmp_path):
    content = with_metadata(tflite_of("float32", px=4), described([str(i) for i in range(48)], 4, CAFFE))
    (tmp_path / "net.tflite").write_bytes(content)
    with pytest.raises(ProcessError, match="Only RGB color space is supported"):
        classify(tmp_path / "net.tflite", [])


def test_the_published_classes_read_what_was_written(client_python, tmp_path):
    description = replace(described([str(i) for i in range(12)], 2), licence="MIT", version="1.2")
    path = tmp_path / "net.tflite"
    path.write_bytes(with_metadata(tflite_of("float32"), description))

    found = json.loads(run([client_python("mediapipe"), HERE / "read_by_published_classes.py", path], is_ours=False))

    (graph,) = found.pop("subgraphMetadata")
    (source,), (target,) = graph.pop("inputTensorMetadata"), graph.pop("outputTensorMetadata")
    assert (found, graph) == (
        {
            "identifier": "M001",
            "name": "net",
            "description": "A network.",
            "version": "1.2",
            "author": "mbexport",
            "license": "MIT",
            "minParserVersion": "1.0.0",
        },
        {},
    )
    assert source == {
        "name": "image",
        "description": "An image of 2 x 2 px, RGB: each byte b as (b - 127.5) / 127.5.",
        "content": {
            "contentPropertiesType": 2,  # ImageProperties
            "contentProperties": {"colorSpace": 1, "defaultSize": {"width": 2, "height": 2}},  # RGB
        },
        "processUnits": [{"optionsType": 1, "options": {"mean": [127.5], "std": [127.5]}}],  # NormalizationOptions
        "stats": {"max": [1.0], "min": [-1.0]},
    }
    assert target == {
        "name": "scores",
        "description": "Probabilities that sum to 1.",
        "content": {"contentPropertiesType": 1, "contentProperties": {}},  # FeatureProperties
        "stats": {"max": [1.0], "min": [0.0]},
        "associatedFiles": [
            {"name": "labels.txt", "description": "A line for each score: its class.", "type": 2},  # TENSOR_AXIS_LABELS
        ],
    }
