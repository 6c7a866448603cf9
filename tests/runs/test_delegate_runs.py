"""`inspect --delegates` on the files of a whole build."""

import json

import pytest

pytestmark = pytest.mark.run

NAME = "mobilenet_v1_0.25_32"


@pytest.fixture
def entries(cli, small_build):
    def look(file):
        done = cli("inspect", str(small_build / file), "--delegates", "--json")
        assert done.returncode == 0, done.stderr
        return {entry["name"]: entry for entry in json.loads(done.stdout)["delegates"]}

    return look


def test_an_edge_tpu_takes_the_integers_and_none_of_the_floats(entries):
    integers, floats = (entries(f"{NAME}_{precision}.tflite")["edgetpu"]["published"] for precision in ("int8", "fp32"))
    assert integers["taken"] == integers["total"]
    assert floats["taken"] == 0
    assert {row["why"] for row in floats["refused"]} == {"float32 is not among int8, uint8"}


def test_core_ml_takes_the_floats_and_no_convolution_in_integers(entries):
    integers, floats = (entries(f"{NAME}_{precision}.onnx")["coreml"]["published"] for precision in ("int8", "fp32"))
    assert floats["taken"] == floats["total"]
    refused = {row["op"]: row for row in integers["refused"]}
    assert (refused["Conv"]["count"], refused["Conv"]["why"]) == (28, "the bias must be constant")
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(refused)


def test_xnnpack_is_measured_and_counts_as_the_list_of_kernels_does(cli, entries, small_build):
    file = f"{NAME}_int8.tflite"
    measured = entries(file)["xnnpack"]["measured"]
    kernels = json.loads(cli("inspect", str(small_build / file), "--kernels", "--json").stdout)["kernels"]
    assert (measured["taken"], measured["total"] - measured["taken"]) == (
        kernels["delegated_ops"],
        kernels["other_ops"],
    )
    assert 0 < measured["taken"] < measured["total"]
