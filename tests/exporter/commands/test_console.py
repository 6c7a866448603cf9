"""Progress on a terminal: what a stage says of files is text, and neither markup nor a command."""

import io
import re

import pytest

from mbexport.commands.console import ConsoleProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", ["[/nothing].tflite", "[bold]x", "\x1b]0;x\x07", "\x1b]52;c;cm0=\x07", ":smile:"])
def test_a_name_is_shown_beside_the_bar_as_it_is_written(monkeypatch, text):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    progress = ConsoleProgress(stream)
    progress.start("verify")
    progress.step(1, 2, text)
    progress._bar.refresh()
    progress.finish("verify", 1.0, reused=False)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert f"1/2 {text.replace(chr(27), chr(92) + 'x1b').replace(chr(7), chr(92) + 'x07')}" in shown
    assert "\x1b" not in shown
    assert shown.rstrip().endswith("verify         done in 1.0 s")
