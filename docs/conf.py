"""How the documentation becomes a site (``make docs``). Nothing is fetched, neither to build it nor to read it."""

import re
from typing import Any

from vivavoce import __version__

project = "Viva Voce"
author = "the authors of Viva Voce"
version = release = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
nitpicky = True

# The anchors that GitHub makes of headings, so that a link works there and here.
myst_heading_anchors = 5

html_theme = "furo"
html_title = f"Viva Voce {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
highlight_language = "text"
# Options are written with two dashes, also where no code is marked.
smartquotes = False

_PAGES = {
    "../CHANGELOG.md": "changes",
    "../CONTRIBUTING.md": "contributing",
    "../README.md": "index",
    "../SECURITY.md": "security",
    "../bench/README.md": "measurements",
}
"""Pages that are read in the repository too, and as what the site has them."""
_LINK = re.compile(r"\]\((?:\.\./)*(" + "|".join(re.escape(path.removeprefix("../")) for path in _PAGES) + r")(?=[#)])")
_RECORDS = "\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n"


def _linked(text: str) -> str:
    return _LINK.sub(lambda found: f"](/{_PAGES['../' + found[1]]}.md", text)


def _read(_app: Any, name: str, content: list[str]) -> None:
    if name == "decisions/README":
        content[0] += _RECORDS
    else:
        content[0] = _linked(content[0])


def _included(_app: Any, _path: Any, _name: str, content: list[str]) -> None:
    content[0] = _linked(content[0])


def setup(app: Any) -> None:
    """Have links that lead out of these pages lead to where the site has what they lead to."""
    app.connect("source-read", _read)
    app.connect("include-read", _included)
