"""What a model card says of kernel paths that the user named."""

from example_detectors import through_named_paths
from example_reports import of_build, with_named_paths

from mbexport.report.card.registry import card_of
from mbexport.report.card.sentences import limits


def test_card_says_what_a_path_takes_and_which_one_is_not_known():
    report = with_named_paths()
    said = limits(report, card_of(report))
    assert any("optimized/qnn-htp:v75 93.75%, 17 LSB (16 images)" in line for line in said)
    assert any("xnnpack/webgpu not known: webgpu crashed (SIGSEGV)" in line for line in said)
    assert (
        "The part of the graph that is taken: a.onnx, qnn-htp:v75 on Hexagon v75, simulated: 140 of 144 ops in 1 "
        "piece(s); by the CPU: 1 Reshape, 3 Softmax."
    ) in said
    assert not any("part of the graph" in line for line in limits(of_build(), card_of(of_build())))


def test_card_of_a_detector_says_the_same_in_detections():
    report = through_named_paths()
    said = limits(report, card_of(report))
    assert any("optimized/qnn-htp:v75 98.1% of the detections (16 images)" in line for line in said)
    assert any("xnnpack/webgpu not known: webgpu crashed (SIGSEGV)" in line for line in said)
    assert any(line.startswith("The part of the graph that is taken: a.onnx, qnn-htp:v75") for line in said)
