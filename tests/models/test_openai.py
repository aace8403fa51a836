"""What the client asks for and what it makes of good, odd and unusable answers."""

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from tests.models.conftest import KEY, Connect, Waits
from tests.support.endpoint import Endpoint

from vivavoce.core.event import ToolCall, Usage
from vivavoce.core.model import ModelFailure, Prompt, PromptLine, ToolSpec, Trouble
from vivavoce.examination import tasks
from vivavoce.models.openai import OpenAIModel

HELLO = Prompt((PromptLine("system", "Be kind."), PromptLine("user", "Hello?")))
JUDGE = Prompt(
    (
        PromptLine("system", "You judge."),
        PromptLine(
            "user",
            "Criteria:\n1. kind: It is kind.\n2. quick: It is quick.\n\nTranscript:\n"
            "[0] caller: Hello\n[1] assistant: Good day (0.20 s)\n[2] caller: Thanks\n[3] assistant: Bye now (1.20 s)",
        ),
    )
)


def completion(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "kind": "garbage",
        "content_type": "application/json",
        "body": json.dumps({"choices": [{"message": message}], **more}),
    }


def calling(arguments: object, **more: object) -> dict[str, Any]:
    return completion({"content": None, "tool_calls": [{"function": {"name": "find", "arguments": arguments}, **more}]})


async def test_a_reply_is_the_words_of_the_first_choice(endpoint: Endpoint, model: OpenAIModel) -> None:
    reply = await model.reply(HELLO)
    assert reply.text == "answer 1 to: Hello?"
    assert reply.calls == ()
    assert reply.usage == Usage("local/m-1", 4, 5, attempts=1)
    assert model.name == "local/m-1"
    (request,) = endpoint.requests
    assert request["authorization"] == f"Bearer {KEY}"
    assert request["body"] == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
    }


async def test_tools_are_offered_called_and_answered(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.behaviours = [
        {"role": "assistant", "call": {"name": "find", "arguments": {"city": "Köln"}}, "say": ["Found."]}
    ]
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = (ToolSpec("find", "Finds.", parameters), ToolSpec("hangup", "Ends.", {}))
    first = await model.reply(Prompt(HELLO.lines, tools))
    assert first.text == ""
    assert first.calls == (ToolCall("call_find", "find", {"city": "Köln"}),)
    lines = (*HELLO.lines, PromptLine("assistant", "", first.calls), PromptLine("tool", "42", call_id="call_find"))
    second = await model.reply(Prompt(lines, tools))
    assert second.text == "Found."
    offered, answered = endpoint.bodies()
    assert offered["tools"][0]["function"] == {"name": "find", "description": "Finds.", "parameters": parameters}
    assert offered["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}
    asked, result = answered["messages"][2:]
    assert asked["content"] is None
    assert asked["tool_calls"][0]["id"] == "call_find"
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"city": "Köln"}
    assert result == {"role": "tool", "tool_call_id": "call_find", "content": "42"}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (completion({"content": None}), ""),
        (completion({"content": [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]}), "in parts"),
        (completion({"content": None, "refusal": "I will not."}), "I will not."),
        (completion({"content": None, "refusal": "I cannot \ud83d"}), "I cannot \ufffd"),
        (completion({"content": "a\ud83d\ude00\u0000b"}), "a😀b"),
        (completion({"content": "half \ud83d pair"}), "half \ufffd pair"),
        (completion({"content": "no usage"}, usage=None), "no usage"),
        (completion({"content": "odd usage"}, usage={"prompt_tokens": None}), "odd usage"),
        ({**completion({"content": "named wrongly"}), "content_type": "text/plain"}, "named wrongly"),
    ],
)
async def test_odd_words_are_understood(
    endpoint: Endpoint, model: OpenAIModel, answer: dict[str, Any], text: str
) -> None:
    endpoint.faults = [answer]
    assert (await model.reply(HELLO)).text == text


@pytest.mark.parametrize(
    ("answer", "call"),
    [
        (calling({"a": 1}, id="x"), ToolCall("x", "find", {"a": 1})),
        (calling('{"a": 1}', id=None), ToolCall("call_1", "find", {"a": 1})),
        (calling("", id="x"), ToolCall("x", "find", {})),
        (calling(None, id="x"), ToolCall("x", "find", {})),
        (calling({"a": ["\ud83d", {"\u0000b": 1}]}, id="x"), ToolCall("x", "find", {"a": ["\ufffd", {"b": 1}]})),
    ],
)
async def test_odd_calls_are_understood(
    endpoint: Endpoint, model: OpenAIModel, answer: dict[str, Any], call: ToolCall
) -> None:
    endpoint.faults = [answer]
    earlier = PromptLine("assistant", "", (ToolCall("call_0", "find", {}),))
    lines = (*HELLO.lines, earlier, PromptLine("tool", "nothing", call_id="call_0"))
    assert (await model.reply(Prompt(lines))).calls == (call,)


