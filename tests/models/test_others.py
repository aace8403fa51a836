"""Vendors behind pydantic-ai, played by its own test models."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic_ai import exceptions as raised
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel as PlayedModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage
from tests.models.conftest import Waits

from vivavoce.core.event import ToolCall, Usage
from vivavoce.core.model import ModelFailure, Prompt, PromptLine, Reply, ToolSpec, Trouble
from vivavoce.examination import tasks
from vivavoce.models.others import OtherModel, Vendor

HELLO = Prompt((PromptLine("system", "Be kind."), PromptLine("user", "Hello?")))
MOVE = '{"action": "say", "message": "Hi", "reason": ""}'

Answer = ModelResponse | Exception
Heard = list[tuple[list[ModelMessage], AgentInfo]]


def playing(
    *answers: Answer, heard: list[tuple[list[ModelMessage], AgentInfo]] | None = None
) -> Callable[..., ModelResponse]:
    """Gives the answers one after another."""
    left = list(answers)

    def play(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if heard is not None:
            heard.append((messages, info))
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return play


def said(text: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text)], usage=RequestUsage(input_tokens=7, output_tokens=2))


def moved(args: str | dict[str, Any]) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart("TesterMove", args)], usage=RequestUsage(input_tokens=7, output_tokens=2))


async def test_a_reply() -> None:
    heard: Heard = []
    model = OtherModel(FunctionModel(playing(said("Good day."), heard=heard)), name="acme/one")
    tool = ToolSpec("find", "Finds.", {"type": "object", "properties": {}})
    reply = await model.reply(Prompt(HELLO.lines, (tool,)))
    assert reply == Reply("Good day.", (), Usage("acme/one", 7, 2, attempts=1))
    (messages, info) = heard[0]
    assert [(type(message).__name__, [part.part_kind for part in message.parts]) for message in messages] == [
        ("ModelRequest", ["system-prompt", "user-prompt"])
    ]
    assert [(each.name, each.description) for each in info.function_tools] == [("find", "Finds.")]
    assert info.model_settings == {"request_timeout": 60.0, "max_retries": 0}


async def test_calls_and_their_results() -> None:
    heard: Heard = []
    asks = ModelResponse(parts=[TextPart("One moment."), ToolCallPart("find", '{"a": 1}', tool_call_id="c1")])
    model = OtherModel(FunctionModel(playing(asks, said("Found."), heard=heard)), name="acme/one")
    first = await model.reply(HELLO)
    assert first.text == "One moment."
    assert first.calls == (ToolCall("c1", "find", {"a": 1}),)
    lines = (*HELLO.lines, PromptLine("assistant", first.text, first.calls), PromptLine("tool", "42", call_id="c1"))
    assert (await model.reply(Prompt(lines))).text == "Found."
    request, response, result = heard[1][0]
    assert isinstance(request, ModelRequest)
    assert [part.part_kind for part in response.parts] == ["text", "tool-call"]
    (returned,) = result.parts
    assert returned.part_kind == "tool-return"
    assert (returned.tool_name, returned.tool_call_id, returned.content) == ("find", "c1", "42")


@pytest.mark.parametrize(
    "lines", [(PromptLine("system", "Greet."),), (PromptLine("assistant", "Hi!"), PromptLine("user", "Yes?"))]
)
async def test_a_conversation_always_begins_with_the_user(lines: tuple[PromptLine, ...]) -> None:
    heard: Heard = []
    model = OtherModel(FunctionModel(playing(said("Hi!"), heard=heard)), name="acme/one")
    await model.reply(Prompt(lines))
    assert isinstance(heard[0][0][0].parts[-1], UserPromptPart)


@pytest.mark.parametrize("last", [(), (PromptLine("system", "Say goodbye."),)])
async def test_a_conversation_never_ends_with_the_models_own_words(last: tuple[PromptLine, ...]) -> None:
    heard: Heard = []
    model = OtherModel(FunctionModel(playing(said("Bye!"), heard=heard)), name="acme/one")
    await model.reply(Prompt((*HELLO.lines, PromptLine("assistant", "Hi!"), *last)))
    end = heard[0][0][-1]
    assert isinstance(end, ModelRequest)
    assert isinstance(end.parts[-1], UserPromptPart)
    assert end.parts[-1].content == "(Nobody has answered yet. Go on.)"


@pytest.mark.parametrize(
    ("answer", "profile"),
    [
        (moved({"action": "say", "message": "Hi"}), ModelProfile(default_structured_output_mode="tool")),
        (moved(MOVE), ModelProfile(default_structured_output_mode="tool")),
        (said(MOVE), ModelProfile(default_structured_output_mode="native", supports_json_schema_output=True)),
        (said(f"```json\n{MOVE}\n```"), ModelProfile(default_structured_output_mode="prompted")),
    ],
)
async def test_a_decision_in_the_way_the_profile_prefers(answer: ModelResponse, profile: ModelProfile) -> None:
    heard: Heard = []
    model = OtherModel(FunctionModel(playing(answer, heard=heard), profile=profile), name="acme/one")
    decided = await model.decide(HELLO, tasks.TesterMove)
    assert decided.value == tasks.TesterMove("say", "Hi")
    assert decided.usage == Usage("acme/one", 7, 2, attempts=1)
    info = heard[0][1]
    assert info.model_request_parameters.output_mode == profile.get("default_structured_output_mode")
    assert [tool.name for tool in info.output_tools] == (
        ["TesterMove"] if answer.parts[0].part_kind == "tool-call" else []
    )
    told = info.instructions or ""
    assert ('"hang_up"' in told) is (profile.get("default_structured_output_mode") == "prompted")


async def test_pydantic_ais_test_model_decides() -> None:
    assert (await OtherModel(PlayedModel()).decide(HELLO, tasks.TesterMove)).value.action == "say"


async def test_a_garbled_decision_is_asked_for_again() -> None:
    heard: Heard = []
    model = OtherModel(FunctionModel(playing(said("Hm."), said(MOVE), heard=heard)), name="acme/one")
    decided = await model.decide(HELLO, tasks.TesterMove)
    assert decided.usage == Usage("acme/one", 14, 4, attempts=2)
    again = heard[1][0][-1].parts[-1]
    assert isinstance(again, UserPromptPart)
    assert "cannot be used" in str(again.content)


async def test_a_decision_garbled_twice_is_a_failure() -> None:
    model = OtherModel(FunctionModel(playing(said("Hm."), moved('{"action": "sing"}'))), name="acme/one")
    with pytest.raises(ModelFailure, match="asked twice") as caught:
        await model.decide(HELLO, tasks.TesterMove)
    assert caught.value.trouble is Trouble.GARBLED


async def test_arguments_that_are_no_object_are_asked_for_again() -> None:
    bad = ModelResponse(parts=[ToolCallPart("find", "[1]")])
    reply = await OtherModel(FunctionModel(playing(bad, said("Sorry."))), name="acme/one").reply(HELLO)
    assert (reply.text, reply.usage.attempts) == ("Sorry.", 2)
    with pytest.raises(ModelFailure, match="not a JSON object"):
        await OtherModel(FunctionModel(playing(bad, bad)), name="acme/one").reply(HELLO)


async def test_a_stream() -> None:
    async def words(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "Good "
        yield "day."

    async def call(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[dict[int, DeltaToolCall]]:
        yield {0: DeltaToolCall(name="find", tool_call_id="c1")}
        yield {0: DeltaToolCall(json_args='{"a"')}
        yield {0: DeltaToolCall(json_args=": 1}")}

    *pieces, reply = [item async for item in OtherModel(FunctionModel(stream_function=words), name="a/b").stream(HELLO)]
    assert pieces == ["Good ", "day."]
    assert isinstance(reply, Reply)
    assert reply.text == "Good day."
    (last,) = [item async for item in OtherModel(FunctionModel(stream_function=call), name="a/b").stream(HELLO)]
    assert isinstance(last, Reply)
    assert last.calls == (ToolCall("c1", "find", {"a": 1}),)


@pytest.mark.parametrize("late", [False, True])
async def test_a_stream_that_breaks(waits: Waits, late: bool) -> None:
    begun = 0

    async def words(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        nonlocal begun
        begun += 1
        if late or begun > 1:
            yield "Good "
        if begun == 1:
            raise raised.ModelHTTPError(503, "one")
        yield "day."

    model = OtherModel(FunctionModel(stream_function=words), name="acme/one", pace=waits.pace)
    heard: list[str | Reply] = []

    async def listen() -> None:
        async for item in model.stream(HELLO):
            heard.append(item)

    if late:
        with pytest.raises(ModelFailure, match="503"):
            await listen()
        assert (heard, waits.seconds) == (["Good "], [])
    else:
        await listen()
        assert heard[:-1] == ["Good ", "day."]
        assert waits.seconds == [0.5]


@pytest.mark.parametrize(
    ("error", "trouble", "attempts"),
    [
        (raised.ModelHTTPError(429, "one", headers={"retry-after": "3"}), Trouble.UNAVAILABLE, 2),
        (raised.ModelHTTPError(500, "one"), Trouble.UNAVAILABLE, 2),
        (raised.ModelConnectionError("one", "no line"), Trouble.UNAVAILABLE, 2),
        (TimeoutError(), Trouble.UNAVAILABLE, 2),
        (raised.ModelQuotaExceededError("one", "pay"), Trouble.UNAVAILABLE, 1),
        (raised.ModelHTTPError(401, "one"), Trouble.REFUSED, 1),
        (raised.ContentFilterError("no"), Trouble.REFUSED, 1),
        (raised.UserError("no"), Trouble.REFUSED, 1),
        (raised.UnexpectedModelBehavior("what"), Trouble.GARBLED, 2),
    ],
)
async def test_its_exceptions_are_ours(waits: Waits, error: Exception, trouble: Trouble, attempts: int) -> None:
    heard: Heard = []
    function = FunctionModel(playing(error, error, error, heard=heard))
    model = OtherModel(function, name="acme/one", pace=waits.pace, max_attempts=2)
    with pytest.raises(ModelFailure, match="acme/one") as caught:
        await model.reply(HELLO)
    assert caught.value.trouble is trouble
    assert len(heard) == attempts
    if isinstance(error, raised.ModelHTTPError) and error.status_code == 429:
        assert waits.seconds == [3.0]


async def test_a_fault_that_is_not_its_own_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="our own bug"):
        await OtherModel(FunctionModel(playing(RuntimeError("our own bug"))), name="acme/one").reply(HELLO)


async def test_the_timeout_holds(waits: Waits) -> None:
    async def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.Event().wait()
        raise AssertionError

    model = OtherModel(FunctionModel(never), name="acme/one", pace=waits.pace, max_attempts=2, timeout_s=0.05)
    with pytest.raises(ModelFailure) as caught:
        await model.reply(HELLO)
    assert caught.value.trouble is Trouble.UNAVAILABLE
    assert waits.seconds == [0.5]


@pytest.mark.parametrize("words", [0, 1000])
async def test_the_timeout_holds_for_a_stream_that_hangs_or_trickles(waits: Waits, words: int) -> None:
    """Every word comes well within the timeout; the whole never would."""

    async def slow(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for _ in range(words):
            yield "word "
            await asyncio.sleep(0.005)
        await asyncio.Event().wait()

    model = OtherModel(
        FunctionModel(stream_function=slow), name="acme/one", pace=waits.pace, max_attempts=2, timeout_s=0.05
    )
    with pytest.raises(ModelFailure) as caught:
        async for _ in model.stream(HELLO):
            pass
    assert caught.value.trouble is Trouble.UNAVAILABLE
    # What was said once is not said again by another attempt.
    assert waits.seconds == ([] if words else [0.5])


async def test_no_failure_tells_the_key() -> None:
    vendor = Vendor("acme", "ACME_API_KEY", "sk-acme-secret")
    error = raised.ModelHTTPError(401, "one", body={"message": "bad key sk-acme-secret"})
    with pytest.raises(ModelFailure) as caught:
        await OtherModel(FunctionModel(playing(error)), name="acme/one", vendor=vendor).reply(HELLO)
    assert "sk-acme-secret" not in f"{caught.value}{vendor!r}"
    assert "[key]" in str(caught.value)


async def test_a_vendors_model_is_made_with_the_key_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    vendor = Vendor("anthropic", "ANTHROPIC_API_KEY", "sk-ant")
    one, two = vendor.model("claude-sonnet-4-5"), vendor.model("claude-haiku-4-5")
    assert one.system == "anthropic"
    assert one.client is two.client  # type: ignore[attr-defined]
    assert OtherModel(one).name == "anthropic/claude-sonnet-4-5"
    await vendor.close()


@pytest.mark.parametrize("name", ["cohere:command-r", "nobody:nothing"])
async def test_what_cannot_be_made_is_unresolved(name: str) -> None:
    with pytest.raises(ModelFailure) as caught:
        await OtherModel(name).reply(HELLO)
    assert caught.value.trouble is Trouble.UNRESOLVED


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pydantic_ai.exceptions", "pydantic_ai.models", "pydantic_ai.providers"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelFailure, match=r"install vivavoce\[providers\]") as caught:
        Vendor("anthropic", "ANTHROPIC_API_KEY", "sk-ant").model("claude")
    assert caught.value.trouble is Trouble.UNRESOLVED


def test_pydantic_ai_is_not_imported_until_it_is_needed() -> None:
    code = "import sys, vivavoce.models.resolve; sys.exit('pydantic_ai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_arguments_that_could_not_be_kept_are_asked_for_again() -> None:
    bad = ModelResponse(parts=[ToolCallPart("find", '{"a":' * 120 + "1" + "}" * 120)])
    with pytest.raises(ModelFailure, match="nested too deeply"):
        await OtherModel(FunctionModel(playing(bad, bad)), name="acme/one").reply(HELLO)


async def test_a_temperature_and_a_call_are_wished_for_only_where_they_are_given() -> None:
    heard: Heard = []
    answers = [said("a"), said("b"), said("c")]
    model = OtherModel(FunctionModel(playing(*answers, heard=heard)), name="acme/one")
    tool = ToolSpec("find", "Finds.", {"type": "object", "properties": {}})
    await model.reply(Prompt(HELLO.lines, (tool,), temperature=0.0, must_call=True))
    await model.reply(Prompt(HELLO.lines, must_call=True))
    await model.reply(HELLO)
    plain = {"request_timeout": 60.0, "max_retries": 0}
    assert [info.model_settings for _, info in heard] == [
        {**plain, "temperature": 0.0, "tool_choice": "required"},
        plain,
        plain,
    ]


async def test_a_stream_has_the_same_wishes() -> None:
    heard: list[AgentInfo] = []

    async def play(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        heard.append(info)
        yield "Hello."

    model = OtherModel(FunctionModel(stream_function=play), name="acme/one")
    items = [item async for item in model.stream(Prompt(HELLO.lines, temperature=0.5))]
    assert items[:-1] == ["Hello."]
    (info,) = heard
    assert (info.model_settings or {}).get("temperature") == 0.5
