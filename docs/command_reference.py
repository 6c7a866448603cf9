"""Write the reference of the command line in Markdown, from the commands themselves.

`docs/command-line.md` has a marker, in the place of which the site shows what is written here: the page can neither
miss an option nor describe one that is gone.
"""

import inspect
import re
from collections.abc import Iterator

import click

from mbexport.cli import group
from mbexport.commands.options import Group, Option

PAGE = "command-line"
MARKER = "<!-- reference -->"


def with_reference(page: str) -> str:
    """The page with the reference in the place of its marker. Raises `ValueError` for a page without one marker."""
    before, after = page.split(MARKER)
    return before + "\n".join(_reference()) + after


def commands() -> dict[str, click.Command]:
    """Each command by its name, in the order of `mbexport --help`."""
    context = click.Context(group)
    found = ((name, group.get_command(context, name)) for name in group.list_commands(context))
    return {name: command for name, command in found if command is not None}


def _reference() -> Iterator[str]:
    for name, command in commands().items():
        context = click.Context(
            command,
            info_name=f"mbexport {name}",
            auto_envvar_prefix=f"MBEXPORT_{name.upper()}",
            show_default=True,
        )
        yield from (f"## mbexport {name}", "", "```text", " ".join(context.get_usage().split()), "```", "")
        yield from (_prose(command.help or ""), "")
        for title, options in _headings(command, context).items():
            yield from (f"**{title}**", "", "| option | what |", "|---|---|")
            yield from (_row(option, context) for option in options)
            yield ""
        examples = [line[2:] for line in (command.epilog or "").splitlines() if line.startswith("  ")]
        if examples:
            yield from ("```bash", *examples, "```", "")


def _headings(command: click.Command, context: click.Context) -> dict[str, list[click.Option]]:
    """The options by the heading under which --help lists them, in its order; --help itself comes last."""
    options = [each for each in command.get_params(context) if isinstance(each, click.Option) and not each.hidden]
    grouped = [each for each in options if isinstance(each, Option)]
    headings = {heading.value: [each for each in grouped if each.group is heading] for heading in Group}
    others = [each for each in options if not isinstance(each, Option)]
    return {title: each for title, each in {**headings, "Help": others}.items() if each}


def _row(option: click.Option, context: click.Context) -> str:
    names, text = option.get_help_record(context) or ("", "")
    return f"| {_code(names)} | {_cell(text)} |"


def _code(names: str) -> str:
    return " ".join(f"`{part.strip()}`" for part in names.replace("|", "&#124;").split(" / ")).replace("&#124;", "\\|")


def _cell(text: str) -> str:
    escaped = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return _with_code(re.sub(r"\[(default|env var|required)", r"\\[\1", escaped.replace("*", "\\*")))


def _prose(text: str) -> str:
    """The paragraphs of a help text, without click's marks for keeping lines."""
    plain = inspect.cleandoc(text).replace("\b\n", "").replace("*", "\\*")
    return _with_code(re.sub(r"(?<!`)<(\w+)>", r"&lt;\1&gt;", plain).strip())


def _with_code(text: str) -> str:
    """The text with its options as code, which no line is broken within."""
    return re.sub(r"(?<![`\w-])(--[a-z][a-z0-9-]*\w)(?!`)", r"`\1`", text)
