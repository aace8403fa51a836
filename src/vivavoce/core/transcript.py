"""A conversation's events in order, and what can be read off them. A turn is an event's place, counted from 0."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Recalled,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything that happened so far, oldest first."""

    events: tuple[Event, ...] = ()

    def plus(self, events: Sequence[Event]) -> "Transcript":
        """The transcript with more events at its end."""
        return Transcript((*self.events, *events))

    @property
    def end(self) -> tuple[int, Left] | None:
        """(turn, how it ended), or None while it goes on. What the assistant does when it is over stands behind it.

        A conversation that only counted as over, because nobody said anything for a while, goes on when the caller
        speaks again.
        """
        spoken = False
        for turn in range(len(self.events) - 1, -1, -1):
            event = self.events[turn]
            if isinstance(event, Left):
                return None if spoken and event.ending is Ending.IDLE else (turn, event)
            spoken = spoken or (isinstance(event, Message) and event.speaker is Speaker.CALLER)
        return None

    @property
    def ending(self) -> Ending | None:
        """How it ended, or None while it goes on."""
        end = self.end
        return end[1].ending if end else None

    @property
    def last_act(self) -> Message | ToolCalled | ToolReturned | Left | None:
        """The last thing that somebody said or did. Movements in a flow, handovers and words that only fill the time
        are passed over: they leave it open whose turn it is."""
        for event in reversed(self.events):
            if isinstance(event, Moved | HandedOver | Recalled) or (isinstance(event, Message) and event.fills):
                continue
            return event
        return None

    @property
    def talked_ms(self) -> int:
        """How long the conversation took, to its end: the sum of what each event took, so a server's downtime does not
        count."""
        end = self.end
        return sum(event.took_ms for event in (self.events[: end[0] + 1] if end else self.events))

    @property
    def usage(self) -> Usage:
        """What the models of assistant and tester cost so far."""
        spent = Usage(attempts=0)
        for event in self.events:
            used = None if isinstance(event, ToolReturned | Recalled) else event.usage
            spent = spent.plus(used) if used else spent
        return spent

    def tokens_by_model(self, total: Usage) -> dict[str, tuple[int, int]]:
        """(tokens of questions, tokens of answers) by the names of the models that took any.

        ``total`` is what the whole examination cost; what of it is in no event is the judge's, who came last.
        """
        known = self.usage
        judging = (
            total.model,
            max(0, total.input_tokens - known.input_tokens),
            max(0, total.output_tokens - known.output_tokens),
        )
        spent = [
            (event.usage.model, event.usage.input_tokens, event.usage.output_tokens)
            for event in self.events
            if not isinstance(event, ToolReturned | Recalled) and event.usage is not None
        ]
        found: dict[str, tuple[int, int]] = {}
        for model, input_tokens, output_tokens in (*spent, judging):
            if input_tokens or output_tokens:
                before = found.get(model, (0, 0))
                found[model] = before[0] + input_tokens, before[1] + output_tokens
        return found

    def said(self, speaker: Speaker) -> tuple[tuple[int, Message], ...]:
        """(turn, message) of everything this speaker said, silences included."""
        return tuple((turn, event) for turn, event in self.messages() if event.speaker is speaker)

    def messages(self) -> Iterator[tuple[int, Message]]:
        """(turn, message) of everything said by anybody. Words behind the end reached nobody and are not among them,
        until the caller speaks again in a conversation that only counted as over (``end``)."""
        over = False
        for turn, event in enumerate(self.events):
            if isinstance(event, Left):
                if event.ending is not Ending.IDLE:
                    return
                over = True
            elif isinstance(event, Message):
                over = over and event.speaker is not Speaker.CALLER
                if not over:
                    yield turn, event

    def tool_calls(self) -> tuple[tuple[int, ToolCall], ...]:
        """(turn, call) of every tool call."""
        return tuple((turn, event.call) for turn, event in enumerate(self.events) if isinstance(event, ToolCalled))

    def free_call_id(self, turn: int) -> str:
        """An id for a tool call that stands at that turn. Providers number their calls anew in every answer, and
        clients that write calls choose ids of their own; within a conversation an id is unique."""
        taken = {call.id for _, call in self.tool_calls()}
        id_ = f"call_{turn}"
        while id_ in taken:
            id_ += "_"
        return id_

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
        waited for is not a response, nor are words that only fill the time.
        """
        found: list[tuple[int, int]] = []
        spent, answer, waiting = 0, (-1, 0), False
        for turn, event in enumerate(self.events):
            over = isinstance(event, Left)
            if over or (isinstance(event, Message) and event.speaker is Speaker.CALLER):
                if waiting and answer[0] >= 0:
                    found.append(answer)
                if over:
                    return tuple(found)
                spent, answer, waiting = 0, (-1, 0), True
            else:
                spent += event.took_ms
                if isinstance(event, Message) and not event.fills:
                    answer = (turn, spent)
        if waiting and answer[0] >= 0:
            found.append(answer)
        return tuple(found)
