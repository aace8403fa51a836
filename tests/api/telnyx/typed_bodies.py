"""Bodies of assistants, generated from the request types of the installed SDK: what they can say and the contract does
not forbid.

``strategy`` walks the annotations. ``_limits`` holds what the contract restricts in one field, ``_MENDED`` what it
restricts between the fields of one object, ``mended`` what it restricts in a whole assistant. Bodies are mended rather
than thrown away, so every generated one is good.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Required, Union, cast, get_args, get_origin

from hypothesis import strategies as st
from telnyx.types.ai.assistant_create_params import AssistantCreateParams
from telnyx.types.ai.assistant_update_params import AssistantUpdateParams
from tests.api.telnyx.bodies import json_values, objects
from typing_extensions import NoExtraItems, get_type_hints, is_typeddict

Body = dict[str, Any]
Anything = st.SearchStrategy[Any]

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
SAID = TEXT.map(lambda text: f"{text}.")
PATH = st.text("abc/{}_é", max_size=12)

_PLAIN: dict[Any, Anything] = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    bool: st.booleans(),
    type(None): st.none(),
    object: json_values,
}

_REQUIRED = frozenset(
    {
        # Declared beside the other fields, because they are reserved words of the language.
        "TransferTransfer.from",
        "InviteInvite.from",
        # Without a type a node is a prompt.
        "ToolNodeReqParam.type",
        "SpeakNodeReqParam.type",
    }
)
_AT_LEAST_ONE = frozenset(
    {"UpdateDynamicVariablesToolParamsParam.updatable_variables", "ConversationFlowReqParam.nodes"}
)
_UNIQUE = frozenset({"Assistant.enabled_features", "Assistant.tags", "Assistant.tool_ids"})
_SEVERAL = frozenset({"function", "webhook", "client_side_tool"})
_NAMED = (*sorted(_SEVERAL), "update_dynamic_variables")

_COMMANDS = frozenset({"idempotency_key", "promote_to_main"})
"""What is no part of an assistant."""


# --- expressions (the SDK types them as object) ----------------------------------------------------------------------


def _node(kind: str, /, **fields: Anything) -> Anything:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


_VALUE: Anything = st.one_of(
    _node("variable", name=TEXT),
    _node("string_literal", value=TEXT),
    _node("number_literal", value=_PLAIN[float]),
    _node("bool_literal", value=st.booleans()),
)
_OPERAND: Anything = _VALUE | _node("arithmetic", op=st.sampled_from("+-*/%"), left=_VALUE, right=_VALUE)
_COMPARISON: Anything = _node(
    "comparison",
    op=st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "contains", "not_contains"]),
    left=_OPERAND,
    right=_OPERAND,
)
_CONDITION: Anything = st.recursive(
    _COMPARISON | _node("variable", name=TEXT) | _node("bool_literal", value=st.booleans()),
    lambda inner: st.one_of(
        _node("bool_op", op=st.sampled_from(["and", "or"]), operands=st.lists(inner, min_size=2, max_size=3)),
        _node("bool_op", op=st.just("not"), operands=st.lists(inner, min_size=1, max_size=1)),
    ),
    max_leaves=4,
)


# --- one field -------------------------------------------------------------------------------------------------------


def _limits(tools: Sequence[str] | None, assistants: Sequence[str] | None) -> dict[str, Anything]:
    """``Type.field`` → what it may be, by the contract. ``[]`` is an item of a list."""
    tool = TEXT if tools is None else st.sampled_from(tools)
    assistant = TEXT if assistants is None else st.sampled_from(assistants)
    delay = st.integers(100, 120_000)
    return {
        "Assistant.dynamic_variables_webhook_timeout_ms": st.integers(1, 10_000),
        # Empty is the same as none: the response names the server's own.
        "Assistant.model": SAID,
        "Assistant.tool_ids.[]": tool,
        "Assistant.version_name": st.text("ab é", min_size=1, max_size=50),
        "AssistantA2AAgentParam.name": st.text(max_size=40, alphabet=st.characters(exclude_categories=["Cs", "Cc"])),
        "AssistantA2AAgentParam.url": PATH.map(lambda path: f"https://agents.example/{path}"),
        "BackgroundAudioUnionMember0.volume": st.floats(0.1, 1),
        "ConditionExpressionCondition.expression": _CONDITION,
        "FlowNodeReqParam.shared_tool_ids": st.none() | st.lists(tool, max_size=2, unique=True),
        "HandoffHandoffAIAssistant.id": assistant,
        "InferenceEmbeddingInterruptionSettingsParam.interrupt_prediction_threshold": st.none() | st.floats(0, 1),
        "InferenceEmbeddingWebhookToolParamsParam.timeout_ms": st.integers(1, 60_000),
        "InsightSettingsParam.model": st.sampled_from(
            [None, "zai-org/GLM-5.3-Flash", "meta-llama/Llama-3.3-70B-Instruct"]
        ),
        "MessageA2AAgentRequestResponseDelayedMessage.content": SAID,
        "MessageA2AAgentRequestResponseDelayedMessage.timing_ms": delay,
        "MessageA2AAgentRequestStartMessage.content": SAID,
        "MessagingSettingsParam.conversation_inactivity_minutes": st.integers(1, 10_000_000),
        "NoiseSuppressionConfig.attenuation_limit": st.integers(0, 100),
        "NoiseSuppressionConfig.enhancement_level": st.floats(0, 1),
        "ObservabilityReqParam.prompt_version": st.integers(1, 2**63),
        "StartSpeakingPlanParam.wait_seconds": st.floats(0, 1e9),
        "TargetAssistantTarget.assistant_id": assistant,
        "TelephonySettingsParam.time_limit_secs": st.integers(30, 14_400),
        "TelephonySettingsParam.user_idle_reply_secs": st.integers(0, 2**63),
        "TelephonySettingsParam.user_idle_timeout_secs": st.integers(10, 14_400),
        "ToolCallAudioUnionMember0.volume": st.floats(0, 1),
        "ToolNodeReqParam.message": SAID,
        "ToolNodeReqParam.shared_tool_id": tool,
        "TranscriptionSettingsConfigParam.eager_eot_threshold": st.floats(0.3, 0.9),
        "TranscriptionSettingsConfigParam.end_of_turn_confidence_threshold": st.floats(0, 1),
        "TranscriptionSettingsConfigParam.eot_threshold": st.floats(0.5, 0.9),
        "TranscriptionSettingsConfigParam.eot_timeout_ms": st.integers(500, 10_000),
        "TranscriptionSettingsConfigParam.max_endpoint_delay_ms": st.integers(500, 3000),
        "TranscriptionSettingsConfigParam.max_turn_silence": st.integers(100, 5000),
        "TranscriptionSettingsConfigParam.min_turn_silence": st.integers(100, 5000),
        "TransferTransferTargetsTargetsList.extension": st.text("0159ADwW*#", max_size=64),
        "UpdatableVariable.name": st.text("aZ9._-", min_size=1, max_size=9),
        "UpdateDynamicVariablesToolParamsParam.name": st.text("aZ9_-", min_size=1, max_size=9),
        "Webhook.async_timeout_ms": st.integers(1, 15_000),
        "WebhookMessageWebhookToolRequestResponseDelayedMessage.content": SAID,
        "WebhookMessageWebhookToolRequestResponseDelayedMessage.timing_ms": delay,
        "WebhookMessageWebhookToolRequestStartMessage.content": SAID,
        "WebhookStoreFieldsAsVariable.name": SAID,
        "WebhookStoreFieldsAsVariable.value_path": SAID,
        "WebsocketSettingsParam.url": PATH.map(lambda path: f"wss://events.example/{path}"),
    }


# --- one object ------------------------------------------------------------------------------------------------------


def _ordered(settings: Body) -> Body:
    if {"eager_eot_threshold", "eot_threshold"} <= settings.keys():
        return {**settings, "eager_eot_threshold": min(settings["eager_eot_threshold"], settings["eot_threshold"])}
    return settings


def _one_second_model(transcription: Body) -> Body:
    return {**transcription, "challenger": None} if transcription.get("fallback_models") else transcription


def _addressed(websocket: Body) -> Body:
    return {"url": "ws://events.example", **websocket} if websocket.get("enabled") else websocket


def _delegable(delegation: Body) -> Body:
    named = delegation.get("model") or delegation.get("external_llm", {}).get("model")
    return delegation if named else {**delegation, "model": "m"}


def _acceptable(transfer: Body) -> Body:
    asks = transfer.get("warm_transfer_acceptance", {}).get("enabled")
    return {**transfer, "warm_transfer_instructions": "Say who calls."} if asks else transfer


def _one_model(node: Body) -> Body:
    return {key: value for key, value in node.items() if key != "model" or "external_llm" not in node}


def _connected(flow: Body) -> Body:
    """The ids of the nodes and edges made unique, and edges that lead somewhere with conditions that may stand there.
    What leads where follows from the lengths of the ids that were generated."""
    nodes = [{**node, "id": f"{node['id']}-{i}"} for i, node in enumerate(flow["nodes"])]
    edges: list[Body] = []
    fallen: set[str] = set()
    for i, edge in enumerate(flow.get("edges", ())):
        start = nodes[len(edge["start_node_id"]) % len(nodes)]
        condition, target = edge["condition"], edge["target"]
        waits = start.get("type", "prompt") == "prompt"
        if not waits and start["id"] not in fallen:
            condition = {"type": "default"}
            fallen.add(start["id"])
        elif condition["type"] == "default":
            condition = {"type": "llm", "prompt": edge["id"]}
        if target["type"] == "node":
            target = {**target, "node_id": nodes[len(target["node_id"]) % len(nodes)]["id"]}
        edges.append(
            {**edge, "id": f"{edge['id']}-{i}", "start_node_id": start["id"], "condition": condition, "target": target}
        )
    start_node_id = nodes[len(flow["start_node_id"]) % len(nodes)]["id"]
    return {**flow, "start_node_id": start_node_id, "nodes": nodes, **({"edges": edges} if "edges" in flow else {})}


_MENDED: dict[str, Callable[[Body], Body]] = {
    "ConversationFlowReqParam": _connected,
    "DelegationSettingsParam": _delegable,
    "FlowNodeReqParam": _one_model,
    "TranscriptionSettingsConfigParam": _ordered,
    "TranscriptionSettingsParam": _one_second_model,
    "TransferTransfer": _acceptable,
    "WebsocketSettingsParam": _addressed,
}


# --- a whole assistant -----------------------------------------------------------------------------------------------


def mended(body: Body, before: Mapping[str, Any] | None = None) -> Body:
    """The body with what its parts forbid each other put right, where it is laid over ``before``."""
    made, whole = dict(body), {**(before or {}), **body}
    if "tools" in made:
        made["tools"] = whole["tools"] = list(_distinct(made["tools"]))
    if "a2a_agents" in made:
        made["a2a_agents"] = [{**one, "name": f"{one['name']}_{i}"} for i, one in enumerate(made["a2a_agents"])]
    if any(tool["type"] == "pay" for tool in whole.get("tools", ())):
        made["telephony_settings"] = {**whole.get("telephony_settings", {}), "disable_dtmf": True}
    redacts = whole.get("privacy_settings", {}).get("pii_redaction") == "redact"
    if redacts and "messaging" in whole.get("enabled_features", ()):
        made["privacy_settings"] = {**whole["privacy_settings"], "pii_redaction": "disabled"}
    return made


def _distinct(tools: Iterable[Body]) -> Iterable[Body]:
    """One of every kind but those of which there may be several, and no name twice."""
    seen: set[str] = set()
    for i, tool in enumerate(tools):
        kind = tool["type"]
        if kind in seen - _SEVERAL:
            continue
        seen.add(kind)
        yield {**tool, kind: {**tool[kind], "name": f"{tool[kind]['name']}-{i}"}} if kind in _NAMED else tool


# --- the walk --------------------------------------------------------------------------------------------------------


def strategy(hint: Any, place: str, limits: Mapping[str, Anything]) -> Anything:
    """Values of an annotated type that stands at ``Type.field``."""
    if place in limits:
        return limits[place]
    if is_typeddict(hint):
        return _shaped(hint, limits)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Annotated, Required):
        return strategy(arguments[0], place, limits)
    if origin is Union:
        return st.one_of([strategy(one, place, limits) for one in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is dict:
        return objects
    if origin in (list, Iterable, Sequence):
        item = strategy(arguments[0], f"{place}.[]", limits)
        return st.lists(item, min_size=place in _AT_LEAST_ONE, max_size=3, unique=place in _UNIQUE)
    return _PLAIN[hint]


def fields_of(type_: Any) -> dict[str, Any]:
    """Field → annotation, without what is no part of the body."""
    return {name: hint for name, hint in get_type_hints(type_, include_extras=True).items() if name not in _COMMANDS}


def _is_required(place: str, hint: Any) -> bool:
    return place in _REQUIRED or get_origin(hint) is Required


def _both(pair: tuple[Body, Body]) -> Body:
    return {**pair[0], **pair[1]}


def _shaped(type_: Any, limits: Mapping[str, Anything]) -> Anything:
    name: str = type_.__name__
    required: dict[str, Anything] = {}
    optional: dict[str, Anything] = {}
    for field, hint in fields_of(type_).items():
        place = f"{name}.{field}"
        (required if _is_required(place, hint) else optional)[field] = strategy(hint, place, limits)
    made: st.SearchStrategy[Body] = st.fixed_dictionaries(required, optional=optional)
    if type_.__extra_items__ is not NoExtraItems:
        made = st.tuples(objects, made).map(_both)
    return made.map(_MENDED[name]) if name in _MENDED else made


def typed(
    type_: Any = AssistantCreateParams,
    *,
    tools: Sequence[str] | None = None,
    assistants: Sequence[str] | None = None,
    always: Sequence[str] = (),
    more: int = 6,
) -> st.SearchStrategy[Body]:
    """Bodies of a root type with the optional fields of ``always`` and up to ``more`` others.

    ``tools`` and ``assistants`` are the ids that may be named; by default any text. An update must still be ``mended``
    for the assistant that it is laid over.
    """
    limits = _limits(tools, assistants)
    whole = {name: strategy(hint, f"Assistant.{name}", limits) for name, hint in fields_of(type_).items()}
    named = {name for name, hint in fields_of(type_).items() if _is_required("", hint)} | set(always)
    others = sorted(set(whole) - named)
    some: st.SearchStrategy[list[str]] = st.lists(st.sampled_from(others), max_size=more, unique=True)

    def body(names: Sequence[str]) -> st.SearchStrategy[Body]:
        return st.fixed_dictionaries({name: whole[name] for name in sorted({*named, *names})})

    return some.flatmap(body).map(mended)


def typed_tools() -> dict[str, st.SearchStrategy[Body]]:
    """Kind of tool → bodies with one of that kind."""
    found: dict[str, st.SearchStrategy[Body]] = {}
    for tool in get_args(get_args(fields_of(AssistantCreateParams)["tools"])[0]):
        [kind] = get_args(get_args(fields_of(tool)["type"])[0])
        one = st.lists(_shaped(tool, _limits(None, None)), min_size=1, max_size=1)
        found[kind] = st.fixed_dictionaries({"name": TEXT, "instructions": TEXT, "tools": one}).map(mended)
    return found


CREATE, UPDATE = AssistantCreateParams, AssistantUpdateParams


def places(type_: Any) -> set[str]:
    """Every ``Type.field`` of a root type and of all that it names, and ``Type.field.[]`` for the items of lists."""
    found: set[str] = set()

    def look(hint: Any, place: str) -> None:
        if is_typeddict(hint):
            for field, inner in get_type_hints(hint, include_extras=True).items():
                inner_place = f"{hint.__name__}.{field}"
                if inner_place not in found:
                    look(inner, inner_place)
            return
        found.add(place)
        if get_origin(hint) in (list, Iterable, Sequence):
            look(get_args(hint)[0], f"{place}.[]")
        elif get_origin(hint) is not Literal:
            for one in get_args(hint):
                look(one, place)

    for field, hint in fields_of(type_).items():
        found.add(f"Assistant.{field}")
        look(hint, f"Assistant.{field}")
    return found


def limited_places() -> set[str]:
    """Every place that has a limit here."""
    return {*_limits(None, None), *_REQUIRED, *_AT_LEAST_ONE, *_UNIQUE}


# --- comparing -------------------------------------------------------------------------------------------------------

_ADDED = {
    "telephony_settings": {"default_texml_app_id"},
    "messaging_settings": {"default_messaging_profile_id"},
    "insight_settings": {"model"},
}
"""What a response adds to the settings that were sent (contract, sections 2 and 2.1)."""

_FILLED = {
    "": {"shared", "timeout_ms"},
    "webhook": {"method"},
    "hangup": {"description"},
}
"""What a response adds to a tool, and to the object that is named like its kind (contract, section 3)."""


def own(wire: Mapping[str, Any]) -> Body:
    """Without the shared tools, which responses show beside the assistant's own."""
    shown = {**wire, "tools": [tool for tool in wire["tools"] if not tool["shared"]]}
    if "conversation_flow" in wire:
        nodes = [{key: node[key] for key in node if key != "tools"} for node in wire["conversation_flow"]["nodes"]]
        shown["conversation_flow"] = {**wire["conversation_flow"], "nodes": nodes}
    return shown


def unsaid(sent: Mapping[str, Any], got: Mapping[str, Any]) -> list[str]:
    """What a response has in the fields that were sent, without being sent or documented as added: what was there
    before must not shine through. Says nothing of what is missing."""
    found: list[str] = []
    for field, value in sent.items():
        if field == "tools":
            inline = [tool for tool in got[field] if not tool["shared"]]
            for i, (tool, shown) in enumerate(zip(value, inline, strict=True)):
                kind = tool["type"]
                found += _more(tool, shown, f"tools[{i}]", _FILLED[""])
                found += _more(tool.get(kind, {}), shown.get(kind, {}), f"tools[{i}].{kind}", _FILLED.get(kind, set()))
        elif isinstance(value, dict) and field in got:
            found += _more(cast("Body", value), got[field], field, _ADDED.get(field, set()))
    return found


def _more(sent: Mapping[str, Any], got: Mapping[str, Any], where: str, added: set[str]) -> list[str]:
    return [f"{where}.{key} is more" for key in got if key not in sent and key not in added]
