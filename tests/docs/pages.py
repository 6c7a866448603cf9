"""Read the project's Markdown: its pages, their fenced blocks, inline code, links and anchors."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
DECISIONS: Final = tuple(sorted((DOCS / "decisions").glob("0*.md")))
PAGES: Final = tuple(sorted({*ROOT.glob("*.md"), *DOCS.rglob("*.md")}))
_PARSER: Final = MarkdownIt("commonmark").enable("table")

sys.path.insert(0, str(DOCS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block: its language, its text, and the page and line (from 1) that it begins at."""

    language: str
    text: str
    page: Path
    line: int

    def __str__(self) -> str:
        """Name the block in the name of a test."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def text_of(page: Path) -> str:
    """The page as its reader sees it: with the reference of the command line in the place of its marker."""
    from command_reference import PAGE, with_reference

    text = page.read_text("utf-8")
    return with_reference(text) if page == DOCS / f"{PAGE}.md" else text


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of these languages, of all pages."""
    return [
        Block(language=token.info.split()[0], text=token.content, page=page, line=token.map[0] + 1 if token.map else 0)
        for page in PAGES
        for token in _PARSER.parse(page.read_text("utf-8"))
        if token.type == "fence" and token.info.split()[:1] and token.info.split()[0] in languages
    ]


def inline_code(page: Path) -> Iterator[str]:
    """The texts between backticks."""
    return (token.content for token in _inline(page.read_text("utf-8")) if token.type == "code_inline")


def links(page: Path) -> Iterator[str]:
    """The targets of links and images that lead to files of ours."""
    for token in _inline(text_of(page)):
        target = token.attrGet("href") or token.attrGet("src")
        if isinstance(target, str) and not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, as GitHub makes them."""
    found: set[str] = set()
    tokens = _PARSER.parse(text_of(page))
    for opened, inside in pairwise(tokens):
        if opened.type == "heading_open":
            words = "".join(child.content for child in inside.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            number = sum(1 for each in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", each))
            found.add(f"{slug}-{number}" if slug in found else slug)
    return found


def _inline(text: str) -> Iterator[Token]:
    for token in _PARSER.parse(text):
        yield from token.children or ()
