"""Calling a webhook tool: the model's arguments become one HTTP request, its answer becomes text and variables.

The rules are those of section 3 of the assistants contract, and of section 3.6 of the testing contract for what only
its tools have: an envelope, forms, repetition, a bound for the answer, and a signature with a shared secret.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from vivavoce.assistant import braces
from vivavoce.assistant.offer import offered_parameters, property_schemas
from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.assistant.variables import as_text
from vivavoce.core.assistant import Rules
from vivavoce.core.tool import Envelope, WebhookTool
from vivavoce.outbound.answer import text_of
from vivavoce.outbound.fetch import Fetched, Session, Unreachable, fetch
from vivavoce.outbound.guard import Refused
from vivavoce.tools.answers import SUBMITTED, cut, kept_of
from vivavoce.tools.arguments import mismatch
from vivavoce.tools.reach import ALONE, Reach
from vivavoce.tools.secrets import NoSecret, filled, hidden, opened

Fill = Callable[[str], str]
"""Fills a template."""

MAX_BYTES = 1024 * 1024
"""Bytes of an answer that are read at all."""

MOST_RETRIES = 5
"""How often a request is made again at most, whatever its tool says."""

_PASSING = ("timeout", "connect")
_BODILESS = ("GET", "HEAD")
_SECTION = r"(\{\{#.*?\{\{/[^{}]*\}\})"
_HOST = r"[^/?#]*//[^/?#]*"
_LEAD = {
    Rules.PATHS: re.compile(r"\{\{\{?[^{}#/][^{}]*\}?\}\}|" + _HOST),
    Rules.NESTED: re.compile(rf"(?!\{{\{{[#/]){braces.TAG.pattern}|{_HOST}"),
}
_TAG_OR_SECTION = {
    Rules.PATHS: re.compile(_SECTION + r"|\{\{\{?[^{}]*\}?\}\}", re.DOTALL),
    Rules.NESTED: re.compile(f"{_SECTION}|{braces.TAG.pattern}", re.DOTALL),
}
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
    filling: Filling,
    reach: Reach = ALONE,
) -> ToolOutput:
    """Call the tool once, and again where the network or the other side fails and the tool wants it. ``key`` goes along
    as ``Idempotency-Key`` except with GET. Never raises for what the other side, the network or the model does: the
    output then says what went wrong.

    A tool that is not waited for is told to be submitted when it has not answered in its time, and goes on; what it
    answers then is read by nobody.
    """
    wrong = mismatch(offered_parameters(tool), arguments)
    if wrong is not None:
        return ToolOutput(misfit(wrong), ok=False)
    try:
        secrets = await opened(templates(tool), reach)
        request = prepare(tool, arguments, filling, secrets, key, reach.conversation)
    except (Unusable, NoSecret) as error:
        return ToolOutput(uncalled(str(error)), ok=False)
    work = _exchange(session, tool, request, secrets, reach)
    if tool.waits_ms is None or reach.background is None:
        return await work
    task = reach.background.start(work)
    done, _ = await asyncio.wait({task}, timeout=tool.waits_ms / 1000)
    return task.result() if done else ToolOutput(SUBMITTED, ok=True)


async def _exchange(
    session: Session, tool: WebhookTool, request: Request, secrets: Mapping[str, str], reach: Reach
) -> ToolOutput:
    left = min(tool.retries, MOST_RETRIES)
    while True:
        output, passing = await _once(session, tool, signed(request, tool, reach))
        if not passing or left <= 0:
            break
        left -= 1
        await asyncio.sleep(reach.pause_s)
    kept = {name: hidden(value, secrets) for name, value in output.variables.items()}
    return replace(output, text=hidden(output.text, secrets), variables=kept)


async def _once(session: Session, tool: WebhookTool, request: Request) -> tuple[ToolOutput, bool]:
    """(what came of it, whether the same request may have more luck)."""
    try:
        fetched = await send(session, request, tool.timeout_ms)
    except Refused as error:
        return ToolOutput(failure(error, tool.timeout_ms), ok=False), False
    except Unreachable as error:
        return ToolOutput(failure(error, tool.timeout_ms), ok=False), error.kind in _PASSING
    return _output(tool, fetched), fetched.status >= 500


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
    filling: Filling,
    secrets: Mapping[str, str],
    key: str,
    conversation: str = "",
) -> Request:
    """The request for these arguments in the conversation of this id, not signed yet. Raises ``Unusable``."""

    def fill(template: str) -> str:
        return filled(template, filling, secrets)

    method = tool.method.upper()
    url = _url(tool, arguments, fill, filling.templating.rules)
    body = _content(tool, method, arguments, fill, filling, conversation)
    headers = _headers(tool, fill, has_body=body is not None, key=None if method in _BODILESS else key)
    return Request(method, url, headers, body)


def signed(request: Request, tool: WebhookTool, reach: Reach) -> Request:
    """The request with its signature, which is of now. Nobody replaces it: one that an author could choose would say
    nothing."""
    if reach.sign is None:
        return request
    signature = {name.lower(): value for name, value in reach.sign(request.body or b"", tool.signature).items()}
    return replace(request, headers={**request.headers, **signature})


def _content(
    tool: WebhookTool,
    method: str,
    arguments: Mapping[str, Any],
    fill: Fill,
    filling: Filling,
    conversation: str,
) -> bytes | None:
    if method in _BODILESS or (method == "DELETE" and tool.envelope is not None):
        return None
    given = _body(tool, arguments, fill)
    if method == "DELETE" and not given:
        return None
    if tool.envelope is not None:
        given = _enveloped(tool.envelope, tool.name, given, filling, conversation)
    if tool.form:
        return urlencode(_pairs(given.items()), errors="replace").encode()
    return json.dumps(given, ensure_ascii=False).encode(errors="replace")


def _enveloped(
    envelope: Envelope, name: str, given: Mapping[str, Any], filling: Filling, conversation: str
) -> dict[str, Any]:
    # No call was made: who looks the id up must not take it for one.
    known = {
        envelope.id: f"playground-{conversation}",
        envelope.variables: dict(filling.as_texts().variables),
        **envelope.context,
    }
    return {envelope.name: name, envelope.conversation: known, envelope.arguments: given}


def _url(tool: WebhookTool, arguments: Mapping[str, Any], fill: Fill, rules: Rules) -> str:
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

    url = _PLACEHOLDER.sub(placed, address(tool.url, fill, rules))
    fixed = {name for name, _ in parse_qsl(_query_of(url), keep_blank_values=True)}
    hidden_names = fixed | set(tool.preset_query)
    asked = property_schemas(tool.query_parameters)
    pairs = [
        *_pairs((name, arguments[name]) for name in asked if name in arguments and name not in hidden_names),
        *_pairs(rendered(tool.preset_query, fill).items()),
    ]
    if not pairs:
        return url
    base, hash_, fragment = url.partition("#")
    return base + ("&" if "?" in base else "?") + urlencode(pairs, quote_via=quote, errors="replace") + hash_ + fragment


def address(template: str, fill: Fill, rules: Rules) -> str:
    """The template with variables filled in. Behind the host they are percent-encoded: a caller may have chosen their
    values, and must not choose another resource with them."""
    lead = _LEAD[rules].match(template)
    begin = lead.end() if lead else 0

    def encoded(tag: re.Match[str]) -> str:
        filled = fill(tag[0])
        return filled if tag[1] or filled == tag[0] else quote(filled, safe="", errors="replace")

    return fill(template[:begin]) + _TAG_OR_SECTION[rules].sub(encoded, template[begin:])


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
    has_body = tool.body_parameters is not None or tool.envelope is not None
    elsewhere = {*property_schemas(tool.path_parameters), *property_schemas(tool.query_parameters)}
    here = property_schemas(tool.body_parameters)
    chosen = {name: value for name, value in arguments.items() if name in here or (has_body and name not in elsewhere)}
    return chosen | rendered(tool.preset_body, fill)


def _headers(tool: WebhookTool, fill: Fill, *, has_body: bool, key: str | None) -> dict[str, str]:
    """The author's headers win over ours, whatever the case of their letters."""
    headers = {"accept": "application/json, text/*;q=0.9, */*;q=0.5"}
    if has_body:
        headers["content-type"] = "application/x-www-form-urlencoded" if tool.form else "application/json"
    if key is not None:
        headers["idempotency-key"] = key
    return headers | {header.name.lower(): fill(header.value) for header in tool.headers}


def rendered(values: Mapping[str, Any], fill: Fill) -> dict[str, Any]:
    """A JSON object with the templates in it filled in, at any depth."""

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
    if not 200 <= fetched.status < 300:
        said = f" It answered: {text}" if text else ""
        told = cut(f"The tool failed with HTTP status {fetched.status}.{said}", tool.longest)
        return ToolOutput(told, False, fetched.status)
    variables = kept_of(tool.stored, fetched.body)
    return ToolOutput(cut(text, tool.longest), True, fetched.status, variables=variables)


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
