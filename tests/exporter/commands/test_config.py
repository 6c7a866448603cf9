"""Where options come from: flag beats environment beats file, under the same names everywhere."""

import json

import pytest

from mbexport.cli import run
from mbexport.commands import bench, build, export, verify

CONFIGURABLE = {"build": build.command, "export": export.command, "verify": verify.command, "bench": bench.command}
# Ends every command before it does any work, once its options are found to be legal.
DEAD_END = {
    "build": ["--data", "no-such-folder"],
    "export": ["--weights", "imagenet", "--data", "no-such-folder"],
    "verify": ["no-such-file.tflite", "--data", "no-such-folder"],
    "bench": ["no-such-file.tflite"],
}


@pytest.fixture
def complaint(capsys, monkeypatch, tmp_path):
    """What a command says to options from a file, the environment and flags; it never gets to work."""

    def ask(command: str, *flags: str, config: str | None = None, **environment: str) -> str:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        arguments = [command, *DEAD_END[command], *flags]
        if config is not None:
            (tmp_path / "options.toml").write_text(config)
            arguments += ["--config", str(tmp_path / "options.toml")]
        assert run(arguments) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("Error: ")
        assert shown.err.count("\n") == 1
        return shown.err

    return ask


@pytest.fixture
def cost_of(capsys, monkeypatch):
    """The alpha that `mbexport cost` computes with."""

    def ask(*flags: str, **environment: str) -> float:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert run(["cost", "--json", *flags]) == 0
        return json.loads(capsys.readouterr().out)["alpha"]

    return ask


def test_environment_sets_an_option_and_a_flag_beats_it(cost_of):
    assert cost_of(MBEXPORT_COST_ALPHA="0.25") == 0.25
    assert cost_of("--alpha", "0.75", MBEXPORT_COST_ALPHA="0.25") == 0.75


def test_environment_of_one_command_leaves_the_others_alone(cost_of):
    assert cost_of(MBEXPORT_BUILD_ALPHA="0.25", MBEXPORT_ALPHA="0.5") == 1.0


def test_wrong_value_in_the_environment_is_refused(complaint):
    assert "alpha must be in (0, 1], got 9" in complaint("build", MBEXPORT_BUILD_ALPHA="9")


def test_file_sets_an_option_and_environment_and_flag_beat_it(complaint):
    file, environment = "alpha = 5", {"MBEXPORT_BUILD_ALPHA": "6"}
    assert "got 5" in complaint("build", config=file)
    assert "got 6" in complaint("build", config=file, **environment)
    assert "got 7" in complaint("build", "--alpha", "7", config=file, **environment)
    assert "no-such-folder" in complaint("build", "--alpha", "0.5", config=file, **environment)


def test_order_of_config_and_flags_does_not_matter(tmp_path, capsys):
    (tmp_path / "options.toml").write_text("alpha = 5")
    config = ["--config", str(tmp_path / "options.toml")]
    for flags in (["--alpha", "7", *config], [*config, "--alpha", "7"]):
        assert run(["build", *DEAD_END["build"], *flags]) == 2
        assert "got 7" in capsys.readouterr().err


def test_file_may_be_named_by_the_environment(complaint, tmp_path):
    (tmp_path / "named.toml").write_text("alpha = 5")
    assert "got 5" in complaint("build", MBEXPORT_BUILD_CONFIG=str(tmp_path / "named.toml"))


@pytest.mark.parametrize("name", ["qat-epochs", "qat_epochs"])
def test_file_takes_dashes_and_underscores(complaint, name):
    assert "--qat-epochs must be at least 0, got -1" in complaint("build", config=f"{name} = -1")


def test_file_gives_gates_as_a_table_or_a_list(complaint):
    assert "got foo" in complaint("build", config="[gate]\nfoo = 1")
    assert "got foo" in complaint("build", config='gate = ["foo=1"]')
    assert "got foo" in complaint("verify", config="gate = {foo = 1}")
    assert "no-such-folder" in complaint("build", config="[gate]\nagreement = 0.5")


