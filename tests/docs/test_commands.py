"""What the pages tell people to type exists: commands, options, their values, targets of make, files and imports."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import click
import pytest
import yaml
from docs.pages import DECISIONS, PAGES, ROOT, Block, blocks, inline_code

from mbexport.api import _context
from mbexport.calibration.choices import parse_corrections, parse_observer
from mbexport.commands.options import Option, gate_limits
from mbexport.models.data.readable import parse_max_bad
from mbexport.pipeline.usual import DIGITS
from mbexport.verification.judge import GATES

_SHELLS: Final = ("bash", "console", "sh")
_LINES: Final = blocks(*_SHELLS)
_ENDS_A_COMMAND: Final = ("&&", "||", "|", ";", ">", ">>")
_GUIDES: Final = tuple(page for page in PAGES if page not in DECISIONS and page.name != "CHANGELOG.md")
# Options of others' programs that the guides name.
_OTHERS_OPTIONS: Final = ("--build-arg", "--num-cpus", "--profile", "--secret")


def _known_gates(texts: tuple[str, ...]) -> None:
    unknown = set(gate_limits(texts)) - set(GATES)
    assert not unknown, unknown


# Values that click takes as any text and that are checked later, in a run.
_VALUES: Final[Mapping[str, Callable[[Any], object]]] = MappingProxyType(
    {
        "gates": _known_gates,
        "corrections": parse_corrections,
        "observer": lambda name: parse_observer(name) if name else None,
        "max_bad": parse_max_bad,
    }
)


@cache
def _commands() -> dict[str, click.Command]:
    from command_reference import commands

    return commands()


def _typed(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell's text."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if word in _ENDS_A_COMMAND:
                yield words
                words = []
            else:
                words.append(word)


def _of_mbexport(text: str) -> Iterator[list[str]]:
    """What follows `mbexport` in each command of a shell's text, also in a container; not its mere name."""
    for words in _typed(text):
        while words and re.fullmatch(r"\w+=.*", words[0]):
            del words[0]
        if words[:1] == ["mbexport"]:
            yield words[1:]
        elif "mbexport" in words and words[words.index("mbexport") + 1 :][:1] != ["."] and words[:1] == ["docker"]:
            yield words[words.index("mbexport") + 1 :]


def _require_legal(arguments: list[str]) -> None:
    """Fail unless the command, its options and their values are legal; nothing is run."""
    if not arguments or arguments in (["--help"], ["--version"]):
        return
    name, *rest = arguments
    if "--help" in rest:
        rest.remove("--help")
        assert name in _commands()
        return
    context = _commands()[name].make_context(f"mbexport {name}", list(rest))
    for parameter, parse in _VALUES.items():
        if parameter in context.params:
            parse(context.params[parameter])


@pytest.mark.parametrize("block", _LINES, ids=str)
def test_a_typed_command_is_one_of_ours(block: Block) -> None:
    """Options exist and values are legal, by the commands that would run."""
    for arguments in _of_mbexport(block.text):
        _require_legal(arguments)


@pytest.mark.parametrize("arguments", ["buil --int8", "build --alhpa 1", "verify a.tflite --data x --gate agrement=1"])
def test_a_wrong_command_is_noticed(arguments: str) -> None:
    """The check of the pages checks."""
    with pytest.raises((KeyError, click.UsageError, AssertionError)):
        _require_legal(shlex.split(arguments))


def test_most_pages_show_what_to_type() -> None:
    """The blocks are found: a parser that finds none would pass everything."""
    assert sum(1 for block in _LINES for _ in _of_mbexport(block.text)) > 20


