"""A conversation's events in order, and what can be read off them. A turn is an event's place, counted from 0."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything that happened so far, oldest first."""

    events: tuple[Event, ...] = ()

    def plus(self, events: Sequence[Event]) -> "Transcript":
        """The transcript with more events at its end."""
        return Transcript((*self.events, *events))

    @property
    def ending(self) -> Ending | None:
        """How it ended, or None while it goes on."""
        last = self.events[-1] if self.events else None
        return last.ending if isinstance(last, Left) else None

    @property
    def talked_ms(self) -> int:
        """How long the conversation took: the sum of what each event took, so a server's downtime does not count."""
        return sum(event.took_ms for event in self.events)

    @property
    def usage(self) -> Usage:
        """What the models of assistant and tester cost so far."""
        spent = Usage(attempts=0)
        for event in self.events:
            used = None if isinstance(event, ToolReturned) else event.usage
            spent = spent.plus(used) if used else spent
        return spent

    def said(self, speaker: Speaker) -> tuple[tuple[int, Message], ...]:
        """(turn, message) of everything this speaker said, silences included."""
        return tuple((turn, event) for turn, event in self.messages() if event.speaker is speaker)

    def messages(self) -> Iterator[tuple[int, Message]]:
        """(turn, message) of everything said by anybody."""
        for turn, event in enumerate(self.events):
            if isinstance(event, Message):
                yield turn, event

    def tool_calls(self) -> tuple[tuple[int, ToolCall], ...]:
        """(turn, call) of every tool call."""
        return tuple((turn, event.call) for turn, event in enumerate(self.events) if isinstance(event, ToolCalled))

    def result_of(self, call_id: str) -> ToolReturned | None:
        """What the call returned, or None while it is pending."""
        for event in self.events:
            if isinstance(event, ToolReturned) and event.call_id == call_id:
                return event
        return None

    def pending_calls(self) -> tuple[ToolCall, ...]:
        """Calls that were asked for and have no result yet, in order."""
        returned = {event.call_id for event in self.events if isinstance(event, ToolReturned)}
        return tuple(call for _, call in self.tool_calls() if call.id not in returned)

    def response_times(self) -> tuple[tuple[int, int], ...]:
        """(turn, milliseconds) for each stretch in which the assistant answered the caller.

        The time is everything the assistant did between a caller's message and the end of its reply,
        tool calls included; the turn is that of its last message in the stretch. An opening that nobody
        waited for is not a response.
        """
        found: list[tuple[int, int]] = []
        spent, last, waiting = 0, -1, False
        for turn, event in enumerate(self.events):
            if (isinstance(event, Message) and event.speaker is Speaker.CALLER) or isinstance(event, Left):
                if waiting and last >= 0:
                    found.append((last, spent))
                spent, last, waiting = 0, -1, True
            else:
                spent += event.took_ms
                if isinstance(event, Message):
                    last = turn
        if waiting and last >= 0:
            found.append((last, spent))
        return tuple(found)
