"""Models and chat completions on the wire (contract, section 5.18)."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, model_validator

from vivavoce.api.shape import Flag, Number, Whole, fault, omitted, refuse, sent, storable
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.models.catalogue import Listed

_OURS = frozenset({"model", "api_key_ref", "region", "mode"})
_UNKNOWN = "unknown"


class Part(BaseModel, frozen=True, extra="allow"):
    """A piece of a message."""

    type: str


class ChatMessage(BaseModel, frozen=True, extra="allow"):
    """One message; the assistant's may hold nothing but tool calls."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Part] | None = omitted()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        calls = bool((self.model_extra or {}).get("tool_calls"))
        if self.content is None and not (self.role == "assistant" and calls):
            raise refuse(fault("missing", "Field required", None, ("content",)))
        return self


class Function(BaseModel, frozen=True, extra="allow"):
    """What can be called."""

    name: str
    description: str = omitted()
    parameters: dict[str, Any] = omitted()


class FunctionOffer(BaseModel, frozen=True, extra="allow"):
    """A function."""

    type: Literal["function"]
    function: Function


class Buckets(BaseModel, frozen=True, extra="allow"):
    """Embedded documents."""

    bucket_ids: list[str]
    max_num_results: Whole = omitted()


class RetrievalOffer(BaseModel, frozen=True, extra="allow"):
    """A search in embedded documents."""

    type: Literal["retrieval"]
    retrieval: Buckets


class NamedSchema(BaseModel, frozen=True, extra="allow"):
    """A JSON Schema and its name."""

    name: str


class ResponseFormat(BaseModel, frozen=True, extra="allow"):
    """What form the answer has."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema = omitted()

    @model_validator(mode="after")
    def _with_its_schema(self) -> Self:
        if self.type == "json_schema" and "json_schema" not in self.model_fields_set:
            raise refuse(fault("missing", "Field required", None, ("json_schema",)))
        return self


Stops = Annotated[list[str], Field(max_length=4)]
Offer = Annotated[FunctionOffer | RetrievalOffer, Discriminator("type")]


class ChatCompletion(BaseModel, frozen=True, extra="allow"):
    """A request for chat completions. What it holds beyond these fields goes to the provider as well."""

    messages: list[ChatMessage]
    model: Annotated[str, Field(min_length=1)] = omitted()
    api_key_ref: str = omitted()
    stream: Flag = omitted()
    temperature: Number = omitted()
    max_tokens: Whole | None = omitted()
    n: Whole = omitted()
    stop: str | Stops = omitted()
    top_p: Number = omitted()
    seed: Whole = omitted()
    logprobs: Flag = omitted()
    top_logprobs: Whole = omitted()
    frequency_penalty: Number = omitted()
    presence_penalty: Number = omitted()
    tools: list[Offer] = omitted()
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] = omitted()
    response_format: ResponseFormat = omitted()
    guided_json: dict[str, Any] = omitted()
    guided_choice: list[str] = omitted()
    guided_regex: str = omitted()
    min_p: Number = omitted()
    use_beam_search: Flag = omitted()
    best_of: Whole = omitted()
    length_penalty: Number = omitted()
    early_stopping: Flag = omitted()
    enable_thinking: Flag = omitted()
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] = omitted()
    service_tier: str = omitted()
    region: Literal["USA", "EU", "AUS", "UAE"] = omitted()
    mode: Literal["preferred", "strict"] = omitted()

    _storable = model_validator(mode="before")(storable)

    @model_validator(mode="after")
    def _promises(self) -> Self:
        given = self.model_fields_set
        if "mode" in given and "region" not in given:
            raise refuse(fault("missing", "mode requires region", None, ("region",)))
        if "mode" in given and self.mode == "strict":
            message = "No region can be promised here: each provider serves from where it is"
            raise refuse(fault("region_not_served", message, self.region, ("region",)))
        return self

    @property
    def retrieves(self) -> bool:
        """Whether it offers a search in embedded documents."""
        return any(isinstance(tool, RetrievalOffer) for tool in self.tools or ())

    def for_provider(self) -> dict[str, Any]:
        """What was sent, without what is meant for this server."""
        return {name: value for name, value in sent(self).items() if name not in _OURS}


def dump_models(models: Sequence[Listed]) -> dict[str, Any]:
    """The list of models. What is known of none is *unknown*, empty or zero; ``created`` is then the epoch."""
    return {"object": "list", "data": [_dump(model) for model in models]}


def _dump(model: Listed) -> dict[str, Any]:
    parts = model.name.split("/")
    owner = model.owner or (parts[0] if len(parts) > 1 else _UNKNOWN)
    dumped: dict[str, Any] = {
        "id": model.name,
        "object": "model",
        "created": iso(model.created_s * 1000),
        "owned_by": owner,
        "organization": parts[-2] if len(parts) > 1 else owner,
        "context_length": model.context,
        "languages": [],
        "license": _UNKNOWN,
        "parameters": 0,
        "tier": "unlisted",
        "recommended_for_assistants": model.preferred,
    }
    return {**dumped, "description": model.note} if model.note else dumped
