"""Whole builds: what is reused, what runs again, what a killed run leaves, and that bytes repeat."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from delivered import beside, repeating

from mbexport.bundles.registry import platform_names

pytestmark = pytest.mark.run

# The smallest network that takes every stage; how well it learns does not matter here.
TINY = ("--alpha", "0.1", "--resolution", "32", "--epochs", "1", "--qat-steps", "33", "--calibration-samples", "40")
STAGES = (
    *("train", "calibrate", "quantize", "tflite-fp32", "onnx-fp32", "tflite-int8", "onnx-int8"),
    *("simulation", "sensitivity", "verify", "golden"),
)
DELIVERED = {f"mobilenet_v1_0.1_32_{kind}" for kind in ("fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx")}
REPORTS = {"report.json", "report.html", "junit.xml", "MODEL_CARD.md"}
PROOF = {"manifest.json", "sbom.cdx.json", "provenance.intoto.json"}
OTHERS = {"labels.txt", "mobilenet_v1_0.1_32_ranges.json"}


def delivered_hashes(out: Path) -> dict[str, str]:
    """The sha256 of every delivered file whose bytes repeat, by its path."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in repeating(out).items()}


def reused_stages(out: Path) -> dict[str, bool]:
    report = json.loads((out / "report.json").read_bytes())
    return {stage["name"]: stage["reused"] for stage in report["stages"]}


