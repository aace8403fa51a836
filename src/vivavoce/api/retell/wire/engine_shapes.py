"""The shapes that requests of response engines of both kinds have in common (contract, sections 4, 7.2 and 13)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from vivavoce.api.shape import Flag, Number, Whole, omitted

Texts = dict[str, str]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]
"""Any name: what it stands for is the server's matter."""

Temperature = Annotated[Number, Field(ge=0, le=1)]
Speaker = Literal["user", "agent"]
Version = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""The number of a version, in a query."""


class ModelRef(BaseModel, frozen=True, extra="allow"):
    """A model by its name."""

    model: ModelName


class ModelConfig(BaseModel, frozen=True, extra="allow"):
    """Which models speak; without a type they are models of text."""

    type: Literal["cascading", "s2s"] = omitted()
    primary: ModelRef = omitted()
    backup: ModelRef | None = omitted()
    temperature: Temperature = omitted()


class BackupModel(BaseModel, frozen=True, extra="allow"):
    """The model that speaks where the first is slow or fails."""

    backup_model_choice: ModelRef = omitted()


class KnowledgeConfig(BaseModel, frozen=True, extra="allow"):
    """How documents are searched."""

    top_k: Annotated[Whole, Field(ge=1, le=10)] = omitted()
    filter_score: Annotated[Number, Field(ge=0, le=1)] = omitted()


class Server(BaseModel, frozen=True, extra="allow"):
    """An MCP server. ``timeout_ms`` is for one request."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    url: Annotated[str, Field(min_length=1, max_length=2048)]
    headers: Texts | None = omitted()
    query_params: Texts | None = omitted()
    timeout_ms: Annotated[Whole, Field(ge=1, le=600_000)] | None = omitted()


def _named_once(servers: list[Server]) -> list[Server]:
    names = [one.name for one in servers]
    if len(set(names)) < len(names):
        raise ValueError("MCP servers must have different names")
    return servers


Servers = Annotated[list[Server], AfterValidator(_named_once)]


class EngineShape(BaseModel, frozen=True, extra="allow"):
    """What both kinds may be sent with."""

    start_speaker: Speaker = omitted()
    config: Annotated[ModelConfig | None, Field(alias="model_config")] = omitted()
    backup_model: BackupModel | None = omitted()
    model_temperature: Temperature | None = omitted()
    tool_call_strict_mode: Flag | None = omitted()
    knowledge_base_ids: list[str] | None = omitted()
    kb_config: KnowledgeConfig | None = omitted()
    begin_after_user_silence_ms: Annotated[Whole, Field(ge=0)] | None = omitted()
    default_dynamic_variables: Texts | None = omitted()
    mcps: Servers | None = omitted()
