"""Somebody's account at a provider, asked over HTTP. What comes back is not trusted: it is read with care."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from vivavoce.importing.provider import Down, KeyRefused, Unknown, Unusable
from vivavoce.outbound.fetch import Session, Unreachable, fetch
from vivavoce.outbound.guard import Refused

TIMEOUT_S = 20.0
MAX_BYTES = 8 * 1024 * 1024
MOST = 1000
"""How many assistants are listed at most; who has more names those that are wanted."""

_HUGE = 10**15
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}|]+?)\s*(\|[^{}]*)?\}\}")

Names = Sequence[tuple[str, str]]
"""How a provider's variables are called here: patterns of whole names, and what stands in their place."""


@dataclass(frozen=True, slots=True)
class Account:
    """``headers`` hold the key."""

    session: Session
    base_url: str
    headers: Mapping[str, str]
    names: Names


async def ask(account: Account, path: str, query: Mapping[str, str | int] | None = None, *, method: str = "GET") -> Any:
    """The JSON that the provider answers, with the variables in it called as they are called here.

    Raises ``KeyRefused``, ``Unknown`` for a 404, and ``Down``.
    """
    url = account.base_url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
    headers = {"accept": "application/json", **account.headers}
    body = None
    if method == "POST":
        headers, body = {**headers, "content-type": "application/json"}, b"{}"
    try:
        answer = await fetch(
            account.session, method, url, headers=headers, body=body, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES
        )
    except (Unreachable, Refused) as failure:
        raise Down(str(failure)) from failure
    if answer.status in (401, 403):
        raise KeyRefused
    if answer.status in (400, 404, 422):
        raise Unknown(f"it answers with status {answer.status}")
    if not 200 <= answer.status < 300:
        raise Down(f"it answers with status {answer.status}")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as failure:
        raise Down("its answer is not JSON") from failure
    return _renamed(found, account.names)


async def ask_part(account: Account, path: str, query: Mapping[str, str | int] | None = None) -> Any:
    """The same for something that an assistant uses; raises ``Unusable`` where it is not there."""
    try:
        return await ask(account, path, query)
    except Unknown as failure:
        raise Unusable("something that it uses is not there") from failure


def renamed(template: str, names: Names) -> str:
    """The template with the variables in it called as they are called here."""
    return _PLACEHOLDER.sub(lambda found: _placeholder(found, names), template)


def _renamed(root: Any, names: Names) -> Any:
    """The same, in place. Not recursive: how deep an answer is nested is not ours to choose."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        pairs: list[tuple[Any, Any]] = []
        if isinstance(node, dict):
            pairs = list(cast("dict[Any, Any]", node).items())
        elif isinstance(node, list):
            pairs = list(enumerate(cast("list[Any]", node)))
        for key, value in pairs:
            if isinstance(value, str):
                node[key] = renamed(value, names)
            else:
                waiting.append(value)
    return root


def _placeholder(found: re.Match[str], names: Names) -> str:
    for pattern, here in names:
        name = re.fullmatch(pattern, found[1])
        if name:
            if here.startswith("{{"):
                return name.expand(here)
            return f"{{{{{name.expand(here)}{' ' + found[2].rstrip() if found[2] else ''}}}}}"
    return found[0]


def at(node: Any, *path: str) -> Any:
    """What is found at the end of a path of keys, or None."""
    for key in path:
        node = cast("Mapping[str, Any]", node).get(key) if isinstance(node, dict) else None
    return node


def text(node: Any, *path: str) -> str:
    """A text, or the empty one."""
    found = at(node, *path)
    return found if isinstance(found, str) else ""


def number(node: Any, *path: str) -> float | None:
    """A number that can be reckoned with, or None: some that JSON can write are too large, or read as infinity."""
    found = at(node, *path)
    usable = isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < _HUGE
    return found if usable else None


def table(node: Any, *path: str) -> dict[str, Any]:
    """An object, or an empty one."""
    found = at(node, *path)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def objects(node: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of a list."""
    found = at(node, *path)
    everything = cast("list[Any]", found) if isinstance(found, list) else []
    return [cast("dict[str, Any]", one) for one in everything if isinstance(one, dict)]


def texts(node: Any, *path: str) -> list[str]:
    """The texts of a list."""
    found = at(node, *path)
    return [one for one in cast("list[Any]", found) if isinstance(one, str)] if isinstance(found, list) else []


def few(ids: Sequence[str]) -> None:
    """Raises ``Unusable`` where there are too many to import all of them."""
    if len(ids) > MOST:
        raise Unusable(f"There are more than {MOST} assistants: name those that are wanted.")