async def test_arguments_that_are_no_object_are_asked_for_again(
    endpoint: Endpoint, model: OpenAIModel, waits: Waits
) -> None:
    endpoint.faults = [calling("[1]", id="x")]
    reply = await model.reply(HELLO)
    assert reply.text == "answer 1 to: Hello?"
    assert reply.usage.attempts == 2
    first, second = endpoint.bodies()
    assert first == second
    assert waits.seconds == []


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (calling("[1]"), "not a JSON object"),
        (calling("{broken"), "not a JSON object"),
        (calling('{"a":' * 120 + "1" + "}" * 120), "nested too deeply"),
        (completion({"tool_calls": [{"function": {"arguments": "{}"}}]}), "without a name"),
        ({"kind": "garbage", "content_type": "application/json", "body": '{"choices": []}'}, "no choices"),
        ({"kind": "garbage", "content_type": "application/json", "body": '{"choices": [{}]}'}, "no message"),
        ({"kind": "garbage", "content_type": "application/json", "body": "[]"}, "not a JSON object"),
        ({"kind": "garbage", "content_type": "application/json", "body": "{nonsense"}, "not JSON"),
        ({"kind": "garbage", "body": "<!doctype html><p>Welcome"}, "does the base URL lead to the API"),
        ({"kind": "garbage", "content_type": "image/png", "body": ""}, "it is empty"),
    ],
)
async def test_unreadable_twice_is_garbled(
    endpoint: Endpoint, model: OpenAIModel, answer: dict[str, Any], word: str
) -> None:
    endpoint.faults = [{**answer, "times": -1}]
    with pytest.raises(ModelFailure, match=word) as caught:
        await model.reply(HELLO)
    assert caught.value.trouble is Trouble.GARBLED
    assert len(endpoint.records) == 2


async def test_the_testers_move(endpoint: Endpoint, model: OpenAIModel) -> None:
    answer = await model.decide(HELLO, tasks.TesterMove)
    assert answer.value == tasks.TesterMove("say", "line 1")
    assert answer.usage == Usage("local/m-1", 4, 5, attempts=1)
    (body,) = endpoint.bodies("tester")
    wanted = body["response_format"]["json_schema"]
    assert wanted["name"] == "TesterMove"
    assert wanted["strict"] is True
    assert wanted["schema"]["required"] == ["action", "message", "reason"]
    assert "tools" not in body


async def test_the_judges_sheet(model: OpenAIModel) -> None:
    answers = (await model.decide(JUDGE, tasks.Sheet)).value.answers
    assert [(one.criterion, one.decision, one.quote, one.turn) for one in answers[:2]] == [
        (1, "met", "Bye now", 3),
        (2, "met", "Bye now", 3),
    ]