@pytest.fixture(scope="module")
def finished(cli, tmp_path_factory) -> Path:
    """A finished build of the tiny network, which no test changes."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = cli("build", *TINY, "--int8", "--out", out)
    assert done.returncode in (0, 1), done.stderr
    return out


@pytest.fixture
def undisturbed(finished, tmp_path) -> Path:
    """A copy of the finished build, for one test to build other things into."""
    return shutil.copytree(finished, tmp_path / "undisturbed")


@pytest.fixture
def undisturbed_hashes(undisturbed) -> dict[str, str]:
    """What the finished build delivered."""
    return delivered_hashes(undisturbed)


def test_delivers_the_files_of_the_contract(undisturbed, undisturbed_hashes):
    assert set(beside(undisturbed_hashes)) == DELIVERED | OTHERS
    assert {name.split("/")[0] for name in undisturbed_hashes if "/" in name} == {"golden", *platform_names()}
    assert {path.name for path in undisturbed.iterdir() if path.is_file()} == DELIVERED | OTHERS | REPORTS | PROOF
    assert all((undisturbed / name).is_file() for name in REPORTS)
    assert (undisturbed / "labels.txt").read_text().split() == list("0123456789")


def test_report_says_how_long_each_stage_took(undisturbed, undisturbed_hashes):
    report = json.loads((undisturbed / "report.json").read_bytes())
    assert [stage["name"] for stage in report["stages"]] == list(STAGES)
    assert all(stage["seconds"] > 0 for stage in report["stages"] if stage["name"].startswith(("train", "tflite")))
    hashes = {entry["file"]: entry["sha256"] for entry in report["artifacts"]}
    assert hashes == {name: digest for name, digest in undisturbed_hashes.items() if name in DELIVERED}


def test_report_says_how_distillation_went(undisturbed):
    qat = json.loads((undisturbed / "report.json").read_bytes())["qat"]
    # Of 1347 digits a fifth is held out, 256 of them judge; the rest are 33 batches of 32, judged five times.
    assert (qat["steps"], qat["images"], qat["held_out"], len(qat["history"])) == (33, 1078, 256, 5)
    assert (qat["best"]["divergence"] < qat["start"]["divergence"]) == (qat["kept"] == "trained")


def test_second_run_reuses_everything_and_never_loads_tensorflow(undisturbed):
    before = delivered_hashes(undisturbed)
    code = (
        "import sys; from mbexport.cli import run; run(sys.argv[1:]); "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tf_keras', 'onnx', 'onnxruntime')))"
    )
    arguments = ["build", *TINY, "--int8", "--out", str(undisturbed)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("reused") == len(STAGES)
    assert delivered_hashes(undisturbed) == before


def test_a_changed_gate_is_judged_again_without_running_a_stage(undisturbed, cli):
    done = cli("build", *TINY, "--int8", "--out", undisturbed, "--gate", "agreement=1.01")
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert all(reused_stages(undisturbed).values())


def test_a_changed_io_type_runs_only_what_depends_on_it(undisturbed, cli):
    done = cli("build", *TINY, "--int8", "--out", undisturbed, "--io", "int8")
    assert done.returncode in (0, 1), done.stderr
    ran = {name for name, reused in reused_stages(undisturbed).items() if not reused}
    assert ran == {"tflite-int8", "simulation", "onnx-int8", "verify", "golden"}
    report = json.loads((undisturbed / "report.json").read_bytes())
    twins = next(pair for pair in report["pairs"])
    assert twins["agreement"] >= 0.995
    assert twins["max_lsb"] <= 2


def test_without_latencies_nothing_is_timed_and_the_same_files_are_made(undisturbed, undisturbed_hashes, cli):
    done = cli("build", *TINY, "--int8", "--out", undisturbed, "--no-latency")
    assert done.returncode in (0, 1), done.stderr
    assert {name for name, reused in reused_stages(undisturbed).items() if not reused} == {"verify"}
    report = json.loads((undisturbed / "report.json").read_bytes())
    assert all(entry["latency_ms"]["p50"] is None for entry in report["artifacts"])
    assert report["speedups"] == []
    gates = {gate["name"] for gate in report["gates"]}
    assert "agreement" in gates
    assert "int8_speedup" not in gates
    assert "Not measured" in (undisturbed / "MODEL_CARD.md").read_text()
    assert delivered_hashes(undisturbed) == undisturbed_hashes


def test_leftovers_of_another_choice_are_removed(undisturbed, cli):
    done = cli("build", *TINY, "--format", "tflite", "--out", undisturbed)
    assert done.returncode in (0, 1), done.stderr
    assert set(beside(delivered_hashes(undisturbed))) == {"mobilenet_v1_0.1_32_fp32.tflite", "labels.txt"}


def test_a_damaged_delivery_is_mended_from_finished_stages(undisturbed, cli):
    cli("build", *TINY, "--format", "tflite", "--out", undisturbed)
    before = delivered_hashes(undisturbed)
    (undisturbed / "mobilenet_v1_0.1_32_fp32.tflite").write_bytes(b"damaged")
    refused = cli("build", *TINY, "--format", "tflite", "--out", undisturbed)
    assert refused.returncode == 2
    assert "mobilenet_v1_0.1_32_fp32.tflite is not as a run of mbexport left it" in refused.stderr
    assert delivered_hashes(undisturbed) != before
    cli("build", *TINY, "--format", "tflite", "--out", undisturbed, "--force")
    assert delivered_hashes(undisturbed) == before


def start_and_kill_during(stage_before: str | None, out: Path) -> None:
    """Starts the tiny build and kills it, without a chance to clean up, a moment after `stage_before` finished."""
    arguments = [sys.executable, "-m", "mbexport", "build", *TINY, "--int8", "--out", str(out)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        if stage_before is not None:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith(f"{stage_before} "):
                    break
        else:
            time.sleep(3)
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGKILL)


def whole_files_only(out: Path) -> bool:
    """Whether every stage's record matches its files, and nothing was delivered yet."""
    for record in (out / ".mbexport" / "stages").glob("*/record.json"):
        for name, digest in json.loads(record.read_bytes())["files"].items():
            if hashlib.sha256((record.parent / name).read_bytes()).hexdigest() != digest:
                return False
    return {path.name for path in out.iterdir()} == {".mbexport"}


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_every_stage_ends_with_the_same_bytes(cli, tmp_path, undisturbed_hashes):
    out = tmp_path / "killed"
    for stage_before in (None, *STAGES[:-1]):
        start_and_kill_during(stage_before, out)
        assert whole_files_only(out)
    assert cli("build", *TINY, "--int8", "--out", out).returncode in (0, 1)
    # The undisturbed run was also in another folder and another process: bytes depend on neither.
    assert delivered_hashes(out) == undisturbed_hashes
    assert not list((out / ".mbexport" / "tmp").iterdir())


@pytest.mark.parametrize("when_s", [3.0, 8.0])
def test_an_interrupt_keeps_finished_stages_and_exits_with_130(tmp_path, when_s):
    arguments = [sys.executable, "-m", "mbexport", "build", *TINY, "--int8", "--out", str(tmp_path / "out")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(when_s)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("Error: interrupted")
    assert "Traceback" not in errors
