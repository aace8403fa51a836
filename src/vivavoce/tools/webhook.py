"""Calling a webhook tool: the model's arguments become one HTTP request, its answer becomes text and variables.

The rules are those of section 3 of the assistants contract.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from vivavoce.assistant.offer import offered_parameters, property_schemas
from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.variables import as_text
from vivavoce.core.tool import WebhookTool
from vivavoce.outbound.answer import json_of, text_of
from vivavoce.outbound.fetch import Fetched, Session, Unreachable, fetch
from vivavoce.outbound.guard import Refused
from vivavoce.tools.arguments import mismatch
from vivavoce.tools.reach import ALONE, Reach
from vivavoce.tools.secrets import NoSecret, filled, hidden, opened

Fill = Callable[[str], str]
"""Fills a template."""

MODEL_READS = 64 * 1024
"""Characters of an answer that the model is given; the rest is cut, and the cut is told."""

MAX_BYTES = 1024 * 1024
"""Bytes of an answer that are read at all."""

SUBMITTED = "Submitted"
"""What the model is told of a call that goes on without it (contract, section 3)."""

_BODILESS = ("GET", "HEAD")
_LEAD = re.compile(r"\{\{\{?[^{}#/][^{}]*\}?\}\}|[^/?#]*//[^/?#]*")
_TAG_OR_SECTION = re.compile(r"(\{\{#.*?\{\{/[^{}]*\}\})|\{\{\{?[^{}]*\}?\}\}", re.DOTALL)
_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


class Unusable(Exception):
    """The request cannot be put together; the message is for the model."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is ready to go; names of headers are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


async def call_webhook(
    session: Session,
    tool: WebhookTool,
    arguments: Mapping[str, Any],
    *,
    key: str,
    variables: Mapping[str, str],
    reach: Reach = ALONE,
) -> ToolOutput:
    """Call the tool once. ``key`` goes along as ``Idempotency-Key`` except with GET. Never raises for what
    the other side, the network or the model does: the output then says what went wrong.

    A tool that is not waited for is told to be submitted when it has not answered in its time, and goes on; what it
    answers then is read by nobody.
    """
    wrong = mismatch(offered_parameters(tool), arguments)
    if wrong is not None:
        return ToolOutput(misfit(wrong), ok=False)
    try:
        secrets = await opened(templates(tool), reach)
        request = prepare(tool, arguments, variables, secrets, key, reach)
    except (Unusable, NoSecret) as error:
        return ToolOutput(uncalled(str(error)), ok=False)
    work = _exchange(session, tool, request, secrets)
    if tool.waits_ms is None or reach.background is None:
        return await work
    task = reach.background.start(work)
    done, _ = await asyncio.wait({task}, timeout=tool.waits_ms / 1000)
    return task.result() if done else ToolOutput(SUBMITTED, ok=True)


async def _exchange(session: Session, tool: WebhookTool, request: Request, secrets: Mapping[str, str]) -> ToolOutput:
    try:
        fetched = await send(session, request, tool.timeout_ms)
    except (Refused, Unreachable) as error:
        return ToolOutput(hidden(failure(error, tool.timeout_ms), secrets), ok=False)
    output = _output(tool, fetched)
    kept = {name: hidden(value, secrets) for name, value in output.variables.items()}
    return replace(output, text=hidden(output.text, secrets), variables=kept)


async def send(session: Session, request: Request, timeout_ms: int) -> Fetched:
    """Make the request. Raises ``Refused`` and ``Unreachable``."""
    return await fetch(
        session,
        request.method,
        request.url,
        headers=request.headers,
        body=request.body,
        timeout_s=timeout_ms / 1000,
        max_bytes=MAX_BYTES,
    )


def templates(tool: WebhookTool) -> tuple[Any, ...]:
    """Everything in it that may name secrets."""
    return tool.url, [header.value for header in tool.headers], tool.preset_query, tool.preset_body


def prepare(
    tool: WebhookTool,
    arguments: Mapping[str, Any],
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    key: str,
    reach: Reach = ALONE,
) -> Request:
    """The request for these arguments. Raises ``Unusable``."""

    def fill(template: str) -> str:
        return filled(template, variables, secrets)

    method = tool.method.upper()
    url = _url(tool, arguments, fill)
    given = None if method in _BODILESS else _body(tool, arguments, fill)
    if method == "DELETE" and not given:
        given = None
    body = None if given is None else json.dumps(given, ensure_ascii=False).encode(errors="replace")
    headers = _headers(tool, fill, has_body=body is not None, key=None if method in _BODILESS else key)
    # Signed last: a signature that an author could replace would say nothing.
    if reach.sign is not None:
        headers |= {name.lower(): value for name, value in reach.sign(body or b"").items()}
    return Request(method, url, headers, body)


