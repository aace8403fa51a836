"""The shapes of tools and of what answers in their place (contract, sections 2.2 and 5).

All shapes are open: what is not named here is kept. Null is taken where the contract leaves a field out, because
clients send back what they were given.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag

from vivavoce.api.shape import Flag, Number, Whole, omitted

MAX_CODE = 20_000
"""Characters of a program."""

MAX_OUTPUT = 15_000
"""Characters of what a mock answers."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""What the model calls a tool by."""

Text = Annotated[str, Field(min_length=1)]
Texts = dict[str, str]


class ObjectSchema(BaseModel, frozen=True, extra="allow"):
    """A JSON Schema of type object."""

    type: Literal["object"]
    properties: dict[str, Any] = omitted()
    required: list[str] | None = omitted()


class Speaking(BaseModel, frozen=True, extra="allow"):
    """What is said while a tool works."""

    description: str | None = omitted()
    speak_during_execution: Flag | None = omitted()
    execution_message_description: str | None = omitted()
    execution_message_type: Literal["prompt", "static_text"] | None = omitted()


class EndCall(Speaking, frozen=True):
    """Ends the conversation."""

    type: Literal["end_call"]
    name: Name


# --- whom a call goes to --------------------------------------------------------------------------------------------


class PredefinedDestination(BaseModel, frozen=True, extra="allow"):
    """A number, or a variable."""

    type: Literal["predefined"]
    number: Text
    extension: str | None = omitted()


class InferredDestination(BaseModel, frozen=True, extra="allow"):
    """The model finds out where to."""

    type: Literal["inferred"]
    prompt: Text


Destination = Annotated[PredefinedDestination | InferredDestination, Field(discriminator="type")]


class TransferOption(BaseModel, frozen=True, extra="allow"):
    """How a call is put through, which only telephones can tell apart."""

    type: Literal["cold_transfer", "warm_transfer", "agentic_warm_transfer"]


class TransferCall(Speaking, frozen=True):
    """Puts the caller through to somebody else."""

    type: Literal["transfer_call"]
    name: Name
    transfer_destination: Destination
    transfer_option: TransferOption


class BridgeTransfer(Speaking, frozen=True):
    """Joins both sides of a transfer."""

    type: Literal["bridge_transfer"]
    name: Name


class CancelTransfer(Speaking, frozen=True):
    """Gives a transfer up."""

    type: Literal["cancel_transfer"]
    name: Name


class AgentSwap(Speaking, frozen=True):
    """Another agent goes on. ``agent_version`` is a number or a tag."""

    type: Literal["agent_swap"]
    name: Name
    agent_id: Text
    post_call_analysis_setting: Literal["both_agents", "only_destination_agent"]
    agent_version: Annotated[Whole, Field(ge=0)] | str | None = omitted()


# --- what reaches the caller ----------------------------------------------------------------------------------------


class PressDigit(BaseModel, frozen=True, extra="allow"):
    """Presses keys."""

    type: Literal["press_digit"]
    name: Name
    description: str | None = omitted()
    delay_ms: Annotated[Whole, Field(ge=0, le=5000)] | None = omitted()


class MessageContent(BaseModel, frozen=True, extra="allow"):
    """What a text message says; clients may leave out of what type it is."""

    type: Literal["predefined", "inferred", "template"] = omitted()
    text: str | None = omitted()
    prompt: str | None = omitted()
    template: str | None = omitted()


class SendSms(Speaking, frozen=True):
    """Sends a text message."""

    type: Literal["send_sms"]
    name: Name
    sms_content: MessageContent


# --- what does something elsewhere ----------------------------------------------------------------------------------


class Custom(Speaking, frozen=True):
    """An HTTP request. ``timeout_ms`` is for one attempt."""

    type: Literal["custom"]
    name: Name
    url: Text
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = omitted()
    headers: Texts | None = omitted()
    query_params: Texts | None = omitted()
    parameters: ObjectSchema | None = omitted()
    parameter_type: Literal["json", "form"] | None = omitted()
    response_variables: Texts | None = omitted()
    speak_after_execution: Flag | None = omitted()
    timeout_ms: Annotated[Whole, Field(ge=1000, le=600_000)] | None = omitted()
    args_at_root: Flag | None = omitted()
    max_retry: Annotated[Whole, Field(ge=0, le=5)] | None = omitted()


class Code(Speaking, frozen=True):
    """A program in JavaScript."""

    type: Literal["code"]
    name: Name
    code: Annotated[str, Field(min_length=1, max_length=MAX_CODE)]
    timeout_ms: Annotated[Whole, Field(ge=5000, le=60_000)] | None = omitted()
    response_variables: Texts | None = omitted()
    speak_after_execution: Flag | None = omitted()


