"""Configure Sphinx: the pages of docs/ as a site that needs no network to build or to read."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parent))

from command_reference import PAGE, with_reference

from mbexport import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "mbexport"
version = release = __version__
html_title = f"mbexport {__version__}"
html_theme = "furo"  # system fonts, no script or style from elsewhere
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3  # the anchors that GitHub gives headings
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
nitpicky = True
smartquotes = False  # two dashes begin an option
suppress_warnings = ["misc.highlighting_failure"]  # ${{ … }} in YAML is GitHub's, and no token of Pygments


# Pages whose text lies in the root of the checkout, where people look for it first.
ROOT_PAGES: Final = {"architecture": "ARCHITECTURE.md", "contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}


def setup(app: "Sphinx") -> None:
    """Let pages whose text lies elsewhere be read from there, whatever is in the cache of an earlier build."""
    app.connect("source-read", _read_elsewhere)
    app.connect("env-get-outdated", lambda *_: [PAGE, *ROOT_PAGES])


def _read_elsewhere(_app: "Sphinx", name: str, source: list[str]) -> None:
    if name == PAGE:
        source[0] = with_reference(source[0])
    elif name in ROOT_PAGES:
        source[0] = _moved(Path(__file__).parents[1].joinpath(ROOT_PAGES[name]).read_text("utf-8"))


def _moved(text: str) -> str:
    """The text of a file in the root with links that hold in docs/."""
    for page, file in ROOT_PAGES.items():
        text = text.replace(f"]({file})", f"]({page}.md)")
    return text.replace("](docs/", "](")
