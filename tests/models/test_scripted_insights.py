"""The scripted model answers insights with what their author wrote, or with what can be counted."""

import json
from typing import Any

import pytest

from vivavoce.core.event import Ending, Left, Message, Speaker, ToolCall, ToolCalled
from vivavoce.core.insight import MANAGED, schema_of
from vivavoce.core.model import ModelFailure, Prompt, Trouble
from vivavoce.core.transcript import Transcript
from vivavoce.examination.insight import ask
from vivavoce.examination.tasks import InsightTask, Remark, Sheet
from vivavoce.models.scripted import Scripted
from vivavoce.tools.arguments import mismatch

TALK = Transcript(
    (
        Message(Speaker.ASSISTANT, "Hello", 0),
        Message(Speaker.CALLER, "Hi", 0),
        ToolCalled(ToolCall("1", "find", {}), 0),
        Message(Speaker.ASSISTANT, "Bye", 0),
        Left(Ending.HANGUP, 0, Speaker.ASSISTANT),
    )
)
COUNTED = "scripted: 1 messages of the caller, 2 of the assistant, 1 tool calls; it ended by hangup."


async def answered(question: str, schema: dict[str, Any] | None = None, transcript: Transcript = TALK) -> str:
    return await ask(InsightTask(question, transcript, schema), Scripted(), mismatch)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ('answer "short"', "short"),
        ('How long was it?\n- Answer  “very\\nshort”\nanswer "never"', "very\nshort"),
        ("How long was it?", COUNTED),
        ('Please answer "short"', COUNTED),
        ('answer "not closed', COUNTED),
        ('answer {"not": "words"}', COUNTED),
        ('answer "not closed\nanswer {"a": 1}', COUNTED),
    ],
)
async def test_words(question: str, answer: str) -> None:
    assert await answered(question) == answer


async def test_a_conversation_that_goes_on_has_no_ending() -> None:
    counted = "scripted: 0 messages of the caller, 0 of the assistant, 0 tool calls; it did not end."
    assert await answered("?", transcript=Transcript()) == counted


async def test_an_object_that_stands_in_the_question() -> None:
    assert await answered('answer {"score": 3}', {"type": "object"}) == '{"score": 3}'


async def test_what_is_required_and_can_be_honestly_filled() -> None:
    properties = {"why": {"type": "string"}, "mood": {"enum": ["up", "N/A"]}, "more": {"type": "integer"}}
    answer = await answered("?", {"type": "object", "properties": properties, "required": ["mood", "why"]})
    assert json.loads(answer) == {"mood": "N/A", "why": COUNTED}
    assert await answered("?", {"type": "object"}) == "{}"


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"properties": {"a": {"enum": ["up"]}}, "required": ["a"]},
        {"properties": {"a": True}, "required": ["a"]},
        {"required": ["a"]},
    ],
)
async def test_nothing_is_made_up(schema: dict[str, Any]) -> None:
    with pytest.raises(ModelFailure, match="language model") as caught:
        await answered("?", schema)
    assert caught.value.trouble is Trouble.REFUSED


async def test_it_has_no_opinion_where_it_may_have_none() -> None:
    for one in MANAGED:
        schema = schema_of(one.schema)
        assert schema is not None
        assert json.loads(await answered(one.instructions, dict(schema))) == {"score": "N/A", "explanation": COUNTED}


async def test_another_shape_or_subject_is_refused() -> None:
    for prompt, shape in ((Prompt((), subject=InsightTask("?", TALK)), Sheet), (Prompt(()), Remark)):
        with pytest.raises(ModelFailure):
            await Scripted().decide(prompt, shape)
