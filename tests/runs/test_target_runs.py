"""`inspect --target` on the files of a small build, by Arm's own compiler where it is installed."""

import json

import pytest

from mbexport.formats.mcu.targets import TARGETS, VELA

pytestmark = [
    pytest.mark.run,
    pytest.mark.skipif(VELA.lack() is not None, reason=str(VELA.lack())),
]
INT8 = "mobilenet_v1_0.25_32_int8.tflite"
ETHOS = [each for each in TARGETS if each.npu is not None]


def test_every_npu_takes_the_whole_network(cli, small_build):
    words = [word for each in ETHOS for word in ("--target", each.name)]
    done = cli("inspect", small_build / INT8, *words, "--json")
    assert done.returncode == 0, done.stderr
    entries = json.loads(done.stdout)["targets"]
    assert [entry["target"] for entry in entries] == [each.name for each in ETHOS]
    for entry in entries:
        assert entry["cpu_ops"] == []
        assert entry["npu_ops"] > 28  # convolutions, and what a softmax is made of
        assert entry["sram_bytes"] > 0
        assert entry["cycles"] >= entry["npu_cycles"] > 0
    sizes = [entry["npu_cycles"] for entry in entries if entry["target"].startswith("ethos-u55")]
    assert sizes == sorted(sizes, reverse=True)  # more multiply-adds a cycle, fewer cycles


def test_the_table_says_that_it_is_an_estimate(cli, small_build):
    done = cli("inspect", small_build / INT8, "--target", "ethos-u85-256")
    assert done.returncode == 0, done.stderr
    assert "memory mode           Dedicated_Sram_384KB" in done.stdout
    assert "An estimate of the compiler for these settings, no measurement" in done.stdout
    assert "Of the NPU alone" not in done.stdout
