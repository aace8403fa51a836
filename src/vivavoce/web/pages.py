"""Pages from templates, and what all of them have in common."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from vivavoce import __version__
from vivavoce.core.event import Millis
from vivavoce.web.telling import answer, because, ending, pretty, reason, told, why

HERE = Path(__file__).parent
STATIC = HERE / "static"
THEMES = ("light", "dark")

SAID: Mapping[str, str] = {
    "saved": "Saved.",
    "deleted": "Deleted.",
    "promoted": "This version is main now.",
    "cancelled": "Stopped.",
    "started": "Started.",
    "restored": "Restored.",
    "sent": "Sent.",
    "paused": "It rests until it is resumed.",
    "resumed": "It goes on.",
}
"""What a page may say about what was just done, by the word that stands in its address: no other text is taken from
there, or anybody could put words on a page."""


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation; it is lit on pages whose paths begin with one of ``under``."""

    name: str
    path: str
    icon: str
    under: tuple[str, ...]


PLACES = (
    Place("Home", "/", "home", ()),
    Place("Suites", "/ui/suites", "suites", ("/ui/suites", "/ui/tests")),
    Place("Runs", "/ui/runs", "runs", ("/ui/runs", "/ui/compare")),
    Place("Batches", "/ui/batches", "batches", ("/ui/batches",)),
    Place("Assistants", "/ui/assistants", "assistants", ("/ui/assistants", "/ui/chat")),
    Place("Conversations", "/ui/conversations", "conversations", ("/ui/conversations",)),
    Place("Insights", "/ui/insights", "insights", ("/ui/insights",)),
    Place("Schedules", "/ui/schedules", "schedules", ("/ui/schedules", "/ui/scheduled")),
    Place("Inbox", "/ui/inbox", "inbox", ("/ui/inbox",)),
    Place("Settings", "/ui/settings", "settings", ("/ui/settings",)),
)


class Pages:
    """Renders templates. They are read once and escape everything that is put into them."""

    def __init__(self) -> None:
        self._environment = _environment()

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page, or a piece of one."""
        return HTMLResponse(self.text(request, template, **values), status)

    def text(self, request: Request, template: str, **values: Any) -> str:
        """The same as a text."""
        theme = request.cookies.get("viva_theme", "")
        common = {
            "visitor": getattr(request.state, "visitor", None),
            "path": request.url.path,
            "query": dict(request.query_params),
            "theme": theme if theme in THEMES else "",
            "said": SAID.get(request.query_params.get("said", ""), ""),
        }
        return self._environment.get_template(template).render({**common, **values})

    def trouble(self, request: Request, status: int, title: str, detail: str) -> HTMLResponse:
        """A page that says what went wrong."""
        return self.render(request, "trouble.html", status, title=title, detail=detail, code=status)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "iso": iso,
        "when": when,
        "clock": clock,
        "took": took,
        "percent": percent,
        "number": number,
        "part": part,
        "money": money,
    }
    shared: dict[str, Any] = made.globals  # pyright: ignore[reportAssignmentType]  # theirs are some of all
    shared.update(version=__version__, asset=_asset, places=PLACES, address=address)
    shared.update(tell=told, pretty=pretty, ending=ending, answer_of=answer, reason=reason, why=why, because=because)
    return made


def _asset(name: str) -> str:
    """The address of a file of ours, which changes with what is in it."""
    found = _assets.get(name)
    if found is None:
        found = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
        _assets[name] = found
    return f"/ui/static/{name}?{found}"


_assets: dict[str, str] = {}


def address(path: str, /, **given: Any) -> str:
    """A path with a query of what is not None or empty."""
    query = urlencode({name: value for name, value in given.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path


def part(value: Any) -> str:
    """A text as one part of a path."""
    return quote(str(value), safe="")


def iso(at: Millis) -> str:
    """A moment for machines."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def when(at: Millis) -> str:
    """A moment for people: the day and the minute, in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def clock(ms: Millis) -> str:
    """A place in a conversation: minutes, seconds, tenths."""
    minutes, rest = divmod(max(ms, 0), 60_000)
    return f"{minutes}:{rest / 1000:04.1f}"


def took(ms: float | None) -> str:
    """A length of time in the unit that fits it; a dash for none."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def percent(share: float | None) -> str:
    """A share of 1; a dash for none. Only all of it is 100 %, and only nothing is 0 %."""
    if share is None:
        return "–"
    whole = round(share * 100)
    if whole == 100 and share < 1:
        return "99 %"
    if whole == 0 and share > 0:
        return "1 %"
    return f"{whole} %"


def number(value: float | None) -> str:
    """A figure with its thousands told apart; a dash for none."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def money(micros: int) -> str:
    """Millionths of the currency of the prices: as many digits as small sums need."""
    whole = micros / 1_000_000
    return f"{whole:,.2f}" if whole >= 1 else f"{whole:.4f}".rstrip("0").rstrip(".")
