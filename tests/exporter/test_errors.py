"""The tree of errors: each class's exit code, and what the command line makes of it."""

import inspect
import re

import pytest

from mbexport import errors
from mbexport.cli import run

CODES = {
    errors.InputError: 2,
    errors.OptionError: 2,
    errors.DataError: 2,
    errors.OutputError: 2,
    errors.StageError: 3,
    errors.StorageError: 3,
}


def raise_from_cost(monkeypatch, error: BaseException) -> int:
    """The exit code of `mbexport cost` when its work raises `error`."""

    def fail(*_given, **_named):
        raise error

    monkeypatch.setattr("mbexport.commands.cost._one", fail)
    return run(["cost"])


def test_exit_code_constants_are_the_contract():
    done, gate, bad, stage, interrupted = (
        errors.EXIT_DONE,
        errors.EXIT_GATE_FAILED,
        errors.EXIT_BAD_INPUT,
        errors.EXIT_STAGE_FAILED,
        errors.EXIT_SIGNALLED + 2,
    )
    assert (done, gate, bad, stage, interrupted) == (0, 1, 2, 3, 130)


@pytest.mark.parametrize(("kind", "code"), CODES.items(), ids=lambda value: getattr(value, "__name__", value))
def test_each_error_ends_the_command_line_with_its_code_and_one_line(monkeypatch, capsys, kind, code):
    assert raise_from_cost(monkeypatch, kind("first line\nsecond line")) == code
    assert capsys.readouterr().err == "Error: first line second line\n"


def test_the_docstring_draws_every_error_with_its_code():
    drawn = {name: int(code) for name, code in re.findall(r"[├└]── (\w+) +(\d)", errors.__doc__)}
    classes = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind is not errors.MbexportError}
    assert set(drawn) == classes
    assert drawn == {kind.__name__: code for kind, code in CODES.items()}


def test_no_error_can_pass_for_success_or_for_a_failed_gate():
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert all(issubclass(kind, errors.MbexportError) and kind.exit_code > 1 for kind in classes)


def test_a_full_disk_is_no_input_error():
    assert not issubclass(errors.StorageError, errors.InputError)


def test_interruption_exits_with_130(monkeypatch, capsys):
    assert raise_from_cost(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip().startswith("Error: interrupted")


def test_a_bug_keeps_its_traceback_and_does_not_look_like_a_failed_gate(monkeypatch, capsys):
    assert raise_from_cost(monkeypatch, ZeroDivisionError("a bug")) == 3
    errors = capsys.readouterr().err
    assert "Traceback" in errors
    assert "ZeroDivisionError: a bug" in errors
