"""What the core makes of tools and of mocks (contract, sections 2.2, 3.6 and 5).

Bodies are kept as they were sent beside this, so nothing here has to be read back.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.tool_shapes import MAX_OUTPUT
from vivavoce.api.shape import mapping
from vivavoce.core.tool import (
    Act,
    CodeTool,
    Envelope,
    Filler,
    FunctionTool,
    HandoffTarget,
    HandoffTool,
    HangupTool,
    Header,
    LineTarget,
    LineTool,
    MessageTool,
    OtherTool,
    RemoteTool,
    SettableVariable,
    StoredField,
    Tool,
    ToolMock,
    VariablesTool,
    WebhookTool,
)

TIMEOUT_MS = 120_000
"""What one attempt at a request may take where ``timeout_ms`` is left out."""

CODE_TIMEOUT_MS = 30_000
RETRIES = 2
"""How often a failed request is made again where ``max_retry`` is left out (contract, section 3.6)."""

ENVELOPE = Envelope(
    name="name",
    arguments="args",
    conversation="call",
    id="call_id",
    variables="retell_llm_dynamic_variables",
    context={"call_type": "web_call", "call_status": "ongoing"},
)
"""The body of a request of a ``custom`` tool (contract, section 3.6)."""

SIGNATURE = "X-Retell-Signature"
"""The header that signs a request of a ``custom`` tool."""

CAL = "https://api.cal.com/v2"
_SLOTS, _BOOKINGS = "2024-09-04", "2024-08-13"

_SAY = "The message you will say to callee when calling this tool. Make sure it fits into the conversation smoothly."
_INFO = "Please reply to this message with the information that we talked about."
_CANCEL = "Give the transfer up and hang up, where the other side does not take the call."
_BRIDGE = "Put the person you are talking to through to the caller who is waiting."
_PLACE = re.compile(r"(?:sips?:|tel:)[^\s,;\"')]+|\+\d(?:[ ().-]{0,2}\d){6,14}|\b\d{7,15}\b", re.ASCII)
_PUNCTUATION = re.compile(r"[ ().-]")
_INDEX = re.compile(r"\[\s*(?:(\d+)|'([^']*)'|\"([^\"]*)\")\s*\]", re.ASCII)
_UNCALLABLE = re.compile(r"[^A-Za-z0-9_-]")


def to_tool(raw: Mapping[str, Any], *, key: str = "") -> Tool:
    """One validated tool in the words of the core. ``key`` names a tool that has no name of its own. A kind that is
    not known is kept, and not offered to the model."""
    name = str(raw.get("name") or key)
    told = str(raw.get("description") or "")
    said = _fillers(raw)
    match raw.get("type"):
        case "end_call":
            return HangupTool(told, name=name, fillers=said)
        case "transfer_call":
            return _transfer(raw, name, told, said)
        case "bridge_transfer":
            waiting = (LineTarget("the caller who is waiting"),)
            return LineTool(Act.TRANSFER, name, waiting, description=told or _BRIDGE, fillers=said)
        case "cancel_transfer":
            # Who gives a transfer up is done with the one it talks to.
            return HangupTool(told or _CANCEL, name=name, fillers=said)
        case "agent_swap":
            return HandoffTool((_agent(raw),), told, name=name, fillers=said)
        case "press_digit":
            return LineTool(Act.TONES, name, description=told)
        case "send_sms":
            return _message(mapping(raw.get("sms_content")), name, told, said)
        case "custom":
            return _webhook(raw, name, told, said)
        case "check_availability_cal":
            return _availability(raw, name, told)
        case "book_appointment_cal":
            return _booking(raw, name, told)
        case "code":
            return CodeTool(
                name,
                raw["code"],
                told,
                timeout_ms=int(raw.get("timeout_ms") or CODE_TIMEOUT_MS),
                stored=stored(raw.get("response_variables")),
                fillers=said,
                quiet=_is_quiet(raw),
            )
        case "mcp":
            return RemoteTool(
                _UNCALLABLE.sub("_", name),
                told,
                _as_object(raw.get("input_schema")),
                str(raw.get("mcp_id") or ""),
                str(raw.get("name") or ""),
                own=True,
                mockable=False,
                stored=stored(raw.get("response_variables")),
                fillers=said,
                quiet=_is_quiet(raw),
            )
        case "integration_app":
            return FunctionTool(name, told, _app_parameters(raw.get("parameters")))
        case "extract_dynamic_variable":
            return VariablesTool(name, told, to_variables(raw["variables"]))
        case kind:
            return OtherTool(str(kind), name=name)


# --- calls and messages ---------------------------------------------------------------------------------------------


def _transfer(raw: Mapping[str, Any], name: str, told: str, said: tuple[Filler, ...]) -> LineTool:
    where = mapping(raw["transfer_destination"])
    if where.get("type") == "predefined":
        return LineTool(Act.TRANSFER, name, (LineTarget(where["number"]),), description=told, fillers=said)
    wish = str(where["prompt"])
    places = tuple(LineTarget(place) for place in dict.fromkeys(map(_number, _PLACE.findall(wish))))
    description = "\n".join(part for part in (told, f"Where to: {wish}") if part)
    # Where the prompt names no number, the transfer is only played, and what it says is all that is known of where to.
    return LineTool(Act.TRANSFER, name, places or (LineTarget(wish),), description=description, fillers=said)


def _number(place: str) -> str:
    return _PUNCTUATION.sub("", place) if place[0] == "+" else place.rstrip(".")


def _agent(raw: Mapping[str, Any]) -> HandoffTarget:
    version = raw.get("agent_version")
    number = int(version) if isinstance(version, int | float) and not isinstance(version, bool) else None
    return HandoffTarget(read("agent", raw["agent_id"]), raw["agent_id"], number)


def _message(content: Mapping[str, Any], name: str, told: str, said: tuple[Filler, ...]) -> MessageTool:
    match content.get("type") or ("predefined" if content.get("text") is not None else "inferred"):
        case "predefined":
            return MessageTool(str(content.get("text") or ""), told, name=name, fillers=said)
        case "template":
            return MessageTool(_INFO, told, name=name, fillers=said)
        case _:
            wish = content.get("prompt")
            parts = (told, f"What to write: {wish}" if wish else "")
            return MessageTool("", "\n".join(part for part in parts if part), name=name, fillers=said)


def _fillers(raw: Mapping[str, Any]) -> tuple[Filler, ...]:
    """What is said while it works (contract, section 5): word for word, or in the model's words."""
    if raw.get("speak_during_execution") is not True:
        return ()
    text = str(raw.get("execution_message_description") or "")
    if raw.get("execution_message_type") == "static_text":
        return (Filler(text),) if text.strip() else ()
    return (Filler(text or _SAY, generated=True),)


