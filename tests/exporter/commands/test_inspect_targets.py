"""`inspect --target`: tables and JSON, by a fake compiler; whatever goes wrong is one line and exit code 2."""

import json
import os

import fake_micro
import fake_vela
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_by_hand import tensor_of, tflite_of

from mbexport.calibration.affine import Affine
from mbexport.cli import run
from mbexport.formats import child
from mbexport.formats.tflite.file import opened, packed

ETHOS = "ethos-u55-256"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(with_weights(tflite_of("uint8", affine=Affine(scale=(1 / 256,), zero_point=(0,)))))
    return str(path)


def with_weights(content):
    """The file with int8 weights, by which it counts as int8; no op reads them."""
    model = opened(content)
    buffer = schema.BufferT()
    buffer.data = np.zeros(12, np.uint8)
    model.subgraphs[0].tensors.append(tensor_of("weights", "int8", (4, 1, 1, 3), buffer=len(model.buffers)))
    model.buffers.append(buffer)
    return packed(model)


@pytest.fixture
def floats(tmp_path):
    path = tmp_path / "net_fp32.tflite"
    path.write_bytes(tflite_of("float32"))
    return str(path)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Puts a package into the place of the real one."""

    def install(write, **named):
        folder = write(tmp_path / f"packages of {write.__module__}", **named)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    return install


def test_the_table_of_an_npu(capfd, file, installed):
    installed(fake_vela.write_package)
    assert run(["inspect", file, "--target", ETHOS]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"net_int8.tflite on {ETHOS}: Arm Ethos-U55, 256 multiply-adds a cycle"
    assert lines[1].startswith("estimated by          Vela ")
    assert lines[2:] == [
        "system configuration  Ethos_U55_High_End_Embedded, at 500 MHz",
        "memory mode           Shared_Sram",
        "ops, as rewritten     7 on the NPU, 3 on the CPU",
        "  CPU: RELU6 conv_4: Operation has tensor with unsupported DataType Float32 (conv_4_act)",
        "  CPU: CUSTOM boxes: Unsupported opType",
        "  CPU: op last one: Vela does not say why",
        "SRAM                  982.8 KiB",
        "off-chip flash        2,356.2 KiB",
        "cycles                2,000,000, of which the NPU computes in 1,500,000",
        "time                  4 ms, 250 inferences/s",
        "An estimate of the compiler for these settings, no measurement: other settings, other figures.",
        "Of the NPU alone: what the CPU takes for its ops is not in the cycles and the time.",
    ]


def test_as_json_and_beside_a_microcontroller_without_an_npu(capfd, file, installed):
    installed(fake_vela.write_package)
    installed(fake_micro.write_package)
    words = ["inspect", file, "--target", ETHOS, "--target", "tflite-micro"]
    assert run([*words, "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    ethos, micro = facts["targets"]
    assert (facts["file"], facts["precision"]) == ("net_int8.tflite", "int8")
    assert (ethos["npu_ops"], len(ethos["cpu_ops"]), ethos["sram_bytes"], ethos["cycles"]) == (7, 3, 1006352, 2000000)
    assert ethos["cpu_ops"][1] == {"output": "boxes", "kind": "CUSTOM", "reason": "Unsupported opType"}
    assert (micro["target"], micro["cpu_ops"], micro["arena_bytes"]) == ("tflite-micro", 1, 5120)
    assert micro["file_bytes"] == os.path.getsize(file)  # noqa: PTH202
    assert run(words) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[lines.index("") + 1 :] == [
        "net_int8.tflite on tflite-micro: TFLite Micro's reference kernels, on a CPU alone",
        "ops                   1, all on the CPU",
        "RAM                   an arena of 5,120 bytes, found by trying, to the next KiB",
        f"flash                 {micro['file_bytes']:,} bytes for the file, and the runtime's code",
    ]


def refused(capfd, *words):
    """The line that `inspect` with these words ends with."""
    assert run(["inspect", *words]) == 2
    shown = capfd.readouterr()
    (line,) = shown.err.splitlines()
    assert shown.out == ""
    return line.removeprefix("Error: ")


def test_floats_are_refused_and_tables_are_not_mixed(capfd, file, floats, installed):
    installed(fake_vela.write_package)
    assert refused(capfd, floats, "--target", ETHOS) == (
        f"--target {ETHOS} takes only int8 .tflite files, got {floats}, which is fp32"
    )
    for other in ("--kernels", "--sensitivity"):
        said = refused(capfd, file, "--target", ETHOS, other)
        assert said == f"{other} and --target are tables of their own; give one, got 2"


UNLINK = "next(Path(named['--output-dir']).glob('*.csv')).unlink()"
NONE = "CPU operators = 1 (100.0%)\n   CPU: Passthrough = x (outputs [1, 12])\nNPU operators = 0 (0.0%)\n"


@pytest.mark.parametrize(
    ("fake", "reason"),
    [
        ({"end": "import os; os.abort()"}, "Vela crashed (SIGABRT), in a process of its own"),
        ({"end": "return 1"}, "Vela ended with exit code 1, in a process of its own"),
        ({"end": "raise ValueError('no')"}, "Vela ended with exit code 1, in a process of its own"),
        ({"printed": ""}, "Vela must say once how many ops the CPU and the NPU take, got 0 such lines"),
        ({"printed": NONE}, "the NPU takes none of its 1 ops"),
        ({"table": ""}, "Vela's table must have one row, got 0"),
        (
            {"table": fake_vela.table_of(memory_mode="Sram_Only")},
            "Vela's table must be of the memory_mode Shared_Sram, got Sram_Only",
        ),
        (
            {"end": UNLINK},
            "Vela wrote no table net_summary_Ethos_U55_High_End_Embedded.csv",
        ),
    ],
)
def test_a_compiler_that_fails_is_one_line(capfd, file, installed, fake, reason):
    installed(fake_vela.write_package, **fake)
    assert refused(capfd, file, "--target", ETHOS) == f"{file} cannot be estimated for {ETHOS}: {reason}"


def test_a_compiler_that_hangs_is_ended(capfd, file, installed, monkeypatch):
    monkeypatch.setattr(child, "_MAX_S", 2)
    installed(fake_vela.write_package, end="import time; time.sleep(60)")
    assert refused(capfd, file, "--target", ETHOS).endswith("Vela did not end within 2 s")
