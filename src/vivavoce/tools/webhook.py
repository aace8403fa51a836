"""Calling a webhook tool: the model's arguments become one HTTP request, its answer becomes text and variables.

The rules are those of section 3 of the assistants contract.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from vivavoce.assistant.offer import offered_parameters, property_schemas
from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.variables import as_text, render
from vivavoce.core.tool import WebhookTool
from vivavoce.outbound.answer import json_of, text_of
from vivavoce.outbound.fetch import Fetched, Session, Unreachable, fetch
from vivavoce.outbound.guard import Refused
from vivavoce.tools.arguments import mismatch

MODEL_READS = 64 * 1024
"""Characters of an answer that the model is given; the rest is cut, and the cut is told."""

MAX_BYTES = 1024 * 1024
"""Bytes of an answer that are read at all."""

_BODILESS = ("GET", "HEAD")
_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


class _Unusable(Exception):
    """The request cannot be put together; the message is for the model."""


async def call_webhook(
    session: Session, tool: WebhookTool, arguments: Mapping[str, Any], *, key: str, variables: Mapping[str, str]
) -> ToolOutput:
    """Call the tool once. ``key`` goes along as ``Idempotency-Key`` except with GET. Never raises for what
    the other side, the network or the model does: the output then says what went wrong."""
    wrong = mismatch(offered_parameters(tool), arguments)
    if wrong is not None:
        return ToolOutput(f"The tool was not called, because its arguments do not fit: {wrong}", ok=False)
    method = tool.method.upper()
    try:
        url = _url(tool, arguments, variables)
        body = None if method in _BODILESS else _body(tool, arguments, variables)
        if method == "DELETE" and not body:
            body = None
        fetched = await fetch(
            session,
            method,
            url,
            headers=_headers(tool, variables, has_body=body is not None, key=None if method in _BODILESS else key),
            body=None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace"),
            timeout_s=tool.timeout_ms / 1000,
            max_bytes=MAX_BYTES,
        )
    except _Unusable as error:
        return ToolOutput(f"The tool was not called: {error}.", ok=False)
    except Refused:
        return ToolOutput("The tool was not called: its address may not be called from here.", ok=False)
    except Unreachable as error:
        return ToolOutput(_failure(error, tool.timeout_ms), ok=False)
    return _output(tool, fetched)


def _url(tool: WebhookTool, arguments: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    # Variables first: what the model fills in must never be read as a template.
    path_names = property_schemas(tool.path_parameters)

    def filled(place: re.Match[str]) -> str:
        name = place[1]
        if name not in path_names:
            return place[0]
        text = as_text(arguments.get(name))
        if not text.strip("."):  # dots would leave the folder, and nothing at all would name another resource
            raise _Unusable(f"its address needs a value for {name}")
        return quote(text, safe="", errors="replace")

    url = _PLACEHOLDER.sub(filled, render(tool.url, variables))
    fixed = {name for name, _ in parse_qsl(_query_of(url), keep_blank_values=True)}
    hidden = fixed | set(tool.preset_query)
    pairs = [
        *_pairs(
            (n, arguments[n]) for n in property_schemas(tool.query_parameters) if n in arguments and n not in hidden
        ),
        *_pairs(_rendered(tool.preset_query, variables).items()),
    ]
    if not pairs:
        return url
    base, hash_, fragment = url.partition("#")
    return base + ("&" if "?" in base else "?") + urlencode(pairs, quote_via=quote, errors="replace") + hash_ + fragment


def _query_of(url: str) -> str:
    try:
        return urlsplit(url).query
    except ValueError:
        raise _Unusable("its address is not a URL") from None


def _pairs(items: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """A list is the same name several times, a null is left out."""
    found: list[tuple[str, str]] = []
    for name, value in items:
        values: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
        found += [(name, as_text(each)) for each in values if each is not None]
    return found


def _body(tool: WebhookTool, arguments: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """What the body's schema names, and what no schema names where the tool has a body at all."""
    elsewhere = {*property_schemas(tool.path_parameters), *property_schemas(tool.query_parameters)}
    here = property_schemas(tool.body_parameters)
    chosen = {
        name: value
        for name, value in arguments.items()
        if name in here or (tool.body_parameters is not None and name not in elsewhere)
    }
    return chosen | _rendered(tool.preset_body, variables)


def _headers(tool: WebhookTool, variables: Mapping[str, str], *, has_body: bool, key: str | None) -> dict[str, str]:
    """The author's headers win over ours, whatever the case of their letters."""
    headers = {"accept": "application/json, text/*;q=0.9, */*;q=0.5"}
    if has_body:
        headers["content-type"] = "application/json"
    if key is not None:
        headers["idempotency-key"] = key
    return headers | {header.name.lower(): render(header.value, variables) for header in tool.headers}


def _rendered(values: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    def deep(value: Any) -> Any:
        if isinstance(value, str):
            return render(value, variables)
        if isinstance(value, Mapping):
            return {name: deep(each) for name, each in cast("Mapping[str, Any]", value).items()}
        if isinstance(value, list | tuple):
            return [deep(each) for each in cast("list[Any]", value)]
        return value

    return {name: deep(value) for name, value in values.items()}


def _output(tool: WebhookTool, fetched: Fetched) -> ToolOutput:
    text = text_of(fetched)
    if len(text) > MODEL_READS:
        text = f"{text[:MODEL_READS]}\n[cut: the answer has {len(text)} characters]"
    if not 200 <= fetched.status < 300:
        said = f" It answered: {text}" if text else ""
        return ToolOutput(f"The tool failed with HTTP status {fetched.status}.{said}", False, fetched.status)
    return ToolOutput(text, True, fetched.status, variables=_stored(tool, fetched))


def _stored(tool: WebhookTool, fetched: Fetched) -> dict[str, str]:
    """The fields to keep that are there; an answer that is not JSON has none."""
    if not tool.stored:
        return {}
    try:
        answer = json_of(fetched)
    except ValueError:
        return {}
    found = {field.name: _at(answer, field.path.split(".")) for field in tool.stored}
    return {name: as_text(value) for name, value in found.items() if value is not None}


def _at(value: Any, path: Iterable[str]) -> Any:
    for step in path:
        if isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(step)
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 10:
            items = cast("list[Any]", value)
            value = items[int(step)] if int(step) < len(items) else None
        else:
            return None
    return value


def _failure(error: Unreachable, timeout_ms: int) -> str:
    if error.kind == "timeout":
        return f"The tool did not answer within {timeout_ms / 1000:g} seconds."
    if error.kind == "too_large":
        return "The tool answered with more than can be read."
    if error.kind == "connect":
        return "The tool cannot be reached."
    return f"The tool could not be called: {error}."
