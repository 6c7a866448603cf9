"""Whatever a command prints has been made visible first: a new line of output cannot forget it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.environments import ROOT

SHOWN = {"visible", "visible_lines", "json_text", "_json", "get_help"}  # `_json` ends in json_text, help is our own
OWN = {"cost.py"}  # prints numbers of the paper and of options, no text of others
FILES = [each for each in sorted((ROOT / "exporter" / "commands").glob("*.py")) if each.name not in OWN]


def printed(function: ast.AST) -> Iterator[ast.expr]:
    """What a function gives to `click.echo` or to the `write` of a stream that is `out`, `err` or `stream`."""
    for call in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
        if isinstance(call.func, ast.Attribute):
            owner = ast.unparse(call.func.value)
            if call.func.attr == "echo" or (
                call.func.attr == "write" and owner.split(".")[-1] in {"out", "err", "stream"}
            ):
                yield call.args[0]


def is_shown(value: ast.expr, function: ast.AST) -> bool:
    """Whether a printed value is a constant, a call that makes it visible, or a name or sum of such."""
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.BinOp):
        return is_shown(value.left, function) and is_shown(value.right, function)
    if isinstance(value, ast.IfExp):
        return is_shown(value.body, function) and is_shown(value.orelse, function)
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).split(".")[-1] in SHOWN
    if isinstance(value, ast.JoinedStr):
        return all(is_shown(each.value, function) for each in value.values if isinstance(each, ast.FormattedValue))
    assigned = [
        each.value
        for each in ast.walk(function)
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == ast.unparse(value)
    ]
    return bool(assigned) and all(is_shown(each, function) for each in assigned)


def hidden(source: str) -> list[str]:
    functions = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.FunctionDef)]
    return [ast.unparse(value) for each in functions for value in printed(each) if not is_shown(value, each)]


@pytest.mark.parametrize("file", [*FILES, ROOT / "exporter" / "cli.py"], ids=lambda file: file.name)
def test_what_is_printed_has_been_made_visible(file: Path) -> None:
    assert hidden(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("line", "is_safe"),
    [
        ("click.echo(name)", False),
        ('click.echo(f"{name}")', False),
        ('streams.err.write(f"{name}\\n")', False),
        ("click.echo(visible(name))", True),
        ('click.echo("done")', True),
        ('stream.write(visible_lines(lines) + "\\n")', True),
        ("text = json_text(x) if y else name; click.echo(text)", False),
    ],
)
def test_the_rule_by_hand(line: str, is_safe: bool) -> None:
    assert (hidden(f"def f(name):\n    {line}") == []) is is_safe