def _url(tool: WebhookTool, arguments: Mapping[str, Any], fill: Fill) -> str:
    # Variables first: what the model fills in must never be read as a template.
    path_names = property_schemas(tool.path_parameters)

    def placed(place: re.Match[str]) -> str:
        name = place[1]
        if name not in path_names:
            return place[0]
        text = as_text(arguments.get(name))
        if not text.strip("."):  # dots would leave the folder, and nothing at all would name another resource
            raise Unusable(f"its address needs a value for {name}")
        return quote(text, safe="", errors="replace")

    url = _PLACEHOLDER.sub(placed, _address(tool.url, fill))
    fixed = {name for name, _ in parse_qsl(_query_of(url), keep_blank_values=True)}
    hidden_names = fixed | set(tool.preset_query)
    asked = property_schemas(tool.query_parameters)
    pairs = [
        *_pairs((name, arguments[name]) for name in asked if name in arguments and name not in hidden_names),
        *_pairs(_rendered(tool.preset_query, fill).items()),
    ]
    if not pairs:
        return url
    base, hash_, fragment = url.partition("#")
    return base + ("&" if "?" in base else "?") + urlencode(pairs, quote_via=quote, errors="replace") + hash_ + fragment


def _address(template: str, fill: Fill) -> str:
    """The template with variables filled in. Behind the host they are percent-encoded: a caller may have chosen their
    values, and must not choose another resource with them."""
    lead = _LEAD.match(template)
    begin = lead.end() if lead else 0

    def encoded(tag: re.Match[str]) -> str:
        filled = fill(tag[0])
        return filled if tag[1] or filled == tag[0] else quote(filled, safe="", errors="replace")

    return fill(template[:begin]) + _TAG_OR_SECTION.sub(encoded, template[begin:])


def _query_of(url: str) -> str:
    try:
        return urlsplit(url).query
    except ValueError:
        raise Unusable("its address is not a URL") from None


def _pairs(items: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """A list is the same name several times, a null is left out."""
    found: list[tuple[str, str]] = []
    for name, value in items:
        values: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
        found += [(name, as_text(each)) for each in values if each is not None]
    return found


def _body(tool: WebhookTool, arguments: Mapping[str, Any], fill: Fill) -> dict[str, Any]:
    """What the body's schema names, and what no schema names where the tool has a body at all."""
    elsewhere = {*property_schemas(tool.path_parameters), *property_schemas(tool.query_parameters)}
    here = property_schemas(tool.body_parameters)
    chosen = {
        name: value
        for name, value in arguments.items()
        if name in here or (tool.body_parameters is not None and name not in elsewhere)
    }
    return chosen | _rendered(tool.preset_body, fill)


def _headers(tool: WebhookTool, fill: Fill, *, has_body: bool, key: str | None) -> dict[str, str]:
    """The author's headers win over ours, whatever the case of their letters."""
    headers = {"accept": "application/json, text/*;q=0.9, */*;q=0.5"}
    if has_body:
        headers["content-type"] = "application/json"
    if key is not None:
        headers["idempotency-key"] = key
    return headers | {header.name.lower(): fill(header.value) for header in tool.headers}


def _rendered(values: Mapping[str, Any], fill: Fill) -> dict[str, Any]:
    def deep(value: Any) -> Any:
        if isinstance(value, str):
            return fill(value)
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


def misfit(wrong: str) -> str:
    """What is told of arguments that do not fit."""
    return f"The tool was not called, because its arguments do not fit: {wrong}"


def uncalled(why: str) -> str:
    """What is told of a call that could not be made."""
    return f"The tool was not called: {why}."


def failure(error: Refused | Unreachable, timeout_ms: int) -> str:
    """What is told of a call without an answer."""
    if isinstance(error, Refused):
        return uncalled("its address may not be called from here")
    if error.kind == "timeout":
        return f"The tool did not answer within {timeout_ms / 1000:g} seconds."
    if error.kind == "too_large":
        return "The tool answered with more than can be read."
    if error.kind == "connect":
        return "The tool cannot be reached."
    return f"The tool could not be called: {error}."
