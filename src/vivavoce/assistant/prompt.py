"""What the assistant's model is told: instructions, then the conversation seen from the assistant's side."""

from collections.abc import Mapping
from typing import Any

from vivavoce.assistant.offer import specification
from vivavoce.assistant.ports import AssistantTask
from vivavoce.assistant.variables import render
from vivavoce.core.assistant import Version
from vivavoce.core.event import Message, Speaker, ToolCall, ToolCalled
from vivavoce.core.model import Prompt, PromptLine
from vivavoce.core.transcript import Transcript

OPENING = "You speak first. Write your opening line now, as the instructions ask, and nothing else."


def history(transcript: Transcript) -> tuple[PromptLine, ...]:
    """The conversation as a model reads it: words and the calls that came with them are one line.

    What the calls returned follows at once, whatever else was heard meanwhile, because providers refuse any other
    order. Silences are left out, because they refuse empty lines.
    """
    lines: list[PromptLine] = []
    text, calls = "", list[ToolCall]()
    for event in (*transcript.events, None):
        if isinstance(event, ToolCalled):
            calls.append(event.call)
            continue
        if calls or text:
            lines.append(PromptLine("assistant", text, tuple(calls)))
            results = (transcript.result_of(call.id) for call in calls)
            lines += (PromptLine("tool", one.output, call_id=one.call_id) for one in results if one is not None)
            text, calls = "", []
        match event:
            case Message(speaker=Speaker.ASSISTANT, text=words):
                text = words
            case Message(text=words) if words:
                lines.append(PromptLine("user", words))
            case _:
                pass
    return tuple(lines)


def prompt(version: Version, transcript: Transcript, variables: Mapping[str, Any], *, with_tools: bool) -> Prompt:
    """The prompt for the assistant's next words or calls.

    Variables that are not set stay as they are written (contract, section 6.3).
    """
    instructions = render(version.instructions, variables)
    opening = () if transcript.events else (PromptLine("system", OPENING),)
    specs = (specification(tool) for tool in version.tools) if with_tools else ()
    return Prompt(
        lines=(PromptLine("system", instructions), *opening, *history(transcript)),
        tools=tuple(spec for spec in specs if spec is not None),
        subject=AssistantTask(instructions, transcript),
    )