def test_one_file_serves_several_commands(complaint):
    file = "[build]\nalpha = 5\n[bench]\nruns = 0\n"
    assert "alpha must be in (0, 1], got 5" in complaint("build", config=file)
    assert "--runs must be from 2 to 1000000, got 0" in complaint("bench", config=file)
    assert "no such file" in complaint("bench", "--runs", "3", config=file)


@pytest.mark.parametrize("command", CONFIGURABLE)
def test_file_may_hold_every_option_of_its_command(complaint, command):
    names = [
        name.removeprefix("--")
        for parameter in CONFIGURABLE[command].params
        for name in parameter.opts
        if name.startswith("--") and name not in ("--config", "--help")
    ]
    assert len(names) > 2
    for name in names:
        assert "must hold options of" not in complaint(command, config=f'{name} = "1"')


@pytest.mark.parametrize(
    ("command", "name"), [("build", "runs"), ("bench", "alpha"), ("build", "config"), ("verify", "x")]
)
def test_file_with_an_unknown_option_is_refused(complaint, command, name):
    said = complaint(command, config=f"{name} = 1")
    assert f"must hold options of {command}, got {name}" in said


@pytest.mark.parametrize(("name", "meant"), [("alhpa", "alpha"), ("qat_epoch", "qat-epochs"), ("opsett", "opset")])
def test_file_with_a_misspelled_option_is_answered_with_the_one_that_is_nearest(complaint, name, meant):
    assert f"got {name}; did you mean {meant}?" in complaint("build", config=f"{name} = 1")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('alpha = "x"', "a number, got 'x'"),
        ("epochs = 1.5", "a whole number, got 1.5"),
        ("int8 = 1", "true or false, got 1"),
        ("observer = 1", "text, got 1"),
    ],
)
def test_file_with_a_value_of_another_kind_is_told_which_is_legal(complaint, line, kind):
    assert f"options.toml: {line.split()[0]} must be {kind}" in complaint("build", config=line)


@pytest.mark.parametrize("content", ["alpha = ", "alpha 1", "[build", "alpha = 1\nalpha = 2"])
def test_file_that_is_not_toml_is_refused(complaint, content):
    assert "cannot be read" in complaint("build", config=content)


def test_file_that_is_not_text_or_not_there_is_refused(complaint, tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name in ("binary.toml", "missing.toml", "."):
        assert "cannot be read" in complaint("build", "--config", str(tmp_path / name))


@pytest.mark.parametrize("content", ["build = 1", 'build = "x"', "build = [1]"])
def test_file_whose_table_is_no_table_is_refused(complaint, content):
    complaint("build", config=content)


@pytest.mark.parametrize("value", ['"wide"', "[]", "[1]"])
def test_file_with_a_value_of_the_wrong_kind_is_refused(complaint, value):
    assert "no-such-folder" not in complaint("build", config=f"alpha = {value}")


@pytest.mark.parametrize("line", ["epochs = 1.5", "resolution = 64.9", "seed = 0.5", "epochs = true"])
def test_file_with_a_fraction_for_a_whole_number_is_refused_not_cut(complaint, line):
    assert "no-such-folder" not in complaint("build", config=line)


def test_environment_names_are_those_of_the_options(capsys, monkeypatch):
    monkeypatch.setenv("MBEXPORT_COST_JSON", "1")
    assert run(["cost"]) == 0
    assert capsys.readouterr().out.startswith("{")
    monkeypatch.setenv("MBEXPORT_COST_ALL", "1")
    assert run(["cost"]) == 0
    assert capsys.readouterr().out.startswith("[")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MBEXPORT_BUILD_GATE", "foo=1", "got foo"),
        ("MBEXPORT_BUILD_PRECISION", "fp64", "fp64"),
        ("MBEXPORT_BUILD_FORMAT", "coreml", "coreml"),
        ("MBEXPORT_BUILD_QAT_EPOCHS", "-1", "--qat-epochs must be at least 0"),
    ],
)
def test_options_that_repeat_come_from_the_environment_under_their_names(complaint, name, value, said):
    assert said in complaint("build", **{name: value})


def test_environment_that_tells_the_version_does_not_break_the_commands(cost_of):
    # Container images set variables of this kind.
    assert cost_of(MBEXPORT_VERSION="0.1.0") == 1.0
