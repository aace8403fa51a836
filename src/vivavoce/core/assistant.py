"""An assistant is a set of versions, one of which is main."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vivavoce.core.event import Millis
from vivavoce.core.flow import AssistantTarget, Flow, PromptNode, ToolNode
from vivavoce.core.mind import Mind
from vivavoce.core.passage import Recall
from vivavoce.core.server import OwnServer
from vivavoce.core.tool import HandoffTool, Tool


def _nothing() -> dict[str, Any]:
    return {}


MODEL_OPENS = "<assistant-speaks-first-with-model-generated-message>"
"""The greeting that asks the model to write the opening line."""


class Rules(StrEnum):
    """Which rules fill ``{{variables}}`` in."""

    PATHS = "paths"  # dotted paths, dates, names of nobody dropped from words (``assistant.variables``)
    NESTED = "nested"  # names within names, all values texts, names of nobody stay (``assistant.braces``)


@dataclass(frozen=True, slots=True)
class Templating:
    """How templates are filled in, chosen by the API that wrote the version.

    ``prefix`` stands before the names of the system variables (current time, channel, targets). ``zone`` is the time
    zone of times that name none.
    """

    prefix: str = ""
    rules: Rules = Rules.PATHS
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Attached:
    """An MCP server or an integration that an assistant may use. ``allowed`` None leaves the choice to the server's own
    list; otherwise only the tools it names are offered."""

    id: str
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Opener:
    """Who is asked for variables when a conversation starts (contract, section 6.3, Webhook)."""

    url: str
    timeout_ms: int = 1500


@dataclass(frozen=True, slots=True)
class Plays:
    """The version of another assistant as which this one speaks; ``number`` None is its newest."""

    assistant_id: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One complete configuration of an assistant.

    ``greeting`` is None (unset), empty (wait for the caller), ``MODEL_OPENS`` or a template. ``shared`` are the ids of
    tools in the shared library; ``library`` holds those tools themselves, and those that the flow names, where the
    version was completed to be run. ``remote`` are the tools that attached servers offer, found when a conversation
    begins. ``keeps`` false keeps no history after a conversation. ``idle_minutes`` of silence end a conversation of
    messages. ``reports`` asks for one more turn when a conversation is over. ``extra`` holds settings that are kept and
    given back unchanged.

    ``number`` counts an assistant's versions from 0. One that is ``published`` never changes again; ``base`` is the
    number of the version that it was copied from. A version that ``plays`` another assistant's has its words, tools and
    flow from there (``services.engines.completed``). ``own_servers`` are MCP servers that no other assistant has;
    ``recall`` are documents that are searched before each answer.
    """

    id: str
    assistant_id: str
    name: str
    instructions: str
    created_at: Millis
    label: str = ""
    description: str | None = None
    mind: Mind = Mind()
    fallback: Mind | None = None
    greeting: str | None = None
    tools: tuple[Tool, ...] = ()
    shared: tuple[str, ...] = ()
    library: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    servers: tuple[Attached, ...] = ()
    integrations: tuple[Attached, ...] = ()
    remote: tuple[Tool, ...] = ()
    flow: Flow | None = None
    variables: Mapping[str, Any] = field(default_factory=_nothing)
    opener: Opener | None = None
    insight_group: str | None = None
    insight_model: str | None = None
    keeps: bool = True
    reports: bool = False
    idle_minutes: int | None = None
    templating: Templating = Templating()
    number: int = 0
    published: bool = False
    base: int | None = None
    changed_at: Millis = 0
    plays: Plays | None = None
    own_servers: tuple[OwnServer, ...] = ()
    recall: Recall | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)

    def referred(self) -> tuple[str, ...]:
        """The ids of the assistants that this one can hand a conversation to."""
        flows = self.flow.own_tools() if self.flow else ()
        tools = (tool for tool in (*self.tools, *self.library.values(), *flows) if isinstance(tool, HandoffTool))
        targets = [target.assistant_id for tool in tools for target in tool.targets]
        edges = self.flow.edges if self.flow else ()
        targets += [edge.target.assistant_id for edge in edges if isinstance(edge.target, AssistantTarget)]
        return tuple(dict.fromkeys(targets))

    def library_ids(self) -> tuple[str, ...]:
        """The ids of all shared tools that it names: its own, and those of the nodes of its flow."""
        found = list(self.shared)
        for node in self.flow.nodes if self.flow else ():
            if isinstance(node, ToolNode):
                found.append(node.tool)
            elif isinstance(node, PromptNode):
                found += node.tools or ()
        return tuple(id_ for id_ in dict.fromkeys(found) if self.flow is None or id_ not in self.flow.tools)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an assistant was imported from: the provider, and the id it has there."""

    provider: str
    id: str


class Form(StrEnum):
    """What an assistant is made as. All of them run alike; what can be done with their versions differs."""

    ASSISTANT = "assistant"  # every change is a version; one of them is main
    PROMPTS = "prompts"  # a prompt, perhaps with states; drafts are edited in place and published
    FLOW = "flow"  # a flow; drafts as well
    VOICE_AGENT = "voice_agent"  # speaks as one of the two above, on calls
    CHAT_AGENT = "chat_agent"  # the same in writing


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant and its main version. Its tags and its origin belong to all of its versions."""

    id: str
    main: Version
    created_at: Millis
    tags: tuple[str, ...] = ()
    origin: Origin | None = None
    deleted_at: Millis | None = None
    form: Form = Form.ASSISTANT


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody who can speak in a conversation: the version it begins with, and by their assistant's id those that it
    can be handed to, directly or over others."""

    first: Version
    others: Mapping[str, Version] = field(default_factory=dict[str, Version])
