"""Chats with agents, as this API writes them (contract, section 9)."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.retell.wire.messages import collected, dump_messages, dump_text
from vivavoce.api.retell.wire.paging import MOST
from vivavoce.api.shape import Flag, Number, Whole, omitted, storable
from vivavoce.core.conversation import Conversation
from vivavoce.services.chat import ENDING
from vivavoce.services.talks import VERSION, Said
from vivavoce.storage.conversations import FAULTS, Bound, State, TalkFilter

METADATA, VARIABLES = "metadata", "variables"
ATTRIBUTES, STORAGE = "custom_attributes", "data_storage_setting"
MAX_METADATA = 50_000
"""Bytes of ``metadata``."""
MAX_VERSION, MAX_TAG = 2**31 - 1, 64
MOST_AGENTS = 100
"""Of how many agents, and of how many versions of each, the chats can be asked for at once."""
_STRICTER = ("everything", "everything_except_pii", "basic_attributes_only")

Storage = Literal["everything", "everything_except_pii", "basic_attributes_only"]
Variables = dict[str, str]
Time = Annotated[Number, Field(ge=-(2.0**53), le=2.0**53)]
"""A time in milliseconds, compared with one."""

# --- requests -------------------------------------------------------------------------------------------------------


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


def _small(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if len(json.dumps(value).encode()) > MAX_METADATA:
        raise ValueError(f"must not be larger than {MAX_METADATA} bytes")
    return value


def _version(value: object) -> object:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    number = isinstance(whole, int) and not isinstance(whole, bool) and 0 <= whole <= MAX_VERSION
    if not number and not (isinstance(whole, str) and len(whole) <= MAX_TAG):
        raise ValueError("must be the number of a version, or what names one")
    return whole


Metadata = Annotated[dict[str, Any] | None, AfterValidator(_small)]
Numbered = Annotated[Whole, Field(ge=0, le=MAX_VERSION)]


class ChatCreate(_Body):
    """What a chat begins with."""

    agent_id: str
    agent_version: Annotated[int | str, BeforeValidator(_version)] = omitted()
    metadata: Metadata = None
    retell_llm_dynamic_variables: Variables | None = None

    def kept(self) -> dict[str, Any]:
        """What is kept with the chat."""
        found: dict[str, Any] = {}
        if self.metadata is not None:
            found[METADATA] = self.metadata
        if self.retell_llm_dynamic_variables is not None:
            found[VARIABLES] = self.retell_llm_dynamic_variables
        return found


class CompletionCreate(_Body):
    """What the user says."""

    chat_id: str
    content: str = Field(min_length=1)


class ChatUpdate(_Body):
    """What is changed of a chat; what is left out stays."""

    metadata: Metadata = None
    data_storage_setting: Storage = omitted()
    override_dynamic_variables: Variables | None = None
    custom_attributes: dict[str, str | Flag | Number] = omitted()

    @property
    def restores(self) -> bool:
        """Whether null takes back what was overridden."""
        return "override_dynamic_variables" in self.model_fields_set and self.override_dynamic_variables is None

    def change(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept with the chat from now on. Raises ``Refused`` where less strict storage is asked for."""
        changed = dict(extra)
        for name in (METADATA, STORAGE, ATTRIBUTES):
            if name in self.model_fields_set:
                changed[name] = getattr(self, name)
        before, after = (_STRICTER.index(one.get(STORAGE, _STRICTER[0])) for one in (extra, changed))
        if after < before:
            raise Refused(400, "data_storage_setting cannot be changed to one that stores more.")
        return changed


# filters


class TextFilter(BaseModel, frozen=True):
    """A comparison with one text."""

    type: Literal["string"]
    op: Literal["eq", "ne"]
    value: str


class ChoiceFilter(BaseModel, frozen=True):
    """One of these texts."""

    type: Literal["enum"]
    op: Literal["in"]
    value: Annotated[list[str], Field(max_length=MOST)]


class StatusFilter(BaseModel, frozen=True):
    """One of these states."""

    type: Literal["enum"]
    op: Literal["in"]
    value: Annotated[list[Literal["ongoing", "ended", "error"]], Field(max_length=MOST)]


class NumberFilter(BaseModel, frozen=True):
    """A comparison with a number."""

    type: Literal["number"]
    op: Literal["eq", "ne", "gt", "ge", "lt", "le"]
    value: Time


