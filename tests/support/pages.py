"""Somebody who looks at the dashboard without a browser, and what every page has to be whatever it shows."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import httpx

from tests.support.store import ORG
from vivavoce.core.scope import Scope
from vivavoce.services import keys
from vivavoce.services.context import Context
from vivavoce.storage import orgs
from vivavoce.storage.database import Tx
from vivavoce.storage.orgs import Organisation
from vivavoce.web.application import application
from vivavoce.web.gate import Gate
from vivavoce.web.visitor import COOKIE, csrf_of

BASE = "http://viva.test"
EVIL = "<script>alert('x')</script><b onclick=\"y\">&amp;"
"""A text that must never be taken for anything but a text."""
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "rect", "path", "circle", "use", "line", "polyline"})
_WITHIN_WORDS = frozenset({"a", "code", "del", "em", "i", "ins", "mark", "small", "span", "strong", "time"})
_NEED_LABELS = frozenset({"input", "select", "textarea"})


@dataclass
class Element:
    """One element of a page. ``words`` are those in it and below, each from the text of one place."""

    tag: str
    attributes: dict[str, str]
    inside: list["Element"] = field(default_factory=list["Element"])
    words: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        """All that is written in it, with single spaces."""
        return " ".join("".join(self.words).split())

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        """The elements below it of this kind with these attributes (``data_x`` for ``data-x``, ``class_`` holds one
        of its classes)."""
        found: list[Element] = []
        for one in self.inside:
            if one.tag == tag and all(one.has(name, value) for name, value in attributes.items()):
                found.append(one)
            found += one.all(tag, **attributes)
        return found

    def one(self, tag: str, **attributes: str) -> "Element":
        """The only one of these."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} of {tag} {attributes}"
        return found[0]

    def has(self, name: str, value: str) -> bool:
        """Whether it has this attribute."""
        if name == "class_":
            return value in self.attributes.get("class", "").split()
        return self.attributes.get(name.replace("_", "-")) == value


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"an attribute of {tag} stands there twice"
        made = Element(tag, given)
        self.open[-1].inside.append(made)
        self._part(tag)
        if tag not in _VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> where <{self.open[-1].tag}> is open"
        self.open.pop()
        self._part(tag)

    def _part(self, tag: str) -> None:
        """Elements of their own stand apart from the words around them."""
        if tag not in _WITHIN_WORDS:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for one in self.open:
            one.words.append(data)


@dataclass
class Page:
    """What came back. ``root`` is what a browser would make of it."""

    status: int
    headers: httpx.Headers
    body: str
    root: Element

    @property
    def main(self) -> Element:
        """What the page itself shows, without the frame."""
        return self.root.one("main")

    @property
    def text(self) -> str:
        """What is written there."""
        return self.main.text

    @property
    def there(self) -> str:
        """Where it sends the reader."""
        assert self.status == 303, (self.status, self.root.text)
        return self.headers["location"]

    def link(self, words: str) -> str:
        """Where the first link of the page with these words leads."""
        return next(one.attributes["href"] for one in self.main.all("a") if one.text == words)

    def links(self) -> list[str]:
        """Where all links of the page lead."""
        return [one.attributes["href"] for one in self.main.all("a")]

    def fields(self, action: str) -> dict[str, str | list[str]]:
        """What the form to this address would send as it stands, but for the token and the button."""
        form = next(one for one in self.main.all("form") if one.attributes.get("action") == action)
        sent: list[tuple[str, str]] = []
        for one in form.all("input") + form.all("textarea") + form.all("select"):
            name, kind = one.attributes.get("name", ""), one.attributes.get("type", "")
            if one.tag == "select":
                options = one.all("option")
                chosen = next((option for option in options if "selected" in option.attributes), options[0])
                sent.append((name, chosen.attributes.get("value", chosen.text)))
            elif one.tag == "textarea":
                # Browsers drop the line break that a text begins with there.
                sent.append((name, "".join(one.words).removeprefix("\n")))
            elif kind not in ("checkbox", "radio") or "checked" in one.attributes:
                sent.append((name, one.attributes.get("value", "")))
        found: dict[str, str | list[str]] = {}
        for name in dict.fromkeys(name for name, _ in sent if name not in ("", "csrf")):
            values = [value for other, value in sent if other == name]
            found[name] = values[0] if len(values) == 1 else values
        return found


def read(body: str) -> Element:
    """What a browser would make of this."""
    reader = _Reader()
    reader.feed(body)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is never closed"
    return reader.root


