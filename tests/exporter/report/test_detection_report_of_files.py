"""Real files of a small detector, measured: each text and the page tell of them, beside a network and beside labels."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_detectors import of_verified_detector
from jsonschema import Draft202012Validator
from PIL import Image
from read_page import Page
from small_ssd import LABELS, PREPROCESS, onnx_of, pixels, small_ssd, tail, tflite_of

from mbexport.artifact import Precision
from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.open import ImageSet
from mbexport.models.detection.boxes import Boxes
from mbexport.models.detection.postprocess import detect_batch
from mbexport.progress import Silent
from mbexport.report.card.card import model_card
from mbexport.report.content import report_json, to_bytes
from mbexport.report.job_summary import markdown
from mbexport.report.junit import junit
from mbexport.report.page.render import page
from mbexport.report.schema import detection_schema
from mbexport.report.terminal import print_report
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.detection.measure import MeasureOptions, measure_detection
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import judge

pytestmark = pytest.mark.run

OF_CLASSIFIERS = re.compile(r"[Tt]op-?[15]\b|\bNone\b|\bnan\b|answers? alike")


def found_by_network(images: Any) -> Any:
    """What the Keras network finds."""
    outputs = small_ssd().predict_on_batch(PREPROCESS.normalize(images))
    return detect_batch(outputs, tail().anchors, tail().code_scales, tail().settings)


@pytest.fixture(scope="module")
def boxed() -> BoxedImages:
    """Images with what the float network finds in them as their objects."""
    content = np.concatenate([pixels(), pixels()[:, ::-1]])
    images = ImageSet(
        labels=np.zeros(len(content), np.int64),
        names=tuple(f"{place}.png" for place in range(len(content))),
        read=lambda place: Image.fromarray(content[place]),
    )
    return BoxedImages(
        images=images, boxes=tuple(Boxes.of(each.corners, each.classes) for each in found_by_network(content))
    )


@pytest.fixture(scope="module", params=["Keras, float", "the labels"])
def measured(request, boxed, tmp_path_factory) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The report on the int8 twins, as it is read back, and its pictures."""
    folder: Path = tmp_path_factory.mktemp("detector")
    (folder / "small_int8.tflite").write_bytes(tflite_of(Precision.INT8))
    (folder / "small_int8.onnx").write_bytes(onnx_of(Precision.INT8))
    is_network = request.param == "Keras, float"
    found = measure_detection(
        [match_detector(open_runner(path), pixels=PREPROCESS, given=None) for path in sorted(folder.iterdir())],
        boxed,
        PREPROCESS,
        Baseline(name=request.param, detections=found_by_network if is_network else None),
        MeasureOptions(labels=LABELS, is_timed=is_network),
        progress=Silent(),
    )
    usual = of_verified_detector()
    facts = {key: usual[key] for key in ("tool", "model", "data")}
    gates = judge(gate_values(found.measured, DETECTION_GATES), {}, defaults={}, gates=DETECTION_GATES)
    return json.loads(to_bytes(report_json(found.measured, gates, facts))), dict(found.pictures)


def test_the_report_is_what_its_schema_says(measured):
    errors = Draft202012Validator(detection_schema()).iter_errors(measured[0])
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


def test_texts_tell_of_every_file_as_of_a_detector(measured):
    report, _ = measured
    stream = io.StringIO()
    print_report(report, stream, out=None, warnings=stream)
    for text in (stream.getvalue(), markdown(report), model_card(report, licence=None), junit(report).decode()):
        assert all(entry["file"] in text for entry in report["artifacts"])
        assert OF_CLASSIFIERS.findall(text) == []


def test_the_page_shows_the_photos_that_were_taken_for_it(measured):
    report, pictures = measured
    found = Page(page(report, pictures))
    assert len(pictures) > 0
    assert found.count("img") == len(pictures)
    assert {"tails", "precision", "photos"} <= set(found.values("id"))
    assert OF_CLASSIFIERS.findall(found.text) == []