class RangeFilter(BaseModel, frozen=True):
    """Between two numbers, both included."""

    type: Literal["range"]
    op: Literal["bt"]
    value: tuple[Time, Time]


TimeFilter = Annotated[NumberFilter | RangeFilter, Field(discriminator="type")]


class AgentFilter(BaseModel, frozen=True):
    """An agent, and the versions of it that are wanted; none are all."""

    agent_id: str
    version: Annotated[list[Numbered], Field(max_length=MOST_AGENTS)] | None = None


class Criteria(BaseModel, frozen=True):
    """What chats are chosen by. What this server cannot choose by is refused: the answer would be wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: Annotated[list[AgentFilter], Field(max_length=MOST_AGENTS)] | None = None
    chat_id: Annotated[TextFilter | ChoiceFilter, Field(discriminator="type")] | None = None
    chat_status: StatusFilter | None = None
    chat_type: ChoiceFilter | None = None
    start_timestamp: TimeFilter | None = None
    end_timestamp: TimeFilter | None = None

    def to_filter(self) -> TalkFilter:
        """The same in the words of the store."""
        agents = None
        if self.agent:
            agents = tuple((read("agent", one.agent_id), tuple(one.version or ())) for one in self.agent)
        if self.chat_type is not None and "api_chat" not in self.chat_type.value:
            agents = ()
        ids: tuple[str, ...] | None = None
        others: tuple[str, ...] = ()
        match self.chat_id:
            case ChoiceFilter(value=value):
                ids = tuple(read("chat", one) for one in value)
            case TextFilter(op="eq", value=value):
                ids = (read("chat", value),)
            case TextFilter(value=value):
                others = (read("chat", value),)
            case None:
                pass
        states: tuple[State, ...] | None = None
        if self.chat_status is not None:
            states = tuple("failed" if one == "error" else one for one in dict.fromkeys(self.chat_status.value))
        return TalkFilter(agents, ids, others, states, _bounds(self.start_timestamp), _bounds(self.end_timestamp))


def _bounds(wanted: NumberFilter | RangeFilter | None) -> tuple[Bound, ...]:
    match wanted:
        case NumberFilter(op=op, value=value):
            return ((op, value),)
        case RangeFilter(value=(least, most)):
            return (("ge", least), ("le", most))
        case None:
            return ()


class ChatList(_Body):
    """Which stretch of the list of chats is asked for."""

    filter_criteria: Criteria | None = None
    sort_order: Literal["ascending", "descending"] = "descending"
    limit: Annotated[Whole, Field(ge=1, le=MOST)] = 50
    skip: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = 0
    pagination_key: Annotated[str, Field(max_length=512)] | None = None
    include_total: Flag = False


# --- answers --------------------------------------------------------------------------------------------------------


def dump_item(conversation: Conversation) -> dict[str, Any]:
    """A chat without what was said in it, as lists show it."""
    extra = conversation.extra or {}
    item: dict[str, Any] = {
        "chat_id": shown("chat", conversation.id),
        "agent_id": shown("agent", conversation.assistant_id or ""),
        "version": extra.get(VERSION),
        "chat_status": _status(conversation),
        "chat_type": "api_chat",
        "start_timestamp": conversation.created_at,
    }
    if conversation.ended_at is not None:
        item["end_timestamp"] = conversation.ended_at
    if METADATA in extra:
        item["metadata"] = extra[METADATA]
    if VARIABLES in extra:
        item["retell_llm_dynamic_variables"] = extra[VARIABLES]
    if ATTRIBUTES in extra:
        item["custom_attributes"] = extra[ATTRIBUTES]
    return item | {"chat_cost": {"combined_cost": 0, "product_costs": []}}


def _status(conversation: Conversation) -> str:
    if conversation.ended_at is None:
        return "ongoing"
    return "error" if (conversation.extra or {}).get(ENDING) in {one.value for one in FAULTS} else "ended"


def dump_chat(said: Said) -> dict[str, Any]:
    """A chat with all that happened in it."""
    return {
        **dump_item(said.conversation),
        "transcript": dump_text(said.transcript),
        "message_with_tool_calls": dump_messages(said.transcript, said.cast, key=said.conversation.id),
        "collected_dynamic_variables": collected(said.transcript),
    }


def dump_turn(said: Said, first: int) -> dict[str, Any]:
    """What happened since that turn."""
    return {"messages": dump_messages(said.transcript, said.cast, key=said.conversation.id, first=first)}
