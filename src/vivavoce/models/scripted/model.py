"""The scripted model behind the port."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from vivavoce.assistant.ports import AssistantTask, Routing, RoutingTask
from vivavoce.core.event import Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage
from vivavoce.core.model import Answer, ModelFailure, Prompt, Reply, T, Trouble
from vivavoce.core.scenario import Criterion
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision
from vivavoce.examination.checks import compute_words
from vivavoce.examination.tasks import (
    InsightTask,
    JudgeTask,
    Record,
    Remark,
    Sheet,
    SheetAnswer,
    TesterMove,
    TesterTask,
)
from vivavoce.models.scripted import insights
from vivavoce.models.scripted.machine import arguments_for, next_move, told
from vivavoce.models.scripted.prose import lines_of
from vivavoce.models.scripted.script import read_script

NAME = "scripted"
NO_SCRIPT = (
    "I am the scripted model, not a language model. My instructions hold no script, so this is all I can say; "
    "see docs/reference/scripted-model.md."
)
"""What an assistant without a script answers, always."""
LAST_WORDS = "Thank you, goodbye."
"""What a tester without a script says when it has said all of its brief."""
NOT_COMPUTED = "the scripted judge computes only what checks.md describes; this needs a language model"
REWRITES_NOTHING = (
    "(I am the scripted model, not a language model, and rewrite nothing. Here are the instructions as they were.)\n\n"
)
"""What stands before instructions that were to be improved."""
_HANGUP = "hangup"
_PIECES = 4
_USAGE = Usage(model=NAME)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """The subject of a prompt that asks for better instructions: those that there are."""

    instructions: str


@dataclass(frozen=True, slots=True)
class Scripted:
    """A model that computes instead of reading. The same prompt always has the same answer, and none costs a token."""

    @property
    def name(self) -> str:
        """``scripted``."""
        return NAME

    async def reply(self, prompt: Prompt) -> Reply:
        """What the script in the instructions says or calls next; a prompt without a subject is read from its lines."""
        task = prompt.subject
        if isinstance(task, Rewriting):
            return Reply(REWRITES_NOTHING + task.instructions, (), _USAGE)
        if not isinstance(task, AssistantTask):
            task = AssistantTask(_instructions(prompt), _history(prompt, Speaker.ASSISTANT))
        script = read_script(task.instructions)
        if task.calls:
            arguments = arguments_for(script, task.calls, task.transcript)
            return Reply("", (ToolCall("scripted-1", task.calls, arguments),), _USAGE)
        if task.says:
            return Reply(told(script, task.says), (), _USAGE)
        if not script.rules:
            return Reply(NO_SCRIPT, (), _USAGE)
        move = next_move(script, task.transcript, Speaker.ASSISTANT)
        wanted = list(move.calls)
        if move.hangs_up and any(tool.name == _HANGUP for tool in prompt.tools):
            wanted.append((_HANGUP, {}))
        number = len(task.transcript.tool_calls())
        calls = tuple(
            ToolCall(f"scripted-{place}", tool, arguments) for place, (tool, arguments) in enumerate(wanted, number + 1)
        )
        return Reply(move.text, calls, _USAGE)

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        """The tester's move, the judge's sheet or the answer to an insight. Anything else is refused with
        ``ModelFailure``."""
        value = _decided(prompt, shape)
        if not isinstance(value, shape):
            what = getattr(shape, "__name__", str(shape))
            raise ModelFailure(
                Trouble.REFUSED, f"the scripted model cannot answer with a {what} here: use a language model"
            )
        return Answer(value, _USAGE)

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        """The text in a few pieces, then the reply."""
        reply = await self.reply(prompt)
        for piece in pieces_of(reply.text):
            yield piece
        yield reply


def pieces_of(text: str) -> list[str]:
    """The text in a few pieces."""
    size = max(1, -(-len(text) // _PIECES))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _decided(prompt: Prompt, shape: type[object]) -> object:
    if shape is TesterMove:
        task = prompt.subject
        if not isinstance(task, TesterTask):
            task = TesterTask(_instructions(prompt), _history(prompt, Speaker.CALLER))
        return _tester_move(task)
    if shape is Routing and isinstance(prompt.subject, RoutingTask):
        return _routing(prompt.subject)
    if shape is Sheet and isinstance(prompt.subject, JudgeTask):
        task = prompt.subject
        return Sheet(tuple(_answer(n, item, task) for n, item in enumerate(task.criteria, 1)))
    if isinstance(prompt.subject, InsightTask):
        if shape is Remark:
            return insights.remark(prompt.subject)
        return insights.record(prompt.subject) if shape is Record else None
    return None


def _routing(task: RoutingTask) -> Routing:
    """The conditions that can be computed as criteria can, and are met by what happened since the caller last spoke,
    those words and what the assistant said before them: what was said long ago does not hold any more."""
    talk = _last_exchange(task.transcript)
    decided = [compute_words(Criterion(one, one), talk) for one in task.conditions]
    met = (number for number, one in enumerate(decided, 1) if one is not None and one.decision is Decision.MET)
    return Routing(tuple(met))


def _last_exchange(transcript: Transcript) -> Transcript:
    of_caller = [isinstance(one, Message) and one.speaker is Speaker.CALLER for one in transcript.events]
    start = len(of_caller)
    for wanted in (False, True, False):
        while start and of_caller[start - 1] is wanted:
            start -= 1
    return Transcript(transcript.events[start:])


def _tester_move(task: TesterTask) -> TesterMove:
    script = read_script(task.brief)
    if not script.rules:
        said = len(task.transcript.said(Speaker.CALLER))
        lines = lines_of(script.prose)
        if said < len(lines):
            return TesterMove("say", lines[said], "scripted: the brief holds no script, so its sentences are said")
        return TesterMove("hang_up", LAST_WORDS, "scripted: all of the brief is said")
    move = next_move(script, task.transcript, Speaker.CALLER)
    if not move.lines:
        return TesterMove("hang_up", "", "scripted: the script has no rule for this")
    where = "scripted: line " + ", ".join(map(str, move.lines))
    return TesterMove("hang_up" if move.hangs_up else "say", move.text, where)


def _answer(number: int, criterion: Criterion, task: JudgeTask) -> SheetAnswer:
    verdict = compute_words(criterion, task.transcript, tools_recorded=task.tools_recorded)
    if verdict is None:
        return SheetAnswer(number, "inconclusive", f"{NAME}: {NOT_COMPUTED}")
    # What is all punctuation cannot be looked up again, so it is no evidence.
    quote = verdict.quote if verdict.quote and any(map(str.isalnum, verdict.quote.text)) else None
    return SheetAnswer(
        number,
        verdict.decision.value,
        f"{NAME}: {verdict.reason}",
        quote.text if quote else None,
        quote.turn if quote else None,
    )


def _instructions(prompt: Prompt) -> str:
    return "\n".join(line.text for line in prompt.lines if line.role == "system")


def _history(prompt: Prompt, me: Speaker) -> Transcript:
    """The lines as events; a prompt's assistant is whoever is asked."""
    other = Speaker.CALLER if me is Speaker.ASSISTANT else Speaker.ASSISTANT
    events: list[Message | ToolCalled | ToolReturned] = []
    names: dict[str, str] = {}
    for line in prompt.lines:
        if line.role == "tool":
            events.append(ToolReturned(line.call_id, names.get(line.call_id, ""), line.text, ok=True, at=0))
        elif line.role != "system":
            if line.text or not line.calls:
                events.append(Message(me if line.role == "assistant" else other, line.text, at=0))
            for call in line.calls:
                names[call.id] = call.name
                events.append(ToolCalled(call, at=0))
    return Transcript(tuple(events))
