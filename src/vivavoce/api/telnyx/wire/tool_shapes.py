"""The shapes of tools (contract, section 3).

A tool is ``{"type": T, T: {…}}``. Only what the contract says is checked; all shapes but one are open.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from vivavoce.api.shape import Flag, Whole, omitted
from vivavoce.api.telnyx.wire.settings import Filler, NamedValue


def _not_reserved(name: str) -> str:
    if name.startswith("telnyx_"):
        raise PydanticCustomError("reserved_name", "Names that begin with telnyx_ are reserved")
    return name


class ObjectSchema(BaseModel, frozen=True, extra="allow"):
    """A JSON Schema of type object."""

    type: Literal["object"] = omitted()
    properties: dict[str, Any] = omitted()
    required: list[str] = omitted()


class FunctionConfig(BaseModel, frozen=True, extra="allow"):
    """A plain function definition."""

    name: str
    description: str = omitted()
    parameters: dict[str, Any] = omitted()


class StoredVariable(BaseModel, frozen=True, extra="forbid"):
    """A dotted path into the JSON answer, kept as a dynamic variable."""

    name: Annotated[str, Field(min_length=1)]
    value_path: Annotated[str, Field(min_length=1)]


class WebhookConfig(BaseModel, frozen=True, extra="allow"):
    """An HTTP request. ``timeout_ms`` in here is the old place: kept, and not honoured."""

    name: str
    description: str
    url: str
    method: Literal["GET", "POST", "PUT", "DELETE", "PATCH"] = omitted()
    headers: list[NamedValue] = omitted()
    path_parameters: ObjectSchema = omitted()
    query_parameters: ObjectSchema = omitted()
    body_parameters: ObjectSchema = omitted()
    preset_body_fields: dict[str, Any] = omitted()
    preset_query_params: dict[str, Any] = omitted()
    async_: Annotated[Flag, Field(alias="async")] = omitted()
    async_timeout_ms: Annotated[Whole, Field(ge=1, le=15000)] = omitted()
    messages: list[Filler] = omitted()
    store_fields_as_variables: list[StoredVariable] = omitted()
    timeout_ms: Whole = omitted()


class ClientSideConfig(BaseModel, frozen=True, extra="allow"):
    """A function that the client runs."""

    name: str
    description: str
    parameters: ObjectSchema


class RetrievalConfig(BaseModel, frozen=True, extra="allow"):
    """A search in storage buckets."""

    bucket_ids: list[str]
    max_num_results: Whole = omitted()


class HandoffTarget(BaseModel, frozen=True, extra="allow"):
    """An assistant that can take over."""

    id: str
    name: str


class HandoffConfig(BaseModel, frozen=True, extra="allow"):
    """A handoff between assistants."""

    ai_assistants: list[HandoffTarget]
    voice_mode: Literal["unified", "distinct"] = omitted()


class DescribedConfig(BaseModel, frozen=True, extra="allow"):
    """A description, which may be left out."""

    description: str = omitted()


class TransferTarget(BaseModel, frozen=True, extra="allow"):
    """Where a call can be transferred."""

    to: str
    name: str = omitted()
    message: str = omitted()
    extension: Annotated[str, Field(max_length=64, pattern=r"^[0-9A-DwW*#]*$")] = omitted()
    sip_auth_username: str = omitted()
    sip_auth_password: str = omitted()


class BridgeBeep(BaseModel, frozen=True, extra="allow"):
    """A beep when the calls are bridged."""

    enabled: Flag = omitted()
    target_legs: Literal["self", "both"] = omitted()


class TransferAcceptance(BaseModel, frozen=True, extra="allow"):
    """Whether the destination must accept the call first."""

    enabled: Flag = omitted()
    end_user_target_context_mode: Literal["private", "shared"] = omitted()
    require_acceptance: Flag = omitted()
    timeout_secs: Whole = omitted()


class TransferConfig(BaseModel, frozen=True, extra="allow"):
    """A transfer; ``targets`` may be one template that becomes an array."""

    from_: Annotated[str, Field(alias="from")]
    targets: list[TransferTarget] | str
    warm_transfer_instructions: str = omitted()
    warm_message_delay_ms: Whole | None = omitted()
    custom_headers: list[NamedValue] = omitted()
    voicemail_detection: dict[str, Any] = omitted()
    description: str = omitted()
    diversion: str = omitted()
    bridge_beep: BridgeBeep = omitted()
    warm_transfer_acceptance: TransferAcceptance = omitted()


class InviteTarget(BaseModel, frozen=True, extra="allow"):
    """Who can be invited."""

    to: str
    name: str = omitted()


class InviteConfig(BaseModel, frozen=True, extra="allow"):
    """An invitation into the call."""

    from_: Annotated[str, Field(alias="from")]
    targets: list[InviteTarget] | str | None = omitted()
    custom_headers: list[NamedValue] = omitted()
    voicemail_detection: dict[str, Any] = omitted()


class ReferTarget(BaseModel, frozen=True, extra="allow"):
    """Where a call can be referred to."""

    name: str
    sip_address: str
    sip_auth_username: str = omitted()
    sip_auth_password: str = omitted()


class SipHeader(BaseModel, frozen=True, extra="allow"):
    """A SIP header."""

    name: Literal["User-to-User", "Diversion"] = omitted()
    value: str = omitted()


class ReferConfig(BaseModel, frozen=True, extra="allow"):
    """A SIP REFER."""

    targets: list[ReferTarget]
    sip_headers: list[SipHeader] = omitted()
    custom_headers: list[NamedValue] = omitted()


class SendMessageConfig(BaseModel, frozen=True, extra="allow"):
    """A text message to the end user."""

    message_template: str | None = omitted()


CardType = Literal["visa", "mastercard", "amex", "maestro", "discover", "optima", "jcb", "diners-club", "enroute"]


class PayConfig(BaseModel, frozen=True, extra="allow"):
    """A payment by keypad."""

    connector_name: str
    currency: str = omitted()
    payment_method: str = omitted()
    description: str | None = omitted()
    connector_parameters: dict[str, Any] = omitted()
    valid_card_types: list[CardType] = omitted()


class UpdatableVariable(BaseModel, frozen=True, extra="allow"):
    """A variable that the model may write; the platform's own names are reserved."""

    name: Annotated[
        str,
        Field(pattern=r"^[a-zA-Z0-9._-]+$", json_schema_extra={"not": {"pattern": "^telnyx_"}}),
        AfterValidator(_not_reserved),
    ]
    type: str = omitted()
    description: str = omitted()


