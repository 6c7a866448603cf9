"""Templates fail closed: a value that nobody spelt for the language is not rendered."""

import re

import pytest
from hostile import TEXTS
from hypothesis import given
from jinja2 import TemplateAssertionError, UndefinedError
from markdown_it import MarkdownIt
from markupsafe import Markup

from mbexport.escaping.templates import markdown_templates, source_templates

BUNDLES = ("mbexport.bundles.ios", "mbexport.bundles.android", "mbexport.bundles.web")
SWIFT = source_templates(BUNDLES[0], "swift")
MARKDOWN = markdown_templates(BUNDLES[0])


@pytest.mark.parametrize("value", ["plain", "0; evil()", 1.5, None, True, Markup("x"), ["a"]])
def test_source_code_takes_no_value_that_is_not_spelt(value):
    with pytest.raises(TypeError, match="must spell each value by a filter of its language"):
        SWIFT.from_string("let x = {{ x }}").render(x=value)
    with pytest.raises(TypeError):
        SWIFT.from_string("let x = {{ 'a' if x == 1 else x }}").render(x=value)


def test_source_code_by_hand():
    template = SWIFT.from_string("let x = {{ x | swift }}, n = {{ [1, 2] | length }}, d = {{ d | double }}")
    assert template.render(x='"', d=1) == 'let x = "\\"", n = 2, d = 1.0'


def test_a_language_has_no_filter_of_another():
    for language, word in (("swift", "ruby"), ("ruby", "swift"), ("kotlin", "ruby"), ("ruby", "kotlin")):
        with pytest.raises(TemplateAssertionError, match=f"No filter named '{word}'"):
            source_templates(BUNDLES[0], language).from_string(f"{{{{ x | {word} }}}}")


@pytest.mark.parametrize("environment", [SWIFT, MARKDOWN])
def test_a_name_that_nobody_gave_is_an_error(environment):
    with pytest.raises((UndefinedError, TypeError)):
        environment.from_string("{{ missing }}").render()


@given(TEXTS)
def test_markdown_shows_any_text_as_it_is(text):
    page = MARKDOWN.from_string("a {{ x }} b\n\n{{ x }}\n\n| h |\n|---|\n| {{ x }} |\n| {{ x | code }} |\n").render(
        x=text
    )
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    kinds = [token.type for token in tokens if token.nesting >= 0 and token.type != "inline"]
    is_shown = any(not char.isspace() for char in text)
    paragraphs = ["paragraph_open"] * (2 if is_shown else 1)
    rows = ["table_open", "thead_open", "tr_open", "th_open", "tbody_open", "tr_open", "td_open", "tr_open", "td_open"]
    assert kinds == [*paragraphs, *rows]
    inside = {each.type for token in tokens for each in token.children or () if each.type != "html_inline"}
    assert inside <= {"text", "code_inline"}
    assert set(re.findall(r"<[^>]*>", page)) <= {"<code>", "</code>"}


@given(TEXTS)
def test_a_fenced_block_ends_where_its_template_says(text):
    template = "```kotlin\n{{ x | kotlin | fenced }} // {{ x | comment | fenced }}\n```\nafter\n"
    fence, *others = MarkdownIt("commonmark").parse(MARKDOWN.from_string(template).render(x=text))
    assert (fence.type, fence.info, fence.content.count("\n")) == ("fence", "kotlin", 1)
    assert [token.type for token in others] == ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("word", ["x | fenced", "x | code | fenced", "x | string | fenced"])
def test_a_fenced_block_takes_literals_alone(word):
    with pytest.raises(TypeError, match="must hold what a filter of its language gave"):
        MARKDOWN.from_string(f"{{{{ {word} }}}}").render(x="plain")
