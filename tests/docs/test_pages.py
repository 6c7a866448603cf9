"""The pages hold together: links lead somewhere, decisions have one form, the site builds without a warning."""

import re
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from docs.pages import DECISIONS, DOCS, PAGES, ROOT, Block, anchors, blocks, inline_code, links

_LINE: Final = 120
_FENCED_LINE: Final = 86
# 0001 and the changelog speak of modules that are gone.
_PRESENT: Final = tuple(page for page in PAGES if page.name != "CHANGELOG.md" and not page.name.startswith("0001"))
_FORM: Final = ("Context", "Decision", "Alternatives", "Figures")
_WORDS_OF_README: Final = 1100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    """A relative link names a file, and its anchor a heading of that file."""
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_fit(page: Path) -> None:
    """No line is longer than 120 letters, but for rows of tables and fenced text, which cannot be broken."""
    lines = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S).splitlines()
    assert not [line for line in lines if len(line) > _LINE and not line.lstrip().startswith("|")]


@pytest.mark.parametrize("block", blocks("bash", "console", "text"), ids=str)
def test_fenced_lines_fit(block: Block) -> None:
    """No line of a command or a transcript is cut at the right on the site or on GitHub."""
    assert not [line for line in block.text.splitlines() if len(line) > _FENCED_LINE]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda page: page.name[:4])
def test_a_decision_has_the_form(decision: Path) -> None:
    """Title with its number, status, then context, decision, alternatives and figures, in that order."""
    text = decision.read_text("utf-8")
    assert text.startswith(f"# {decision.name[:4]} ")
    assert re.search(r"^Status: (accepted|superseded by \[\d{4}\]|accepted; )", text, re.M)
    assert tuple(re.findall(r"^## (.*)$", text, re.M)) == _FORM


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    """0001, 0002, ... and each has its row in the index."""
    numbers = [int(each.name[:4]) for each in DECISIONS]
    assert numbers[0] == 1
    assert all(second == first + 1 for first, second in pairwise(numbers))
    index = (DOCS / "decisions" / "index.md").read_text("utf-8")
    assert not [each.name for each in DECISIONS if f"]({each.name})" not in index]


def test_the_readme_stays_short() -> None:
    """Everything else lives in docs/."""
    text = re.sub(r"^```.*?^```", "", (ROOT / "README.md").read_text("utf-8"), flags=re.M | re.S)
    assert len(text.split()) < _WORDS_OF_README


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """As `make docs` builds it; and no page asks another server for anything."""
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-d", str(tmp_path / "doctrees")]
    result = subprocess.run([*command, str(DOCS), str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "site" / "command-line.html").read_text("utf-8")
    assert "mbexport rebuild" in page
    for made in (tmp_path / "site").rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]*)"', made.read_text("utf-8"))
        styled = re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]*)"', made.read_text("utf-8"))
        assert not [*fetched, *styled], made.name


@pytest.mark.parametrize("page", _PRESENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_a_page_names_exist(page: Path) -> None:
    """Paths and names of modules between backticks are those of today's tree."""
    for code in inline_code(page):
        if re.fullmatch(r"[\w./]+\.py|(exporter|models|calibration|tests|docker|docs)/[\w./]*", code):
            below = [ROOT, ROOT / "exporter", *([ROOT / "tests"] if code.startswith("test_") else [])]
            found = [folder / code for folder in below if (folder / code).exists()]
            assert found or ("/" not in code and code in _names_of_modules()), code


@cache
def _names_of_modules() -> set[str]:
    folders = (ROOT / "exporter", ROOT / "models", ROOT / "calibration", ROOT / "tests")
    return {path.name for folder in folders for path in folder.rglob("*.py")}