class UpdateVariablesConfig(BaseModel, frozen=True, extra="allow"):
    """Writes variables in the middle of a conversation."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
    description: str
    updatable_variables: Annotated[list[UpdatableVariable], Field(min_length=1)]


class VisionConfig(BaseModel, frozen=True, extra="allow"):
    """Pictures of the caller's camera."""

    max_frame_age_secs: Whole = omitted()


class WebhookBody(BaseModel, frozen=True, extra="allow"):
    """Calls a webhook; ``timeout_ms`` beside ``type`` is the one that is honoured."""

    type: Literal["webhook"]
    webhook: WebhookConfig
    timeout_ms: Annotated[Whole, Field(ge=1, le=60_000)] = omitted()


class FunctionBody(BaseModel, frozen=True, extra="allow"):
    """A function that nobody here runs."""

    type: Literal["function"]
    function: FunctionConfig


class ClientSideBody(BaseModel, frozen=True, extra="allow"):
    """A function that the browser or the WebSocket client runs."""

    type: Literal["client_side_tool"]
    client_side_tool: ClientSideConfig


class RetrievalBody(BaseModel, frozen=True, extra="allow"):
    """Searches storage buckets."""

    type: Literal["retrieval"]
    retrieval: RetrievalConfig


class HandoffBody(BaseModel, frozen=True, extra="allow"):
    """Hands the conversation to another assistant."""

    type: Literal["handoff"]
    handoff: HandoffConfig


