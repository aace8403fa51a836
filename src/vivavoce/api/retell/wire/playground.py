"""One turn of an agent, as this API asks for it and answers (contract, section 11)."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.messages import (
    MessageShape,
    dump_messages,
    dump_place,
    find_node,
    read_messages,
    texts,
)
from vivavoce.api.retell.wire.tool_shapes import ToolMockShape
from vivavoce.api.retell.wire.tools import to_mocks
from vivavoce.api.shape import sent, storable
from vivavoce.core.assistant import Cast
from vivavoce.core.event import Millis, Recalled
from vivavoce.core.tool import ToolMock
from vivavoce.core.transcript import Transcript
from vivavoce.services.playground import Turn, standing

MAX_MESSAGES = 2000
"""The most messages of one history."""


class CompletionRequest(BaseModel):
    """All that happened so far, and where the agent stands."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    messages: Annotated[list[MessageShape], Field(max_length=MAX_MESSAGES)]
    dynamic_variables: dict[str, str] = Field(default_factory=dict[str, str])
    tool_mocks: list[ToolMockShape] = Field(default_factory=list[ToolMockShape])
    current_state: str | None = None
    current_node_id: str | None = None
    component_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)

    def mocks(self) -> tuple[ToolMock, ...]:
        """What tools answer."""
        return to_mocks([sent(one) for one in self.tool_mocks])

    def transcript(self, cast: Cast, now: Millis) -> Transcript:
        """What happened so far, with the agent standing where it is said to stand.

        Raises ``Refused`` where it has no such node or state.
        """
        flow = cast.first.flow
        component = self.component_id or None
        transcript = Transcript(read_messages(self.messages, flow, now=now, component=component))
        wanted = self.current_state or self.current_node_id
        if flow is None or not wanted:
            return transcript
        states = flow.routes == "after"
        if states is not bool(self.current_state):
            kind, field = ("states", "current_state") if states else ("nodes", "current_node_id")
            raise Refused(400, f"This agent has {kind}: say where it stands with {field}.")
        node = find_node(flow, wanted, None if states else component)
        if node is None:
            where = f" in the component {component!r}" if component and not states else ""
            raise Refused(400, f"There is no {'state' if states else 'node'} {wanted!r}{where}.")
        return standing(flow, transcript, node, now)


def dump_turn(turn: Turn, cast: Cast, first: int, key: str) -> dict[str, Any]:
    """What the agent did; ``first`` is the turn at which it began."""
    flow = cast.first.flow
    passages = [passage for event in turn.events if isinstance(event, Recalled) for passage in event.passages]
    answer: dict[str, Any] = {
        "messages": dump_messages(turn.transcript, cast, key=key, first=first),
        "dynamic_variables": texts(turn.variables),
        "call_ended": turn.ended,
        "knowledge_base_retrieved_contents": passages,
    }
    return answer | (dump_place(flow, turn.node) if flow is not None and turn.node is not None else {})