class Cal(BaseModel, frozen=True, extra="allow"):
    """A request to Cal.com; the event type may be a variable."""

    type: Literal["check_availability_cal", "book_appointment_cal"]
    name: Name
    cal_api_key: Text
    event_type_id: Whole | Number | Text
    description: str | None = omitted()
    timezone: str | None = omitted()


class Mcp(Speaking, frozen=True):
    """A tool of an MCP server, under the name that it has there."""

    type: Literal["mcp"]
    name: Text
    description: str = Field(...)
    mcp_id: str | None = omitted()
    input_schema: dict[str, Any] | None = omitted()
    response_variables: Texts | None = omitted()
    speak_after_execution: Flag | None = omitted()


class IntegrationApp(Speaking, frozen=True):
    """A tool of an app that is connected to the vendor's server."""

    type: Literal["integration_app"]
    name: Name
    app_id: Text
    app_tool_template_name: Text
    provider: Text
    parameters: list[ObjectSchema] | ObjectSchema | None = omitted()
    response_variables: Texts | None = omitted()


# --- what is found out ----------------------------------------------------------------------------------------------


class Variable(BaseModel, frozen=True, extra="allow"):
    """Something to find out; a choice needs its choices."""

    type: Literal["string", "enum", "boolean", "number"]
    name: Text
    description: str
    choices: list[str] | None = omitted()
    examples: list[str] | None = omitted()
    conditional_prompt: str | None = omitted()
    required: Flag | None = omitted()


def _choosable(variable: Variable) -> Variable:
    if variable.type == "enum" and not variable.choices:
        raise ValueError("a variable of type enum needs choices")
    return variable


Variables = Annotated[list[Annotated[Variable, AfterValidator(_choosable)]], Field(min_length=1)]


class ExtractVariables(BaseModel, frozen=True, extra="allow"):
    """Fills variables from what was said."""

    type: Literal["extract_dynamic_variable"]
    name: Name
    description: str
    variables: Variables


# --- any of them ----------------------------------------------------------------------------------------------------

KINDS = (
    "end_call",
    "transfer_call",
    "bridge_transfer",
    "cancel_transfer",
    "agent_swap",
    "press_digit",
    "send_sms",
    "custom",
    "code",
    "check_availability_cal",
    "book_appointment_cal",
    "mcp",
    "integration_app",
    "extract_dynamic_variable",
)
"""The kinds of tools that are known."""


class Other(BaseModel, frozen=True, extra="allow"):
    """A kind of tool that is not known here: kept and given back."""

    type: Annotated[str, Field(json_schema_extra={"not": {"enum": list(KINDS)}})]


def _kind(tool: object) -> str:
    kind = cast("dict[str, object]", tool).get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    if kind in ("check_availability_cal", "book_appointment_cal"):
        return "cal"
    return kind if isinstance(kind, str) and kind in KINDS else "other"


ToolShape = Annotated[
    Annotated[EndCall, Tag("end_call")]
    | Annotated[TransferCall, Tag("transfer_call")]
    | Annotated[BridgeTransfer, Tag("bridge_transfer")]
    | Annotated[CancelTransfer, Tag("cancel_transfer")]
    | Annotated[AgentSwap, Tag("agent_swap")]
    | Annotated[PressDigit, Tag("press_digit")]
    | Annotated[SendSms, Tag("send_sms")]
    | Annotated[Custom, Tag("custom")]
    | Annotated[Code, Tag("code")]
    | Annotated[Cal, Tag("cal")]
    | Annotated[Mcp, Tag("mcp")]
    | Annotated[IntegrationApp, Tag("integration_app")]
    | Annotated[ExtractVariables, Tag("extract_dynamic_variable")]
    | Annotated[Other, Tag("other")],
    Discriminator(_kind),
]
"""Any tool; the known kinds are checked for what they need."""


# --- mocks ----------------------------------------------------------------------------------------------------------


class AnyCall(BaseModel, frozen=True, extra="ignore"):
    """Matches every call."""

    type: Literal["any"]


class PartialMatch(BaseModel, frozen=True, extra="ignore"):
    """Matches calls that have these arguments, and perhaps others."""

    type: Literal["partial_match"]
    args: dict[str, Any]


class ToolMockShape(BaseModel, frozen=True, extra="ignore"):
    """What a tool answers instead of being called; ``result`` false is a failure."""

    tool_name: str
    input_match_rule: Annotated[AnyCall | PartialMatch, Field(discriminator="type")]
    output: Annotated[str, Field(max_length=MAX_OUTPUT)]
    result: Flag | None = omitted()