class HangupBody(BaseModel, frozen=True, extra="allow"):
    """Ends the conversation."""

    type: Literal["hangup"]
    hangup: DescribedConfig = omitted()


class TransferBody(BaseModel, frozen=True, extra="allow"):
    """Transfers the call."""

    type: Literal["transfer"]
    transfer: TransferConfig


class InviteBody(BaseModel, frozen=True, extra="allow"):
    """Invites somebody into the call."""

    type: Literal["invite"]
    invite: InviteConfig


class ReferBody(BaseModel, frozen=True, extra="allow"):
    """Refers the call to a SIP address."""

    type: Literal["refer"]
    refer: ReferConfig


class SendDtmfBody(BaseModel, frozen=True, extra="allow"):
    """Sends tones."""

    type: Literal["send_dtmf"]
    send_dtmf: dict[str, Any] = omitted()


class SendMessageBody(BaseModel, frozen=True, extra="allow"):
    """Sends a text message."""

    type: Literal["send_message"]
    send_message: SendMessageConfig = omitted()


class SkipTurnBody(BaseModel, frozen=True, extra="allow"):
    """Stays silent this turn."""

    type: Literal["skip_turn"]
    skip_turn: DescribedConfig = omitted()


class PayBody(BaseModel, frozen=True, extra="allow"):
    """Takes a payment."""

    type: Literal["pay"]
    pay: PayConfig


class UpdateVariablesBody(BaseModel, frozen=True, extra="allow"):
    """Writes variables."""

    type: Literal["update_dynamic_variables"]
    update_dynamic_variables: UpdateVariablesConfig


class VisionBody(BaseModel, frozen=True, extra="allow"):
    """Looks at the caller's camera."""

    type: Literal["vision"]
    vision: VisionConfig = omitted()


KINDS = (
    "webhook",
    "function",
    "client_side_tool",
    "retrieval",
    "handoff",
    "hangup",
    "transfer",
    "invite",
    "refer",
    "send_dtmf",
    "send_message",
    "skip_turn",
    "pay",
    "update_dynamic_variables",
    "vision",
)
"""The kinds of tools that are known."""


class OtherBody(BaseModel, frozen=True, extra="allow"):
    """A kind of tool that is not known here: kept and returned."""

    type: Annotated[str, Field(json_schema_extra={"not": {"enum": list(KINDS)}})]


def _kind(tool: object) -> str:
    kind = cast("dict[str, object]", tool).get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    return kind if isinstance(kind, str) and kind in KINDS else "other"


ToolBody = Annotated[
    Annotated[WebhookBody, Tag("webhook")]
    | Annotated[FunctionBody, Tag("function")]
    | Annotated[ClientSideBody, Tag("client_side_tool")]
    | Annotated[RetrievalBody, Tag("retrieval")]
    | Annotated[HandoffBody, Tag("handoff")]
    | Annotated[HangupBody, Tag("hangup")]
    | Annotated[TransferBody, Tag("transfer")]
    | Annotated[InviteBody, Tag("invite")]
    | Annotated[ReferBody, Tag("refer")]
    | Annotated[SendDtmfBody, Tag("send_dtmf")]
    | Annotated[SendMessageBody, Tag("send_message")]
    | Annotated[SkipTurnBody, Tag("skip_turn")]
    | Annotated[PayBody, Tag("pay")]
    | Annotated[UpdateVariablesBody, Tag("update_dynamic_variables")]
    | Annotated[VisionBody, Tag("vision")]
    | Annotated[OtherBody, Tag("other")],
    Discriminator(_kind),
]
"""Any tool; the known kinds are checked for what they require."""