def _is_quiet(raw: Mapping[str, Any]) -> bool:
    return raw.get("speak_after_execution") is False


# --- requests -------------------------------------------------------------------------------------------------------


def _webhook(raw: Mapping[str, Any], name: str, told: str, said: tuple[Filler, ...]) -> WebhookTool:
    method = str(raw.get("method") or "POST")
    carries = method not in ("GET", "DELETE")
    asked = _as_object(raw["parameters"]) if raw.get("parameters") is not None else None
    fixed = _constants(asked)
    retries = raw.get("max_retry")
    return WebhookTool(
        name,
        told,
        raw["url"],
        method,
        _headers(raw.get("headers")),
        # A request without a body has no other place for what the model gives.
        query_parameters=None if carries else asked,
        body_parameters=asked if carries else None,
        preset_body=fixed if carries else {},
        preset_query={**({} if carries else fixed), **mapping(raw.get("query_params"))},
        stored=stored(raw.get("response_variables")),
        timeout_ms=int(raw.get("timeout_ms") or TIMEOUT_MS),
        fillers=said,
        envelope=ENVELOPE if carries and raw.get("args_at_root") is not True else None,
        retries=RETRIES if retries is None else int(retries),
        longest=MAX_OUTPUT,
        quiet=_is_quiet(raw),
        signature=SIGNATURE,
    )