@pytest.mark.parametrize("block", _LINES, ids=str)
def test_a_target_of_make_exists(block: Block) -> None:
    """`make X` is in the Makefile."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    wanted = {word for words in _typed(block.text) if words[:1] == ["make"] for word in words[1:] if "=" not in word}
    assert wanted <= targets


@pytest.mark.parametrize("page", _GUIDES, ids=lambda page: page.name)
def test_code_in_a_sentence_names_what_there_is(page: Any) -> None:
    """Options and commands between backticks exist."""
    known = {name for command in _commands().values() for each in command.params for name in _names(each)}
    for code in inline_code(page):
        words = code.split()
        if words[0] == "mbexport" and len(words) > 1 and words[1].isalpha() and words[1].islower():
            assert words[1] in _commands(), code
        if words[0].startswith("--") or words[0] in ("mbexport", *_commands()):
            options = {word.partition("=")[0] for word in words if re.match(r"--\w", word)}
            assert options <= known | {"--help", "--version"} | set(_OTHERS_OPTIONS), code
        if words[0] == "make" and len(words) == 2:
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text("utf-8"), code


def test_the_demo_is_called_as_it_is_made() -> None:
    """Names of the network of `mbexport build --alpha 0.75 --int8` have the side that digits have without an option."""
    named = {
        side for page in _GUIDES for side in re.findall(r"mobilenet_?v1_0[._]75_(\d+)", page.read_text("utf-8"), re.I)
    }
    assert named == {str(DIGITS.resolution_px)}


def test_every_option_is_in_the_reference() -> None:
    """The page that is written from the commands leaves none out."""
    from command_reference import MARKER, with_reference

    text = with_reference(MARKER)
    for name, command in _commands().items():
        assert f"\n## mbexport {name}\n" in f"\n{text}"
        for each in command.params:
            if isinstance(each, click.Option) and not each.hidden:
                assert all(f"`{known}" in text for known in _names(each)), (name, each.name)


def test_the_page_of_gates_has_each() -> None:
    """The table of gates names every gate, and none that is gone."""
    rows = (ROOT / "docs" / "verify.md").read_text("utf-8").partition("## Gates")[2].partition("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", rows, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(GATES)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_config_file_has_options_of_ours(block: Block) -> None:
    """TOML is read, and a table is a command with options of that command."""
    for name, table in tomllib.loads(block.text).items():
        known = {each.long_name for each in _commands()[name].params if isinstance(each, Option)}
        assert {key.replace("_", "-") for key in table} <= known
        assert set(table.get("gate", {})) <= set(GATES)


@pytest.mark.parametrize("block", blocks("yaml", "json"), ids=str)
def test_yaml_and_json_are_read(block: Block) -> None:
    """What a CI server or a program is to read can be read."""
    assert yaml.safe_load(block.text) if block.language == "yaml" else json.loads(block.text)


@pytest.mark.parametrize("block", [each for each in blocks("yaml") if each.page.name == "ci.md"], ids=str)
def test_arguments_in_ci_are_legal(block: Block) -> None:
    """What a job gives to mbexport is what `build` takes."""
    for arguments in _values_of(yaml.safe_load(block.text), ("arguments", "MBEXPORT_ARGUMENTS")):
        _require_legal(["build", *shlex.split(arguments)])


def _values_of(node: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """The texts that stand under `keys`, at any depth."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        if key in keys:
            yield value
        else:
            yield from _values_of(value, keys)


@pytest.mark.parametrize("block", blocks("python", "py"), ids=str)
def test_python_compiles_and_imports(block: Block) -> None:
    """A block of Python is one, and what it imports of mbexport is there; other modules are installed."""
    compile(block.text, str(block), "exec")
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import):
            assert all(importlib.util.find_spec(each.name) for each in node.names), ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("mbexport"):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, each.name) for each in node.names), ast.unparse(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mbexport":
            assert hasattr(importlib.import_module("mbexport"), node.attr), ast.unparse(node)


@pytest.mark.parametrize("block", blocks("python", "py"), ids=str)
def test_calls_in_python_have_legal_options(block: Block) -> None:
    """The options and values of a call are those of its command; nothing is run."""
    for node in ast.walk(ast.parse(block.text)):
        name = ast.unparse(node.func).removeprefix("mbexport.") if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in _commands():
            given = {str(each.arg): each.value for each in node.keywords if each.arg != "progress"}
            texts = [ast.literal_eval(each) for each in node.args]
            files = [file for each in texts for file in ([each] if isinstance(each, str) else each)]
            options = {option: ast.literal_eval(value) for option, value in given.items()}
            _context(_commands()[name], options, arguments=files)


def _names(parameter: click.Parameter) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts] if isinstance(parameter, click.Option) else []
