"""The words of an HTML page. Pure, and never slow: pages come from anywhere.

The standard library's parser takes hours over some short pages, and fails on others.
"""

import re
from html import unescape

_SKIPPED = frozenset({"script", "style", "template", "noscript", "svg", "head"})
_RAW = frozenset({"script", "style"})
"""Tags within these are none, but for the one that ends them."""
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li "
        "main nav ol p pre section table td th tr ul",
    )
)
_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
# Possessive: where a tag has no end the rest of the page is one, and is not looked through again.
_REST = re.compile(r"(?:[^>=]|=\s*(?:\"[^\"]*\"|'[^']*'|))*+>")
_SPACE = re.compile(r"\s+")


def words_of(page: str) -> str:
    """The words of a page, one paragraph for each of its blocks."""
    parts: list[str] = []
    place, skipping = 0, 0
    while place < len(page):
        opens = page.find("<", place)
        end = len(page) if opens < 0 else opens
        if end > place and not skipping:
            parts.append(_SPACE.sub(" ", _readable(page[place:end])))
        if opens < 0:
            break
        place, name = _tag(page, opens)
        if name == "<":
            parts += [] if skipping else ["<"]
        elif name.removeprefix("/") in _SKIPPED:
            if not name.startswith("/"):
                skipping += 0 if name == "svg" and page.endswith("/>", opens, place) else 1
                place = _raw_end(page, place, name) if name in _RAW else place
            else:
                skipping = max(0, skipping - 1)
        elif name == "body":
            skipping = 0  # a head may be left open
        elif name.removeprefix("/") in _BLOCKS:
            parts.append("\n")
    lines = (line.strip() for line in "".join(parts).split("\n"))
    return "\n\n".join(line for line in lines if line)


def _tag(page: str, opens: int) -> tuple[int, str]:
    """Where the tag ends, and its name, with a slash where it ends something; ``<`` where there is no tag, and no name
    for a comment and the like."""
    if page.startswith("<!--", opens):
        return _behind(page, "-->", opens + 4), ""
    if page.startswith(("<!", "<?"), opens):
        return _behind(page, ">", opens), ""
    named = _NAME.match(page, opens)
    if named is None:
        return (_behind(page, ">", opens), "") if page.startswith("</", opens) else (opens + 1, "<")
    rest = _REST.match(page, named.end())
    slash = "/" if page.startswith("</", opens) else ""
    return (rest.end() if rest else len(page)), slash + named[1].lower()


def _behind(page: str, what: str, start: int) -> int:
    found = page.find(what, start)
    return len(page) if found < 0 else found + len(what)


def _raw_end(page: str, start: int, name: str) -> int:
    found = re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE).search(page, start)
    return found.start() if found else len(page)


def _readable(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # a character whose number has thousands of digits
        return text
