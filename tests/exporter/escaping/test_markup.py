"""Text in XML and HTML, as real parsers read it."""

from html.parser import HTMLParser

import pytest
from defusedxml import ElementTree
from hostile import TEXTS
from hypothesis import given

from mbexport.escaping.characters import is_hidden
from mbexport.escaping.markup import clean, escaped


class Reader(HTMLParser):
    """What a document holds: its tags with their attributes, its comments and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags, self.text, self.others = [], "", []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.others.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a & b <c>", "a &amp; b &lt;c&gt;"),
        ('"]]>', "&quot;]]&gt;"),
        ("it's", "it's"),
        ("a\x1b\x9b\u202e\uffff\ud800b", "a\ufffd\ufffd\ufffd\ufffd\ufffdb"),
        ("a\tb\nc", "a\tb\nc"),
    ],
)
def test_a_text_by_hand(text, written):
    assert escaped(text) == written


def as_read(text: str) -> str:
    """XML 1.0, section 2.11: readers make one line feed of each line end."""
    return clean(text).replace("\r\n", "\n").replace("\r", "\n")


@given(TEXTS)
def test_xml_holds_any_text_and_nothing_else(text):
    document = f'<a b="{escaped(text)}">{escaped(text)}</a>'.encode()
    element = ElementTree.fromstring(document)
    assert (element.tag, list(element), set(element.attrib)) == ("a", [], {"b"})
    assert (element.text or "") == as_read(text)
    assert element.attrib["b"] == as_read(text).replace("\n", " ").replace("\t", " ")  # section 3.3.3


@given(TEXTS)
def test_html_holds_any_text_and_nothing_else(text):
    read = Reader(f'<p title="{escaped(text)}">{escaped(text)}</p>')
    assert (read.tags, read.text, read.others) == ([("p", {"title": clean(text)})], clean(text), [])
    assert not any(is_hidden(char) and char not in "\t\n\r" for char in read.text)
