"""Text that anybody chose, in Markdown: it is read as it is written, and nothing is made of it."""

from typing import Final

import pytest
from hostile import TEXTS as HOSTILE
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mbexport.escaping.characters import one_line
from mbexport.escaping.markdown import code, details, prose, table

READER: Final = MarkdownIt("commonmark").enable("table").enable("strikethrough")
MARKS: Final = "a1_*`|<>&\\[]()!#@~$:/. \n-"
TEXTS: Final = st.text(st.characters(exclude_categories=()), max_size=40) | st.text(MARKS, max_size=12)


def seen(text: str) -> tuple[str, set[str]]:
    """What is read of a line, and the kinds of tokens and tags that it is made of."""
    (inline,) = [token for token in READER.parse(f"x{text}x") if token.type == "inline"]
    read, kinds = "", set()
    for token in inline.children or []:
        kinds.add(token.content if token.type == "html_inline" else token.type)
        read += "" if token.type == "html_inline" else token.content
    return read.removeprefix("x").removesuffix("x").replace("\u200b", ""), kinds


@given(TEXTS | HOSTILE)
@example("a|b `c` <script>alert(1)</script> &amp; [l](http://x) ![i](j) **b** __b__ ~~s~~ $x$ \\")
@example("\x00\x1b[31m\ud800\u202e\r\n## a")
def test_any_text_is_read_as_it_is_written(text):
    assert seen(prose(text)) == (one_line(text, 1000), seen("")[1] | {"text"})
    read, kinds = seen(code(text))
    assert read == one_line(text, 80)
    assert kinds <= {"text", "code_inline", "<code>", "</code>"}


@given(TEXTS)
def test_a_line_has_no_break_and_a_long_one_keeps_its_ends(text):
    line = one_line(text, 10)
    assert len(line) <= 10
    assert len(line.splitlines()) <= 1
    whole = one_line(text, 1000)
    if len(whole) > 10:
        assert (line[:4], line[4], line[-5:]) == (whole[:4], "…", whole[-5:])


@pytest.mark.parametrize(
    ("text", "markdown_"),
    [
        ("red fox, Vulpes vulpes", "red fox, Vulpes vulpes"),
        ("top1_drop of 50% (a_b)", "top1_drop of 50% (a_b)"),
        ("_a_", "&#95;a&#95;"),
        ("@octocat", "@&#8203;octocat"),
        ("fixes #1, !2, GH-3", "fixes #&#8203;1, !&#8203;2, GH&#8203;-3"),
        (":tada: https://a.b www.c.d", ":&#8203;tada: https:&#8203;//a.b www&#8203;.c.d"),
        ("a|b\n<c>", "a&#124;b &#60;c&#62;"),
    ],
)
def test_what_servers_would_make_links_of_is_broken(text, markdown_):
    assert prose(text) == markdown_


def test_a_plain_name_is_code_and_another_is_code_in_html():
    assert code("a_int8.tflite") == "`a_int8.tflite`"
    assert code("a`b|c") == "<code>a&#96;b&#124;c</code>"
    assert code("") == "<code></code>"


def test_a_long_table_says_what_it_left_out():
    rows = [[str(number), "x"] for number in range(5)]
    assert table(("n", "m"), rows, most=2) == (
        "| n | m |\n| :-- | --: |\n| 0 | x |\n| 1 | x |\n\n… and 3 more: see report.json"
    )
    assert "more" not in table(("n", "m"), rows, most=5)


def test_what_is_folded_is_read_as_markdown():
    kinds = [token.type for token in READER.parse(details("more", table(("n",), [["1"]])))]
    assert kinds[0] == kinds[-1] == "html_block"
    assert "table_open" in kinds


@given(HOSTILE)
@example("- a")
@example("1. a")
@example("# a")
@example("---")
def test_any_text_on_a_line_of_its_own_is_a_paragraph(text):
    tokens = READER.parse(f"above\n\n{prose(text)}\n\nbelow\n\nabove\n{prose(text)}")
    kinds = {token.type for token in tokens}
    assert kinds == {"paragraph_open", "inline", "paragraph_close"}


@pytest.mark.parametrize(
    ("text", "markdown_"),
    [("- a", "&#45; a"), ("+", "&#43;"), ("---", "--&#45;"), ("12. a", "12&#46; a"), ("1.5 a", "1.5 a"), ("-a", "-a")],
)
def test_what_would_begin_a_list_or_a_rule_is_escaped(text, markdown_):
    assert prose(text) == markdown_
