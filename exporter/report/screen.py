"""Print lines and tables that fit a terminal: nothing is cut, and no word is broken."""

import os
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from mbexport.escaping.terminal import LONGEST_CELL, visible

_GAP: Final = "  "  # between columns
_INDENT: Final = "    "  # of the lines below the first, where a line takes several
_LONGEST_NAME: Final = 24  # that leaves room for three columns of numbers on 80

Row = tuple[str, ...]


class _PipeConsole(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line; rich would exit with 1, which here means that a gate failed."""
        raise BrokenPipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header and rows of text: the first column holds names, the others numbers.

    A terminal that is too narrow for all columns breaks the table before those of `breaks`, numbered from 0, and
    wherever else it must. Where there are `styles`, one a row, the last cell has that style of rich's. A note of
    `notes`, one a row, stands below its row; an empty one is left out.
    """

    header: Row
    rows: Sequence[Row]
    breaks: Sequence[int] = ()
    styles: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortNames:
    """Names by what a narrow screen calls them, and the lines that explain that."""

    short: dict[str, str] = field(default_factory=dict)
    legend: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str]) -> "ShortNames":
        """Each name without what all begin with, up to a separator; numbers where that is still long."""
        common = os.path.commonprefix(list(names)) if len(names) > 1 else ""  # noqa: RUF071  # letters are meant
        prefix = common[: max(map(common.rfind, "_-. ")) + 1]
        if all(len(name) - len(prefix) <= _LONGEST_NAME for name in names):
            legend = (f"the names of all artifacts begin with {prefix}",) if prefix else ()
            return cls(short={name: name.removeprefix(prefix) for name in names}, legend=legend)
        numbers = {name: f"[{number}]" for number, name in enumerate(names, 1)}
        return cls(short=numbers, legend=tuple(f"{number} {name}" for name, number in numbers.items()))

    def apply(self, text: str) -> str:
        """The text with short names; the longest first, since one name may begin with another."""
        for name in sorted(self.short, key=len, reverse=True):
            text = text.replace(name, self.short[name])
        return text


class Screen:
    """A stream to print on: a terminal with its width and colours, or a file or pipe that takes lines of any length.

    `names` are those of the artifacts that the text is about: a terminal that is too narrow for a table shows short
    ones. Colours are rich's choice: none in a file or pipe, or where NO_COLOR is set. Nothing in a text commands the
    terminal, or the CI server that reads along.
    """

    def __init__(self, stream: TextIO, names: Iterable[str] = ()) -> None:
        # File names may hold what rich takes for markup.
        self._console = _PipeConsole(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._width = self._console.width if stream.isatty() else None
        self._names, self._all_names = ShortNames(), tuple(dict.fromkeys(map(visible, names)))

    def line(self, text: str, style: str = "") -> None:
        """Prints a line; on a terminal it goes on below, indented, where it is too long."""
        text = self._names.apply(visible(text))
        lines = [text]
        if self._width is not None and text:
            lines = textwrap.wrap(
                text, self._width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
            )
        for each in lines:
            self._console.print(Text(each, style=style))

    def copyable(self, text: str) -> None:
        """Prints a line as it is, however long: a command that a user may copy."""
        self._console.print(Text(visible(text)))

    def table(self, table: Table) -> None:
        """Prints rows in aligned columns, in parts one below the other where the terminal is too narrow for all."""
        table = _shown(table)
        if self._width is not None and not self._names.short and _width_of([table.header, *table.rows]) > self._width:
            self._names = ShortNames.of(self._all_names)
            for line in self._names.legend:
                self.line(line)
        rows = [tuple(map(self._names.apply, row)) for row in (table.header, *table.rows)]
        *others, last = _parts(rows, self._width, breaks=table.breaks)
        for part in others:
            self._rows(part)
        self._rows(last, styles=table.styles, notes=table.notes)

    def _rows(self, rows: Sequence[Row], *, styles: Sequence[str] = (), notes: Sequence[str] = ()) -> None:
        header, *lines = _aligned(rows)
        self._console.print(Text(header, style="bold"))
        for index, line in enumerate(lines):
            text = Text(line)
            if styles:
                text.stylize(styles[index], len(line) - len(rows[index + 1][-1]))
            self._console.print(text)
            if notes and notes[index]:
                self.line(_INDENT + notes[index])


def _shown(table: Table) -> Table:
    """The table without what would command a terminal, or make a column a thousand characters wide."""
    rows = [tuple(visible(cell, LONGEST_CELL) for cell in row) for row in table.rows]
    return replace(table, rows=rows)


def _parts(rows: Sequence[Row], width: int | None, *, breaks: Sequence[int]) -> list[list[Row]]:
    """The columns in as many tables as it takes for each to fit `width`; each begins with the names."""
    if width is None or _width_of(rows) <= width:
        return [list(rows)]
    names, *others = zip(*rows, strict=True)
    parts, part = [], [names]
    for number, column in enumerate(others, 1):
        is_full = number in breaks or _width_of(list(zip(*part, column, strict=True))) > width
        if is_full and len(part) > 1:
            parts.append(part)
            part = [names]
        part.append(column)
    return [list(zip(*columns, strict=True)) for columns in (*parts, part)]


def _width_of(rows: Sequence[Row]) -> int:
    return max(map(len, _aligned(rows)))


def _aligned(rows: Sequence[Row]) -> list[str]:
    """A line for each row: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))).rstrip() for row in rows]
