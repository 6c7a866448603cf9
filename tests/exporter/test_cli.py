"""The command line's frame: help, versions, mistakes, pipes that break, and a start that loads nothing heavy."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mbexport
from mbexport.cli import run

COMMANDS = (
    *("build", "sweep", "export", "verify", "predict", "bench", "bundle", "demo", "inspect", "rebuild"),
    *("cache", "cost", "doctor"),
)
HEAVY = ("numpy", "tensorflow", "tf_keras", "onnx", "onnxruntime", "ai_edge_litert", "sklearn", "PIL", "rich")
FULL_DEVICE = Path("/dev/full")  # Linux: every write finds it full


def assert_one_line_error(done) -> None:
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command_and_the_exit_codes(cli, flag):
    done = cli(flag)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.split("Commands:")[1].splitlines()
    listed = [line.split()[0] for line in lines if re.match(r"  \w", line)]
    assert listed[: len(COMMANDS)] == list(COMMANDS)
    assert "2 bad input" in done.stdout
    assert "Example: mbexport build" in done.stdout


def test_version_is_the_packages(cli):
    done = cli("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"mbexport, version {mbexport.__version__}\n"


def test_no_arguments_show_the_help_on_stderr_and_exit_with_2(cli):
    done = cli()
    assert (done.returncode, done.stdout) == (2, "")
    assert all(name in done.stderr for name in COMMANDS)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nope"], "nope"),
        (["--nope"], "--nope"),
        (["cost", "--nope"], "--nope"),
        (["cost", "superfluous"], "superfluous"),
        (["cost", "--alpha"], "--alpha"),
        (["cost", "--alpha", "wide"], "wide"),
        (["build", "--precision", "fp64"], "fp64"),
        (["verify", "--data", "digits"], "FILES"),
        (["verify", "a.tflite"], "--data"),
        (["predict"], "FILE"),
        (["predict", "a.tflite"], "IMAGE"),
        (["predict", "a.tflite", "a.png", "--top", "0"], "--top must be at least 1, got 0"),
        (["bench"], "FILES"),
        (["inspect"], "FILE"),
        (["rebuild", "--check"], "MANIFEST"),
        (["rebuild", "manifest.json"], "--keep"),
        (["rebuild", "--check", "no-such.json"], "no-such.json"),
    ],
)
def test_misuse_is_one_line_that_names_it_and_exits_with_2(cli, arguments, named):
    done = cli(*arguments)
    assert done.returncode == 2
    assert_one_line_error(done)
    assert named in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["buil"], "no such command: buil; did you mean build?"),
        (["exprot"], "no such command: exprot; did you mean export?"),
        (["xyz"], "no such command: xyz; `mbexport --help` lists them"),
        (["build", "--alhpa", "1"], "no such option: --alhpa; did you mean --alpha?"),
        (["build", "--no-resum"], "no such option: --no-resum; did you mean --no-resume?"),
        (["verify", "--refrence=x"], "no such option: --refrence; did you mean --reference?"),
        (["--hlep"], "no such option: --hlep; did you mean --help?"),
        (["cost", "--xyz"], "no such option: --xyz; `mbexport cost --help` lists them"),
    ],
)
def test_a_misspelled_word_is_answered_with_the_one_that_is_nearest(arguments, said, capsys):
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"Error: {said}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command, capsys):
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr()
    assert re.search(rf"Examples?:\s+mbexport {command}\b", shown.out)
    assert shown.err == ""


@pytest.mark.parametrize(
    "arguments", [["cost", "--all"], ["cost", "--by-layer", "--json"], ["--help"], ["build", "--help"]]
)
def test_reader_that_has_gone_is_no_failure(without_reader, arguments):
    done = without_reader("-m", "mbexport", *arguments)
    # Exit code 1 would say that a gate failed.
    assert (done.returncode, done.stderr) == (0, "")


def test_head_gets_its_line_without_a_complaint():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'mbexport', 'cost', '--all', '--json'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        first = running.stdout.readline()
        running.stdout.close()
        assert first == "[\n"
        assert running.stderr.read() == ""


def test_stdout_that_is_closed_is_no_traceback():
    done = subprocess.run(
        [sys.executable, "-c", "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])",
         sys.executable, "-m", "mbexport", "cost"],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not FULL_DEVICE.exists(), reason="there is no full device here")
def test_stdout_that_is_full_is_a_storage_error():
    with FULL_DEVICE.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mbexport", "cost"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


COST_OF_THE_FAMILY = [["cost", "--help"], ["cost", "--compare"], ["cost", "--conv", "standard", "--shallow"]]


HELP = [
    ["--help"],
    *([name, "--help"] for name in ("build", "export", "verify", "bench", "rebuild", "inspect", "predict", "bundle")),
]


@pytest.mark.parametrize(
    "arguments", [*HELP, ["--version"], ["cost", "--all"], ["cost", "--by-layer", "--json"], *COST_OF_THE_FAMILY]
)
def test_light_commands_load_nothing_heavy(arguments):
    code = (
        "import sys; from mbexport.cli import run; code = run(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")


TOO_EARLY = [
    *(["build", "--alpha", "2"], ["build", "--data", "no-such-folder"], ["build", "--weights", "no-such-file"]),
    *(["export", "--model", "no-such-file", "--data", "digits"], ["export", "--weights", "imagenet"]),
]


@pytest.mark.parametrize("arguments", TOO_EARLY)
def test_bad_input_is_refused_before_tensorflow_loads(arguments):
    code = (
        "import sys; from mbexport.cli import run; code = run(sys.argv[1:]); "
        "assert not {'tensorflow', 'tf_keras', 'onnx'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize("command", ["mbexport", "python -m mbexport"])
def test_installed_script_and_module_are_the_same(command):
    program, *words = command.split()
    beside_python = Path(sys.executable).parent / program  # not resolved: the environment's own scripts
    done = subprocess.run([beside_python, *words, "cost", "--json"], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["mult_adds"] == 568_740_352
