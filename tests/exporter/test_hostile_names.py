"""Names that command a terminal or a CI server, of files, options and in files: every command only shows them."""

import json
import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from hostile import EXAMPLES
from PIL import Image

from mbexport.escaping.characters import is_hidden

TITLE, CLIPBOARD = "\x1b]0;x\x07", "\x1b]52;c;cm0gLXJm\x07"
NAMES = (
    TITLE,
    CLIPBOARD,
    "a\n::error::b",
    "::error file=x::y",
    "##[error]x",
    "\u202egnp\x9b31m",
    os.fsdecode(b"\xff\xfe"),
    "[bold]x[red]",
)
WORDS = (*NAMES, *(each for each in EXAMPLES if each.strip() and not re.match("-|\0|.*\ud800", each)))


def require_harmless(*texts: str) -> None:
    """Every line can be seen as it is, and no runner obeys one."""
    for text in texts:
        lines = text.split("\n")
        assert [line for line in lines if any(map(is_hidden, line))] == []
        assert [line for line in lines if line.lstrip().startswith("::") or re.search(r"##\w*\[", line)] == []


@pytest.fixture
def shown(cli, tmp_path):
    """Runs the command line in an empty folder; the exit code, stdout and stderr, which are harmless."""

    def run(*arguments: object) -> tuple[int, str, str]:
        done = cli(*arguments, cwd=tmp_path)
        require_harmless(done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


COMMANDS = (
    ("inspect", "{}.tflite"),
    ("inspect", "{}.onnx", "--kernels"),
    ("inspect", "{}.tflite", "--sensitivity"),
    ("bench", "{}.onnx"),
    ("predict", "{}.onnx", "{}.png"),
    ("verify", "{}.onnx", "--data", "{}"),
    ("verify", "x.onnx", "--data", "digits", "--reference", "{}.onnx"),
    ("verify", "x.onnx", "--data", "digits", "--gate", "{}=1"),
    ("bundle", "{}"),
    ("bundle", "--check", "{}"),
    ("bundle", "--check", "x", "--key", "{}"),
    ("bundle", "x", "--bundle-name", "{}"),
    ("bundle", "x", "--android-package", "{}"),
    ("rebuild", "--check", "{}"),
    ("export", "--model", "{}.h5", "--data", "digits"),
    ("export", "--weights", "{}", "--data", "digits"),
    ("build", "--data", "{}"),
    ("build", "--calibration", "{}"),
    ("build", "--config", "{}"),
    ("build", "--observer", "{}"),
    ("build", "--corrections", "{}"),
    ("build", "--mean", "{}"),
    ("build", "--summary", "{}/x"),
    ("build", "--alpha", "{}"),
    ("build", "--io", "{}"),
    ("build", "--batch", "{}"),
    ("cost", "--{}"),
    ("cost", "{}"),
    ("{}",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_refuses_a_name_in_one_line_that_can_be_seen(shown, command):
    for word in WORDS:
        code, out, err = shown(*(part.format(word) for part in command))
        assert (code, out) == (2, ""), (command, word)
        assert re.fullmatch(r"Error: [^\n]+\n", err)
        assert len(err) < 5000


def test_a_name_is_shown_and_not_hidden(shown):
    assert shown("inspect", f"{TITLE}a.tflite")[2] == "Error: no such file: \\x1b]0;x\\x07a.tflite\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_there_is_refused_as_clearly(shown, tmp_path, name):
    files = {f"{name}.tflite": b"garbage", f"{name}.onnx": b"garbage", f"{name}.json": b"[]", f"{name}.toml": b"a = "}
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    commands = [
        ("inspect", f"{name}.tflite"),
        ("inspect", f"{name}.onnx"),
        ("bench", f"{name}.onnx"),
        ("rebuild", "--check", f"{name}.json"),
        ("build", "--config", f"{name}.toml"),
        ("predict", f"{name}.onnx", f"{name}.json"),
    ]
    for command in commands:
        code, _, err = shown(*command)
        assert (code, err.count("\n")) == (2, 1), err


def hostile_network(path: Path, colour_network) -> Path:
    """A network whose names, metadata and labels are hostile; onnxruntime reads no halves of UTF-16 pairs."""
    model = onnx.load(colour_network(path, classes=len(LABELS)))
    for name, value in {"labels": json.dumps(LABELS), CLIPBOARD: "a\n::error::b", "##[error]x": TITLE}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value
    model.producer_name, model.doc_string, model.graph.name = TITLE, "::error::x", "a\n::error::b"
    for node in model.graph.node:
        node.name = f"{CLIPBOARD}{node.op_type}"
        node.output[:] = ["::error::scores" if each == "scores0" else each for each in node.output]
        node.input[:] = [TITLE if each == "image" else each for each in node.input]
    model.graph.input[0].name, model.graph.output[0].name = TITLE, "::error::scores"
    onnx.save(model, path)
    return path


LABELS = [
    "::error::x",
    TITLE,
    CLIPBOARD,
    "##[error]x",
    "\u202e",
    "[bold]x[/nothing]",
    "| a |",
    "<b>",
    "${x}",
    "x" * 10_000,
]


@pytest.fixture
def network(colour_network, tmp_path) -> Path:
    return hostile_network(tmp_path / f"{TITLE}::error::.onnx", colour_network)


def test_inspect_shows_names_and_metadata(shown, network):
    code, out, err = shown("inspect", network.name)
    assert (code, err) == (0, "")
    assert "\\x1b]52;c;cm0gLXJm\\x07 = a\\n::error::b" in out
    assert "#\\x23[error]x = \\x1b]0;x\\x07" in out
    code, out, _ = shown("inspect", network.name, "--json")
    facts = json.loads(out)
    assert facts["metadata"][CLIPBOARD] == "a\n::error::b"
    assert (facts["file"], facts["inputs"][0]["name"]) == (network.name, TITLE)


def test_inspect_shows_kernels(shown, network):
    assert shown("inspect", network.name, "--kernels")[0] == 0
    assert shown("inspect", network.name, "--kernels", "--json")[0] == 0


def test_predict_shows_labels_and_images(shown, network, tmp_path):
    images = [f"{name}.png" for name in NAMES]
    for name in images:
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / name, "png")
    code, out, err = shown("predict", network.name, *images, "--preprocess", "unit", "--top", "10")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 11 * len(images)
    assert "\\x3a:error file=x::y.png" in out.splitlines()
    code, out, _ = shown("predict", network.name, *images[:-2], "--preprocess", "unit", "--top", "10", "--json")
    found = json.loads(out)["images"]
    assert {each["label"] for each in found[0]["top"]} == set(LABELS)


def test_bench_shows_files_and_runtimes(shown, network):
    assert shown("bench", network.name, "--runs", "2", "--no-probe")[0] == 0
    assert shown("bench", network.name, "--runs", "2", "--no-probe", "--json")[0] == 0


def test_verify_shows_files_and_warnings(shown, network, colour_network, tmp_path):
    reference = colour_network(tmp_path / "##[error]r.onnx", classes=10)
    words = (network.name, "--reference", reference.name, "--data", "digits", "--preprocess", "unit", "--no-latency")
    code, _, err = shown("verify", *words)
    assert code in (0, 1), err
    code, out, _ = shown("verify", *words, "--json")
    assert network.name in [entry["file"] for entry in json.loads(out)["artifacts"]]


def test_check_shows_what_lies_in_a_folder(shown, tmp_path):
    folder = tmp_path / TITLE
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"tool": TITLE, "::error::": "\x9b"}))
    for command in ("bundle --check", "bundle", "rebuild --check"):
        target = folder / "manifest.json" if "rebuild" in command else folder
        assert shown(*command.split(), target.relative_to(tmp_path))[0] == 2


def test_a_bug_keeps_its_traceback_and_commands_nothing(cli, tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"{CLIPBOARD}\n::error::x")

    monkeypatch.setattr("mbexport.commands.bundle._checked", broken)
    done = cli("bundle", "--check", TITLE, cwd=tmp_path)
    require_harmless(done.stderr)
    assert done.returncode == 3
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("RuntimeError: \\x1b]52;c;cm0gLXJm\\x07\n\\x3a:error::x\n")