def check(root: Element) -> None:
    """What holds for every page: it can be read by everybody, and nothing in it runs or paints that came from outside
    of the server's own files."""
    elements = _flat(root)
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    assert len(ids) == len(set(ids)), f"an id stands there twice: {sorted(ids)}"
    labelled = {one.attributes["for"] for one in elements if one.tag == "label" and "for" in one.attributes}
    inside = [one for label in elements if label.tag == "label" for one in _flat(label)]
    for one in elements:
        attributes = one.attributes
        assert not any(name == "style" or name.startswith(("on", "hx-on")) for name in attributes), (
            one.tag,
            attributes,
        )
        assert one.tag != "style"
        if one.tag == "script":
            assert attributes["src"].startswith("/ui/static/")
            assert not one.text
        if one.tag in _NEED_LABELS and attributes.get("type") not in ("hidden", "submit"):
            named = (
                attributes.get("id") in labelled or "aria-label" in attributes or any(one is other for other in inside)
            )
            assert named, f"a field without a label: {attributes}"
        if "aria-describedby" in attributes:
            assert set(attributes["aria-describedby"].split()) <= set(ids), f"it describes nothing: {attributes}"
        if one.tag == "th":
            assert attributes.get("scope") in ("col", "row"), f"a heading of nothing: {one.text}"
        if one.tag == "form" and attributes.get("method", "get") == "post" and attributes["action"] != "/login":
            assert one.all("input", name="csrf"), f"a form without a token: {attributes['action']}"
        if one.tag in ("a", "button"):
            assert one.text or "aria-label" in attributes, f"nothing says what it does: {attributes}"
        if one.tag == "a":
            assert not re.match(r"\s*(javascript|data):", attributes.get("href", ""), re.IGNORECASE), attributes
    levels = [int(one.tag[1]) for one in elements if re.fullmatch(r"h[1-6]", one.tag)]
    assert levels[:1] == [1], levels
    assert levels.count(1) == 1, levels
    assert all(later <= before + 1 for before, later in pairwise(levels)), levels


def _flat(root: Element) -> list[Element]:
    return [one for child in root.inside for one in (child, *_flat(child))]


@dataclass
class Person:
    """Somebody with a browser without JavaScript, logged in or not; pages are checked as they come."""

    http: httpx.AsyncClient

    @property
    def csrf(self) -> str:
        """The token that their forms carry."""
        return csrf_of(self.http.cookies.get(COOKIE) or "")

    async def get(self, path: str, /, *, headers: Any = None, **query: Any) -> Page:
        """Open a page."""
        given = {name.rstrip("_"): value for name, value in query.items()}
        return _page(await self.http.get(path, params=given or None, headers=headers))

    async def post(
        self,
        path: str,
        fields: Mapping[str, Any] | None = None,
        /,
        *,
        headers: dict[str, str] | None = None,
        csrf: str | None = None,
        **more: Any,
    ) -> Page:
        """Send a form, with the token where no other is given; a list sends a field several times, None not at all."""
        given = {**(fields or {}), **{name.rstrip("_"): value for name, value in more.items()}}
        sent = {name: value for name, value in given.items() if value is not None}
        sent["csrf"] = self.csrf if csrf is None else csrf
        return _page(await self.http.post(path, data=sent, headers=headers))

    async def follow(self, page: Page) -> Page:
        """Go where the answer sends the reader."""
        return await self.get(page.there)


def _page(answer: httpx.Response) -> Page:
    body = answer.text
    is_page = body.lstrip().startswith("<!doctype html>")
    root = read(body) if is_page else Element("", {})
    if is_page:
        check(root)
    return Page(answer.status_code, answer.headers, body, root)


def dashboard(ctx: Context, max_body: int = 1_000_000) -> Gate:
    """The dashboard alone."""
    return application(ctx, max_body)


@asynccontextmanager
async def somebody(ctx: Context) -> AsyncGenerator[Person]:
    """Who has no session yet."""
    transport = httpx.ASGITransport(dashboard(ctx))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        yield Person(http)


async def a_key(ctx: Context, scope: Scope = Scope.ADMIN, org: str = ORG, name: str = "key") -> str:
    """The secret of a new key; its organisation is made where it is not there."""

    def work(tx: Tx) -> None:
        if orgs.find(tx, org) is None:
            orgs.add(tx, Organisation(org, org, ctx.clock.now()))

    await ctx.database.write(work)
    token = f"{name}-{scope.value}-{org}-{ctx.new_id()}"
    _, secret = await keys.create(ctx.database, ctx.clock, ctx.new_id, lambda _: token, name, org=org, scope=scope)
    return secret


@asynccontextmanager
async def logged_in(
    ctx: Context, scope: Scope = Scope.ADMIN, org: str = ORG, name: str = "key"
) -> AsyncGenerator[Person]:
    """Who logged in with a new key of this scope and organisation."""
    secret = await a_key(ctx, scope, org, name)
    async with somebody(ctx) as person:
        page = await person.post("/login", key=secret)
        assert page.there == "/"
        yield person