async def test_a_server_without_schemas_is_remembered(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [{"kind": "no_json_schema", "times": -1, "status": 422}]
    assert (await model.decide(HELLO, tasks.TesterMove)).usage.attempts == 2
    assert (await model.decide(HELLO, tasks.TesterMove)).usage.attempts == 1
    formats = [body["response_format"]["type"] for body in endpoint.bodies("tester")]
    assert formats == ["json_schema", "json_object", "json_object"]
    told = endpoint.bodies()[-1]["messages"]
    assert [message["role"] for message in told] == ["system", "user"]
    assert '"hang_up"' in told[0]["content"]
    assert told[0]["content"].startswith("Be kind.")


async def test_a_server_without_any_format_gets_words(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [{"kind": "no_json_schema", "times": -1}, {"kind": "no_json_object", "times": -1, "status": 501}]
    alone = Prompt((PromptLine("user", "Hello?"),))
    assert (await model.decide(alone, tasks.TesterMove)).value.action == "say"
    assert (await model.decide(alone, tasks.TesterMove)).usage.attempts == 1
    last = endpoint.bodies()[-1]
    assert "response_format" not in last
    assert last["messages"][0]["role"] == "system"


async def test_a_request_refused_in_every_mode_teaches_nothing(endpoint: Endpoint, model: OpenAIModel) -> None:
    refusal = {"error": {"message": "too many words", "code": "string_above_max_length"}}
    endpoint.faults = [{"kind": "status", "status": 400, "body": refusal, "times": 3}]
    with pytest.raises(ModelFailure, match="too many words") as caught:
        await model.decide(HELLO, tasks.TesterMove)
    assert caught.value.trouble is Trouble.REFUSED
    await model.decide(HELLO, tasks.TesterMove)
    assert endpoint.bodies()[-1]["response_format"]["type"] == "json_schema"


async def test_a_refusal_that_is_not_about_the_format_is_final(endpoint: Endpoint, model: OpenAIModel) -> None:
    refusal = {"error": {"message": "no such model", "code": "model_not_found"}}
    endpoint.faults = [{"kind": "status", "status": 404, "body": refusal, "times": -1}]
    with pytest.raises(ModelFailure, match="no such model"):
        await model.decide(HELLO, tasks.TesterMove)
    assert len(endpoint.records) == 1


@pytest.mark.parametrize(
    "words",
    [
        '```json\n{"action": "say", "message": "Hi"}\n```',
        'Here is my move:\n\n{"action": "say", "message": "Hi"}\n\nGood luck!',
        '<think>{"action": "hang_up"} or not</think>{"action": "say", "message": "Hi"}',
        'Not {this}, but {"action": "say", "message": "Hi"}',
    ],
)
async def test_json_is_found_in_words(endpoint: Endpoint, model: OpenAIModel, words: str) -> None:
    endpoint.faults = [completion({"content": words})]
    answer = await model.decide(HELLO, tasks.TesterMove)
    assert answer.value == tasks.TesterMove("say", "Hi")
    assert answer.usage.attempts == 1


async def test_a_garbled_answer_is_asked_for_again_saying_why(endpoint: Endpoint, model: OpenAIModel) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    endpoint.faults = [completion({"content": '{"action": "sing"}'}, usage=usage)]
    answer = await model.decide(HELLO, tasks.TesterMove)
    assert answer.value.action == "say"
    assert answer.usage.attempts == 2
    assert answer.usage.input_tokens > 10
    echo, again = endpoint.bodies()[1]["messages"][2:]
    assert echo == {"role": "assistant", "content": '{"action": "sing"}'}
    assert "action: Input should be 'say' or 'hang_up'" in again["content"]
    assert (await model.decide(HELLO, tasks.TesterMove)).usage.attempts == 1
    assert endpoint.bodies()[-1]["response_format"]["type"] == "json_schema"


async def test_a_server_that_ignores_the_schema_is_told_it_in_words(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [completion({"content": "I would say hello."})]
    await model.decide(HELLO, tasks.TesterMove)
    await model.decide(HELLO, tasks.TesterMove)
    assert endpoint.bodies()[-1]["response_format"] == {"type": "json_object"}


async def test_garbled_twice_is_a_failure(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [{**completion({"content": "la la la"}), "times": -1}]
    with pytest.raises(ModelFailure, match="not a TesterMove, asked twice") as caught:
        await model.decide(HELLO, tasks.TesterMove)
    assert caught.value.trouble is Trouble.GARBLED
    assert len(endpoint.records) == 2


async def test_an_answer_that_was_cut_off_says_so(endpoint: Endpoint, model: OpenAIModel) -> None:
    body = {"choices": [{"message": {"content": '{"action": "sa'}, "finish_reason": "length"}]}
    endpoint.faults = [{"kind": "garbage", "content_type": "application/json", "body": json.dumps(body), "times": 2}]
    with pytest.raises(ModelFailure, match="length limit"):
        await model.decide(HELLO, tasks.TesterMove)
    await model.decide(HELLO, tasks.TesterMove)
    assert endpoint.bodies()[-1]["response_format"]["type"] == "json_schema"


async def test_words_that_were_cut_off_say_nothing_about_the_server(endpoint: Endpoint, model: OpenAIModel) -> None:
    body = {"choices": [{"message": {"content": "Let me think about"}, "finish_reason": "length"}]}
    endpoint.faults = [{"kind": "garbage", "content_type": "application/json", "body": json.dumps(body)}]
    await model.decide(HELLO, tasks.TesterMove)
    await model.decide(HELLO, tasks.TesterMove)
    assert endpoint.bodies()[-1]["response_format"]["type"] == "json_schema"


async def test_a_models_own_no_is_a_refusal(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [completion({"content": None, "refusal": "I will not play that."})]
    with pytest.raises(ModelFailure, match="I will not play that") as caught:
        await model.decide(HELLO, tasks.TesterMove)
    assert caught.value.trouble is Trouble.REFUSED


@dataclass(frozen=True, slots=True)
class Loose:
    facts: dict[str, str]


async def test_open_shapes_are_asked_for_without_strictness(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [completion({"content": '{"facts": {"a": "b"}}'})]
    assert (await model.decide(HELLO, Loose)).value == Loose({"a": "b"})
    assert endpoint.bodies()[0]["response_format"]["json_schema"]["strict"] is False


async def test_what_json_cannot_say_goes_out_all_the_same(endpoint: Endpoint, model: OpenAIModel) -> None:
    frozen = MappingProxyType({"deep": MappingProxyType({"number": float("nan"), "half": "\ud83d"})})
    call = PromptLine("assistant", "", (ToolCall("c1", "find", frozen),))
    await model.reply(Prompt((*HELLO.lines, call, PromptLine("tool", "half \ud83d pair", call_id="c1"))))
    asked, result = endpoint.bodies()[0]["messages"][2:]
    assert result["content"] == "half ? pair"
    assert '"half": "?"' in asked["tool_calls"][0]["function"]["arguments"]


async def test_a_prompt_of_megabytes_goes_out(endpoint: Endpoint, connect: Connect) -> None:
    words = "long " * 300_000
    reply = await connect().reply(Prompt((PromptLine("user", words),)))
    assert reply.text.endswith(words)
    assert endpoint.bodies()[0]["messages"][0]["content"] == words
