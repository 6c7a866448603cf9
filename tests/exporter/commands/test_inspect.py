"""What `inspect --sensitivity` finds in the report beside an artifact: the table, its order, and reports that lie."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.cli import run
from mbexport.commands.inspect import sensitivity_of
from mbexport.errors import DataError
from mbexport.files import sha256_of


def costs(*shares: float | None) -> dict[str, Any]:
    """A sensitivity as reports have it; its layers are l0, l1 and so on."""
    without = {"divergence": 0.001, "agreement": 0.984375}
    return {
        "samples": 64,
        "images": "calibration",
        "measure": "Kullback-Leibler divergence",
        "divergence": 0.004,
        "agreement": 0.96875,
        "layers": [
            {"layer": f"l{number}", "snr_db": 30.5, "without": without, "share": share}
            for number, share in enumerate(shares)
        ],
    }


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(b"an int8 network")
    return path


def write_report(artifact: Path, **given: Any) -> None:
    """A report that belongs to the artifact unless told otherwise."""
    entry = {"sha256": given.pop("sha256", sha256_of(artifact)), "precision": given.pop("precision", "int8")}
    report = {"artifacts": [{"sha256": "0" * 64, "precision": "fp32"}, entry], **given}
    (artifact.parent / "report.json").write_text(json.dumps(report))


def test_what_the_report_says_is_given_as_it_stands(artifact: Path) -> None:
    write_report(artifact, sensitivity=costs(0.25))
    assert sensitivity_of(artifact) == {"file": artifact.name, "sha256": sha256_of(artifact), **costs(0.25)}


def test_of_a_detector_the_task_is_told_too(artifact: Path) -> None:
    write_report(artifact, sensitivity=costs(0.25), task="detect")
    assert sensitivity_of(artifact)["task"] == "detect"
    write_report(artifact, sensitivity=costs(0.25), task="guess")
    with pytest.raises(DataError, match="task"):
        sensitivity_of(artifact)


@pytest.mark.parametrize(
    ("given_report", "message"),
    [
        ({"sensitivity": costs(0.5), "sha256": "1" * 64}, "does not belong to .*net_int8.tflite"),
        ({"sensitivity": costs(0.5), "precision": "fp32"}, "takes only an int8 artifact"),
        ({"sensitivity": None}, "without --no-sensitivity"),
        ({}, "without --no-sensitivity"),
    ],
)
def test_reports_that_say_nothing_of_the_file_are_refused(
    artifact: Path, given_report: dict[str, Any], message: str
) -> None:
    write_report(artifact, **given_report)
    with pytest.raises(DataError, match=message):
        sensitivity_of(artifact)


@pytest.mark.parametrize(
    "content", [b"", b"no JSON", b"[]", b"{}", b'{"artifacts": [1]}', b'{"artifacts": [{}]}', b"\xff"]
)
def test_what_is_no_report_is_refused(artifact: Path, content: bytes) -> None:
    (artifact.parent / "report.json").write_bytes(content)
    with pytest.raises(DataError, match=r"report\.json is not a report of mbexport"):
        sensitivity_of(artifact)


def test_without_a_report_or_a_file_there_is_nothing_to_say(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*report\.json"):
        sensitivity_of(artifact)
    with pytest.raises(DataError, match="no such file"):
        sensitivity_of(tmp_path / "missing.tflite")


def printed_layers(printed: str) -> list[str]:
    return [line.split()[0] for line in printed.splitlines() if line.startswith("l") and line[1].isdigit()]


def test_the_command_line_prints_the_costliest_layer_first(artifact: Path, capfd: Any) -> None:
    write_report(artifact, sensitivity=costs(-0.125, 0.5, None, 0.25))
    assert run(["inspect", str(artifact), "--sensitivity"]) == 0
    printed, errors = capfd.readouterr()
    assert printed_layers(printed) == ["l1", "l3", "l0", "l2"]
    assert (
        "Kullback-Leibler divergence from float 0.004, 96.9% of the answers alike, on 64 calibration images" in printed
    )
    assert "50.0%" in printed
    assert "98.4%" in printed
    assert "share: the part of the divergence that goes away" in printed
    assert errors == ""


def test_as_json_it_is_the_report_s_own(artifact: Path, capfd: Any) -> None:
    write_report(artifact, sensitivity=costs(0.25, None))
    assert run(["inspect", str(artifact), "--sensitivity", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["layers"] == costs(0.25, None)["layers"]


def test_a_report_of_another_file_is_one_line_and_bad_input(artifact: Path, capfd: Any) -> None:
    write_report(artifact, sensitivity=costs(0.25), sha256="2" * 64)
    assert run(["inspect", str(artifact), "--sensitivity"]) == 2
    printed, errors = capfd.readouterr()
    assert (printed, errors.count("\n")) == ("", 1)
    assert errors.startswith("Error: ")


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=30))
def test_every_layer_is_printed_once_and_shares_fall(shares: list[float]) -> None:
    import io

    from mbexport.report.terminal import print_sensitivity

    stream = io.StringIO()
    print_sensitivity({"file": "f", **costs(*shares)}, stream, as_json=False)
    order = [int(layer[1:]) for layer in printed_layers(stream.getvalue())]
    assert sorted(order) == list(range(len(shares)))
    assert [shares[number] for number in order] == sorted(shares, reverse=True)


def test_no_tensorflow_is_loaded_for_it(artifact: Path) -> None:
    import subprocess
    import sys

    write_report(artifact, sensitivity=costs(0.25))
    code = (
        "import sys; from mbexport.cli import run; "
        f"run(['inspect', {str(artifact)!r}, '--sensitivity']); "
        "print(sorted({'tensorflow', 'tf_keras', 'ai_edge_litert', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
