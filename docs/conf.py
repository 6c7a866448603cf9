"""Configure Sphinx: the pages of docs/ as a site that needs no network to build or to read."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

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
exclude_patterns = ["images/README.md"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3  # the anchors that GitHub gives headings
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
nitpicky = True
smartquotes = False  # two dashes begin an option
suppress_warnings = ["misc.highlighting_failure"]  # ${{ … }} in YAML is GitHub's, and no token of Pygments


def setup(app: "Sphinx") -> None:
    """Let the reference of the command line be written into its page before that is parsed."""
    app.connect("source-read", _insert_reference)
    app.connect("env-get-outdated", lambda *_: [PAGE])  # the commands may have changed though the page has not


def _insert_reference(_app: "Sphinx", name: str, source: list[str]) -> None:
    if name == PAGE:
        source[0] = with_reference(source[0])