def _constants(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the model is not asked for, because the schema says what it is (contract, section 5)."""
    properties = mapping((schema or {}).get("properties"))
    return {name: one["const"] for name, one in properties.items() if isinstance(one, Mapping) and "const" in one}


def _headers(raw: object) -> tuple[Header, ...]:
    return tuple(Header(name, str(value)) for name, value in mapping(raw).items())


def stored(raw: object) -> tuple[StoredField, ...]:
    """Which parts of an answer become variables: from their names to paths such as ``items[0].name``."""
    return tuple(StoredField(name, dotted(str(path))) for name, path in mapping(raw).items())


def dotted(path: str) -> str:
    """The path with dots only, and without the mark of the root that some write."""

    def step(index: re.Match[str]) -> str:
        return "." + next(part for part in index.groups() if part is not None)

    plain = _INDEX.sub(step, path.strip())
    if plain == "$" or plain.startswith("$."):
        plain = plain[1:]
    return plain.removeprefix(".")


# --- Cal.com --------------------------------------------------------------------------------------------------------


def _availability(raw: Mapping[str, Any], name: str, told: str) -> WebhookTool:
    asked: dict[str, Any] = {
        "start": _text("From when, in ISO 8601: a date, or a date and a time in UTC."),
        "end": _text("Until when, in ISO 8601: a date, or a date and a time in UTC."),
    }
    preset: dict[str, Any] = {"eventTypeId": _event_type(raw)}
    if raw.get("timezone"):
        preset["timeZone"] = raw["timezone"]
    else:
        asked["timeZone"] = _text("The caller's time zone, such as Europe/Berlin, where it is known.")
    return WebhookTool(
        name,
        told or "Look for times at which an appointment can be booked.",
        f"{CAL}/slots",
        "GET",
        _cal_headers(raw, _SLOTS),
        query_parameters=_object(asked, "start", "end"),
        preset_query=preset,
        timeout_ms=TIMEOUT_MS,
        longest=MAX_OUTPUT,
    )


def _booking(raw: Mapping[str, Any], name: str, told: str) -> WebhookTool:
    zone = raw.get("timezone")
    attendee = _object(
        {
            "name": _text("The caller's full name."),
            "email": _text("The caller's email address."),
            "timeZone": _text(f"The caller's time zone: {zone}." if zone else "The time zone, such as Europe/Berlin."),
            "phoneNumber": _text("The caller's phone number with the country's code, where it is known."),
        },
        "name",
        "email",
        "timeZone",
    )
    asked = _object({"start": _text("When it begins, in ISO 8601 and UTC."), "attendee": attendee}, "start", "attendee")
    return WebhookTool(
        name,
        told or "Book an appointment.",
        f"{CAL}/bookings",
        "POST",
        _cal_headers(raw, _BOOKINGS),
        body_parameters=asked,
        preset_body={"eventTypeId": _event_type(raw)},
        timeout_ms=TIMEOUT_MS,
        longest=MAX_OUTPUT,
    )


def _cal_headers(raw: Mapping[str, Any], version: str) -> tuple[Header, ...]:
    return (Header("Authorization", f"Bearer {raw['cal_api_key']}"), Header("cal-api-version", version))


def _event_type(raw: Mapping[str, Any]) -> int | float | str:
    """A number, where it is one; otherwise a template."""
    id_: int | float | str = raw["event_type_id"]
    if isinstance(id_, str):
        return int(id_) if id_.isascii() and id_.isdecimal() and len(id_) < 16 else id_
    return int(id_) if isinstance(id_, float) and id_.is_integer() else id_


# --- schemas --------------------------------------------------------------------------------------------------------


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _as_object(raw: object) -> dict[str, Any]:
    """A schema of an object; a list of required names that is null is none."""
    schema = {name: value for name, value in mapping(raw).items() if name != "required" or value is not None}
    return {"type": "object", "properties": {}, **schema}


def _app_parameters(raw: object) -> dict[str, Any] | None:
    """One schema; an app's tool may have several, one behind the other."""
    if raw is None:
        return None
    schemas = [_as_object(one) for one in (cast("list[Any]", raw) if isinstance(raw, list) else [raw])]
    properties = {name: one for schema in schemas for name, one in mapping(schema["properties"]).items()}
    return _object(properties, *dict.fromkeys(name for schema in schemas for name in schema.get("required", ())))


def to_variables(raw: Iterable[Mapping[str, Any]]) -> tuple[SettableVariable, ...]:
    """What is to be found out, each with everything that is said about it."""
    return tuple(
        SettableVariable(
            one["name"],
            "string" if one["type"] == "enum" else one["type"],
            " ".join(_about(one)),
            tuple(one.get("choices") or ()) if one["type"] == "enum" else (),
        )
        for one in raw
    )


def _about(one: Mapping[str, Any]) -> Iterator[str]:
    if one.get("description"):
        yield one["description"]
    if one.get("examples"):
        yield f"Examples: {'; '.join(one['examples'])}."
    if one.get("conditional_prompt"):
        yield f"Only where this holds: {one['conditional_prompt']}"


# --- mocks ----------------------------------------------------------------------------------------------------------


def to_mocks(raw: Iterable[Mapping[str, Any]]) -> tuple[ToolMock, ...]:
    """Validated mocks in their order, which is the order in which they are tried."""
    return tuple(
        ToolMock(
            one["tool_name"],
            one["output"],
            mapping(one["input_match_rule"])["args"] if one["input_match_rule"]["type"] == "partial_match" else None,
            ok=one.get("result") is not False,
        )
        for one in raw
    )
