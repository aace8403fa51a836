"""A run told with times, for a person to read."""

from collections.abc import Sequence
from datetime import UTC, datetime

from vivavoce.core.event import Event, HandedOver, Message, Millis, Moved, Recalled, ToolCalled, ToolReturned, Usage
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome, Verdict
from vivavoce.examination.quotes import text_of


def tell(
    title: str,
    started_at: Millis,
    notes: Sequence[str],
    transcript: Transcript,
    verdicts: Sequence[Verdict] = (),
    outcome: Outcome | None = None,
    usage: Usage | None = None,
) -> str:
    """The story: a heading with the time in UTC, then a line for everything that happened, minutes and seconds from
    the start before it, then the verdicts, how the run came out, and the tokens it took."""
    begin = datetime.fromtimestamp(started_at / 1000, UTC)
    lines = [f"{begin:%Y-%m-%d %H:%M:%S} UTC  {title}"]
    lines += [f"           {note}" for note in notes]
    lines += [f"{_clock(event.at - started_at)}  {_told(event)}" for event in transcript.events]
    for verdict in verdicts:
        proof = f' — [{verdict.quote.turn}] "{verdict.quote.text}"' if verdict.quote else ""
        lines.append(
            f"           {verdict.decision.value}: {verdict.criterion} — {verdict.reason}{proof}"
            f" (decided by: {verdict.decided_by})"
        )
    if outcome is not None:
        fault = f" (fault: {outcome.fault.value})" if outcome.fault else ""
        lines.append(f"           {outcome.status.value}: {outcome.reason}{fault}")
    if usage is not None and usage.input_tokens + usage.output_tokens:
        lines.append(f"           tokens: {usage.input_tokens} in, {usage.output_tokens} out")
    return "\n".join(lines)


def retold(setbacks: Sequence[str]) -> list[str]:
    """Notes for the story of a run that was begun more than once: what broke off each attempt before the last."""
    return [f"attempt {number}: the one before broke off: {reason}" for number, reason in enumerate(setbacks, 2)]


def _clock(ms: int) -> str:
    minutes, rest = divmod(max(ms, 0), 60_000)
    return f"{minutes:02d}:{rest / 1000:06.3f}"


def _told(event: Event) -> str:
    took = f" [{event.took_ms / 1000:.2f} s]" if event.took_ms else ""
    match event:
        case Message(speaker=speaker, text=text, fills=fills):
            return f"{speaker.value}{' (while a tool works)' if fills else ''}: {text or '(silence)'}{took}"
        case ToolCalled():
            return f"assistant calls {text_of(event)}{took}"
        case ToolReturned(name=name, ok=ok, mocked=mocked, output=output):
            word = "answered" if ok else "failed"
            return f"{name} {word}{' (mock)' if mocked else ''}: {output}{took}"
        case Moved(edge=edge):
            return f"flow: {text_of(event)}{f' (over {edge})' if edge else ''}{took}"
        case HandedOver(edge=edge):
            return f"handed over to {text_of(event)}{f' (over {edge})' if edge else ''}{took}"
        case Recalled(passages=passages):
            return f"documents: {len(passages)} passages were found{took}"
        case _:
            who = f"{event.speaker.value} " if event.speaker else ""
            return f"end: {who}{event.ending.value}{': ' + event.reason if event.reason else ''}{took}"
