"""The vendor's own Python SDK lists models, chats with them and lets them rewrite instructions."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import httpx
import pytest
import telnyx
from telnyx import Telnyx
from tests.support import endpoint as endpoint_module
from tests.support.raw import send_json
from tests.support.routes import is_errors
from tests.support.server import Server, serving

SCRIPT = 'on hear "hello": say "Good day."; call find {"a": 1}'
MESSAGES: Any = [{"role": "system", "content": SCRIPT}, {"role": "user", "content": "hello"}]
FIND: Any = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
COMPLETIONS = "/v2/ai/openai/chat/completions"


def client_of(server: Server) -> Telnyx:
    return Telnyx(api_key=server.key, base_url=f"{server.url}/v2", max_retries=0, _strict_response_validation=True)


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with client_of(live_server) as client:
        yield client


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The control address of a model endpoint in a process of its own."""
    program = [sys.executable, str(Path(str(endpoint_module.__file__))), "--port", "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        port = running.stdout.readline().split()[-1]
        yield f"http://127.0.0.1:{port}/_control"
        running.terminate()


@pytest.fixture(scope="module")
def near_server(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose default model is at the endpoint."""
    local = {"base_url": provider.replace("/_control", "/v1"), "api_key": "sk-configured", "max_attempts": 1}
    settings = {
        "VIVA_PROVIDERS": json.dumps({"local": local}),
        "VIVA_DEFAULT_MODEL": "local/m",
        "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    with serving(tmp_path_factory.mktemp("near"), settings) as server:
        yield server


@pytest.fixture
def near(near_server: Server, provider: str) -> Iterator[Telnyx]:
    control(provider, reset=True)
    with client_of(near_server) as client:
        yield client


def control(provider: str, **wishes: Any) -> Any:
    data = json.dumps(wishes).encode() if wishes else None
    with urlopen(Request(provider, data, {"Content-Type": "application/json"})) as answer:
        return json.load(answer)


def sent(provider: str) -> list[dict[str, Any]]:
    return control(provider)["requests"]


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.operation("ai.openai.list_models")
def test_models_are_listed_with_every_required_field(client: Telnyx, live_server: Server) -> None:
    listed = client.ai.openai.list_models()
    assert listed.object == "list"
    [scripted] = [one for one in listed.data if one.id == "scripted"]
    assert scripted.recommended_for_assistants is True
    assert (scripted.owned_by, scripted.tier, scripted.license) == ("vivavoce", "unlisted", "unknown")
    assert (scripted.context_length, scripted.parameters, scripted.languages) == (0, 0, [])
    assert scripted.created.timestamp() == 0
    twin = send_json(live_server, "GET", "/v2/ai/models")
    assert [one["id"] for one in twin.json["data"]] == [one.id for one in listed.data]


def test_a_provider_that_lists_nothing_does_no_harm(near: Telnyx) -> None:
    names = [one.id for one in near.ai.openai.list_models().data]
    assert names == ["local/m", "scripted"]


# --- chat completions -----------------------------------------------------------------------------------------------


@pytest.mark.operation("ai.openai.chat.create_completion")
def test_the_scripted_model_answers(client: Telnyx) -> None:
    answer: Any = client.ai.openai.chat.create_completion(messages=MESSAGES, model="scripted", tools=[FIND])
    [choice] = answer["choices"]
    assert choice["message"]["content"] == "Good day."
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "find", "arguments": '{"a":1}'}
    assert (answer["object"], choice["finish_reason"]) == ("chat.completion", "tool_calls")


@pytest.mark.operation("ai.openai.chat.create_completion")
def test_rule_5_18_documented_fields_reach_the_provider_unchanged(near: Telnyx, provider: str) -> None:
    fields: Any = {
        "temperature": 0.25,
        "max_tokens": 7,
        "stop": ["a", "b"],
        "seed": 3,
        "min_p": 0.5,
        "enable_thinking": False,
        "reasoning_effort": "low",
        "service_tier": "flex",
        "tool_choice": "auto",
        "tools": [FIND],
        "response_format": {"type": "json_object"},
    }
    answer: Any = near.ai.openai.chat.create_completion(
        messages=MESSAGES, region="EU", extra_body={"guided_choice": ["x"], "odd": [1]}, **fields
    )
    assert answer["choices"][0]["message"]["content"] == "answer 1 to: hello"
    [request] = sent(provider)
    assert request["body"] == {
        **fields,
        "messages": MESSAGES,
        "model": "m",
        "guided_choice": ["x"],
        "odd": [1],
    }
    assert request["authorization"] == "Bearer sk-configured"


def test_a_stored_key_pays_for_a_completion(near: Telnyx, provider: str) -> None:
    near.integration_secrets.create(identifier="mine", type="bearer", token="sk-mine")
    near.ai.openai.chat.create_completion(messages=MESSAGES, model="local/x", api_key_ref="mine")
    [request] = sent(provider)
    assert (request["authorization"], request["body"]["model"]) == ("Bearer sk-mine", "x")
    assert "api_key_ref" not in request["body"]


@pytest.mark.parametrize(("model", "words"), [("scripted", "Good day."), ("local/m", "answer 1 to: hello")])
def test_an_answer_is_streamed_as_server_sent_events(near: Telnyx, model: str, words: str) -> None:
    with near.ai.openai.chat.with_streaming_response.create_completion(
        messages=MESSAGES, model=model, stream=True
    ) as response:
        assert response.headers["content-type"].split(";")[0] == "text/event-stream"
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    said = [event["choices"][0]["delta"].get("content", "") for event in events]
    assert "".join(said) == words
    assert len([piece for piece in said if piece]) > 1


@pytest.mark.parametrize("stream", [False, True])
def test_errors_of_the_provider_are_ours(near: Telnyx, provider: str, stream: bool) -> None:
    refusal = {"error": {"message": "min_p is not known"}}
    for status, kind, code in ((400, telnyx.BadRequestError, "10015"), (502, telnyx.InternalServerError, "10016")):
        control(provider, faults=[{"kind": "status", "status": status, "body": refusal, "times": 1}])
        with pytest.raises(kind) as caught:
            near.ai.openai.chat.create_completion(messages=MESSAGES, stream=stream)
        [error] = caught.value.response.json()["errors"]
        assert error["code"] == code
        assert "min_p is not known" in error["detail"]
    assert caught.value.response.status_code == 503
    assert len(sent(provider)) == 2


def test_requests_that_cannot_be_met_are_refused(near_server: Server) -> None:
    def post(**given: Any) -> Any:
        return send_json(near_server, "POST", COMPLETIONS, {"messages": MESSAGES, **given})

    is_errors(post(model="nobody/knows"), 400, "10015", "/model")
    is_errors(post(model="local/m", api_key_ref="lost"), 400, "10015", "/api_key_ref")
    is_errors(post(model="scripted", n=2), 400, "10015", "/n")
    retrieval = {"type": "retrieval", "retrieval": {"bucket_ids": ["b"]}}
    is_errors(post(tools=[retrieval]), 400, "10015", "/tools")
    for wrong, place in (
        ({"region": "EU", "mode": "strict"}, "region"),
        ({"mode": "preferred"}, "region"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"tools": [{"type": "webhook"}]}, "tools"),
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages"),
        ({"model": ""}, "model"),
    ):
        answer = post(**wrong)
        assert answer.status == 422, answer.body
        assert answer.json["detail"][0]["loc"][:2] == ["body", place]


# --- instructions ---------------------------------------------------------------------------------------------------


@pytest.mark.operation("ai.assistants.instructions.enhance")
def test_instructions_are_rewritten_and_not_saved(near: Telnyx, provider: str) -> None:
    control(provider, behaviours=[{"say": ["Be very kind, and brief."]}])
    assistant = near.ai.assistants.create(name="kind", instructions="Be kind.")
    written = near.ai.assistants.instructions.enhance(assistant.id, enhancement_prompt="Be brief.")
    assert written == "Be very kind, and brief."
    [request] = sent(provider)
    assert "Be kind." in request["body"]["messages"][1]["content"]
    assert "Be brief." in request["body"]["messages"][1]["content"]
    assert near.ai.assistants.retrieve(assistant.id).instructions == "Be kind."


@pytest.mark.operation("ai.assistants.instructions.enhance")
def test_instructions_come_in_pieces_of_plain_text(client: Telnyx) -> None:
    assistant = client.ai.assistants.create(name="kind", instructions="Be kind.", model="scripted")
    with client.ai.assistants.instructions.with_streaming_response.enhance(
        assistant.id, instructions="Be brief."
    ) as response:
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["transfer-encoding"] == "chunked"
        text = "".join(response.iter_text())
    assert text.startswith("(I am the scripted model")
    assert text.endswith("\n\nBe brief.")


@pytest.mark.parametrize("body", [None, {}, {"instructions": None, "enhancement_prompt": None}])
def test_the_body_may_be_left_out_and_its_fields_be_null(client: Telnyx, live_server: Server, body: Any) -> None:
    assistant = client.ai.assistants.create(name="kind", instructions="Be kind.", model="scripted")
    path = f"/v2/ai/assistants/{assistant.id}/instructions/enhance"
    answer = send_json(live_server, "POST", path, body)
    assert (answer.status, answer.body.decode().endswith("Be kind.")) == (200, True)
    for name in ("instructions", "enhancement_prompt"):
        assert send_json(live_server, "POST", path, {name: 7}).status == 422


def test_failures_before_the_first_word_are_proper_answers(near: Telnyx, provider: str) -> None:
    assistant = near.ai.assistants.create(name="kind", instructions="Be kind.")
    for status, kind in ((400, telnyx.BadRequestError), (503, telnyx.InternalServerError)):
        control(provider, faults=[{"kind": "status", "status": status}])
        with pytest.raises(kind):
            near.ai.assistants.instructions.enhance(assistant.id)
    with pytest.raises(telnyx.NotFoundError):
        near.ai.assistants.instructions.enhance("assistant-nobody")


def test_a_failure_after_the_first_word_ends_the_connection(near: Telnyx, provider: str) -> None:
    """Nothing in plain text could say that it is not all."""
    assistant = near.ai.assistants.create(name="kind", instructions="Be kind.")
    control(provider, faults=[{"kind": "half"}])
    with (
        near.ai.assistants.instructions.with_streaming_response.enhance(assistant.id) as response,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        list(response.iter_text())
