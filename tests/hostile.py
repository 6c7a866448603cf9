"""Texts that try to become part of what they are written into: for every escaping of every language."""

from typing import Final

from hypothesis import strategies as st

# What ends a literal, a comment, a cell, a line or a document somewhere, runs inside one, or commands a terminal.
FRAGMENTS: Final = (
    *('"', "'", "\\", "`", "```\n", "'''", '"""', "%w(", "<<~X\n", "\n", "\r\n", "\r", "\u2028", "\u2029", "\x85"),
    *("\x1b[2J", "\x1b]0;x\x07", "\x1b]52;c;cm0=\x07", "\x07", "\x08", "\x7f", "\x9b31m", "\0", "\t", "\f"),
    *("\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\uffff", "\U000e0041", "\ud800", "\udcff"),
    *("*/", "/*", "//", "<!--", "-->", "]]>", "<![CDATA[", "<script>", "</script>", "&amp;", "&#0;", "<", ">"),
    *("${x}", "$x", "#{exit 3}", "#$0", "\\(x)", "\\u000a", "\\x41", "%0A", "%s", "{{ 7 * 7 }}", "{% raw %}", "{0}"),
    *("|", "[a](b)", "![a](b)", "*", "_", "~~", "# ", "- ", "1. ", "> ", "===", "--", "-x", "--help", "@user", "#1"),
    *(
        "::error::",
        "##[error]",
        "##vso[x]",
        "=begin\n",
        "__END__\n",
        "=",
        ":",
        "!",
        ";",
        "a",
        "b c",
        "\u00e9",
        "\u732b",
    ),
)
LONG: Final = "x" * 10_000
EXAMPLES: Final = (
    *("\x1b]0;x\x07", "\x1b]52;c;cm0=\x07", "a\n::error::b", "##[error]x", "\u202egnp.exe", "\udcff\ud800", LONG),
    *("\"'\\ #{exit 3} \\(x) ${x} `ls` {{ 7 * 7 }}", "]]><!-- --><script>alert(1)</script>&amp;", "*/ // /* \\u000a"),
    *("| a | [b](c) |", "```\nrm\n```", "0; evil()", "--help", "-x", "", " ", "\0", "\r\n# a", "=begin\nexit\n=end"),
)
TEXTS: Final = st.one_of(
    st.sampled_from(EXAMPLES),
    st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join),
    st.text(st.characters(exclude_categories=()), max_size=30),
)
