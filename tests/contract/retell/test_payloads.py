"""The least payloads of section 16: they are given back as they are sent, and the SDK's models read them.

``test_older_sdk`` runs this file with the models of the older release.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import retell
from tests.support.retell_scenes import prompted
from tests.support.retell_sdk import complete, connected, raw
from tests.support.server import Server

Payload = dict[str, Any]

DEFINITION: Payload = {
    "test_case_definition_id": "test_case_0123456789ab",
    "type": "simulation",
    "name": "n",
    "response_engine": {"type": "retell-llm", "llm_id": "llm_0123456789ab", "version": 0},
    "user_prompt": "p",
    "metrics": ["m"],
    "dynamic_variables": {},
    "tool_mocks": [
        {
            "tool_name": "t",
            "input_match_rule": {"type": "partial_match", "args": {"a": 1}},
            "output": "{}",
            "result": None,
        }
    ],
    "llm_model": "gpt-4.1",
    "creation_timestamp": 1,
    "user_modified_timestamp": 1,
}
BATCH: Payload = {
    "test_case_batch_job_id": "test_batch_0123456789ab",
    "status": "in_progress",
    "response_engine": {"type": "retell-llm", "llm_id": "llm_0123456789ab", "version": 0},
    "pass_count": 0,
    "fail_count": 0,
    "error_count": 0,
    "total_count": 1,
    "creation_timestamp": 1,
    "user_modified_timestamp": 1,
}
RUN: Payload = {
    "test_case_job_id": "test_job_0123456789ab",
    "status": "pass",
    "test_case_definition_id": "test_case_0123456789ab",
    "test_case_definition_snapshot": DEFINITION,
    "creation_timestamp": 1,
    "user_modified_timestamp": 2,
    "result_explanation": "ok",
    "transcript_snapshot": {"transcript": [{"role": "agent", "content": "hi"}], "dynamicVariables": {}},
}
LLM: Payload = {
    "llm_id": "llm_1",
    "version": 0,
    "is_published": False,
    "last_modification_timestamp": 1,
    "model": "gpt-4.1",
    "general_prompt": "p",
    "start_speaker": "agent",
    "general_tools": [{"type": "end_call", "name": "end_call"}],
}
FLOW: Payload = {
    "conversation_flow_id": "conversation_flow_1",
    "version": 0,
    "last_modification_timestamp": 1,
    "start_speaker": "agent",
    "model_choice": {"type": "cascading", "model": "gpt-4.1"},
    "start_node_id": "s",
    "nodes": [
        {
            "id": "s",
            "type": "conversation",
            "instruction": {"type": "prompt", "text": "hi"},
            "edges": [prompted("done", "x")],
        },
        {"id": "x", "type": "end"},
    ],
}
OUR_OWN = {
    "test_case_definition_id",
    "type",
    "llm_id",
    "conversation_flow_id",
    "version",
    "is_published",
    "creation_timestamp",
    "user_modified_timestamp",
    "last_modification_timestamp",
}
"""What the server adds to what it is sent."""


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


def sent(payload: Payload) -> Payload:
    """The part of it that is a request."""
    return {key: value for key, value in payload.items() if key not in OUR_OWN}


def kept(payload: Payload, answer: Any) -> None:
    """What was sent came back as it was, and beside it all that the payload has."""
    shown = answer.to_dict()
    assert {key: shown[key] for key in sent(payload)} == sent(payload)
    assert payload.keys() <= shown.keys()


def read(payload: Payload, ask: Callable[[Any], Any]) -> None:
    """The SDK takes it for an answer, loses nothing of it, and would take nothing less."""
    answers = iter((payload, dict(list(payload.items())[1:])))

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=next(answers))

    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as http,
        retell.Retell(api_key="k", http_client=http, _strict_response_validation=True) as client,
    ):
        assert ask(client).to_dict() == payload
        with pytest.raises(retell.APIResponseValidationError):
            ask(client)


def test_section_16_a_definition(client: Any) -> None:
    read(DEFINITION, lambda client: client.tests.get_test_case_definition("x"))
    engine = {"type": "retell-llm", "llm_id": client.llm.create().llm_id, "version": 0}
    payload = {**DEFINITION, "response_engine": engine}
    made = client.tests.create_test_case_definition(**sent(payload))
    kept(payload, made)
    assert made.type == "simulation"
    assert client.tests.get_test_case_definition(made.test_case_definition_id) == made
    changed = client.tests.update_test_case_definition(made.test_case_definition_id, **sent(payload))
    kept(payload, changed)


def test_section_16_a_batch_and_its_run(client: Any) -> None:
    read(BATCH, lambda client: client.tests.get_batch_test("x"))
    read(RUN, lambda client: client.tests.get_test_run("x"))
    engine = {"type": "retell-llm", "llm_id": client.llm.create(begin_message="hi").llm_id, "version": 0}
    script = {"user_prompt": "on start: hang up", "metrics": ['says "hi"']}
    one = client.tests.create_test_case_definition(**{**sent(DEFINITION), "response_engine": engine, **script})
    id_ = one.test_case_definition_id
    batch = client.tests.create_batch_test(test_case_definition_ids=[id_], response_engine=engine)
    shown = batch.to_dict()
    stamps = ("test_case_batch_job_id", "creation_timestamp", "user_modified_timestamp")
    assert shown == {**BATCH, "response_engine": engine, **{key: shown[key] for key in stamps}}
    complete(client, batch)
    [run] = client.tests.list_test_runs(batch.test_case_batch_job_id).items
    assert RUN.keys() <= run.to_dict().keys()
    assert (run.status, run.test_case_definition_id) == ("pass", id_), run.result_explanation
    assert run.test_case_definition_snapshot == one
    assert RUN["transcript_snapshot"].keys() <= run.transcript_snapshot.keys()
    [said] = [entry for entry in run.transcript_snapshot["transcript"] if entry["role"] == "agent"]
    assert RUN["transcript_snapshot"]["transcript"][0].items() <= said.items()


def test_section_16_an_llm(client: Any) -> None:
    read(LLM, lambda client: client.llm.retrieve("x"))
    made = client.llm.create(**sent(LLM))
    kept(LLM, made)
    assert (made.version, made.is_published) == (0, False)
    assert client.llm.retrieve(made.llm_id) == made
    kept(LLM, client.llm.update(made.llm_id, **sent(LLM)))


def test_section_16_a_flow(client: Any) -> None:
    read(FLOW, lambda client: client.conversation_flow.retrieve("x"))
    made = client.conversation_flow.create(**sent(FLOW))
    kept(FLOW, made)
    assert made.version == 0
    assert client.conversation_flow.retrieve(made.conversation_flow_id) == made
    kept(FLOW, client.conversation_flow.update(made.conversation_flow_id, **sent(FLOW)))


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (DEFINITION, "/create-test-case-definition"),
        (LLM, "/create-retell-llm"),
        (FLOW, "/create-conversation-flow"),
    ],
    ids=["definition", "llm", "flow"],
)
def test_section_16_a_response_can_be_sent_again_whole(client: Any, payload: Payload, path: str) -> None:
    """As clients do that copy what they were answered: what is the server's own is made anew."""
    engine = {"type": "retell-llm", "llm_id": client.llm.create().llm_id, "version": 0}
    whole = {**payload, "response_engine": engine} if "response_engine" in payload else payload
    made = raw(client, "POST", path, whole)
    assert {key: made[key] for key in sent(whole)} == sent(whole)
    id_ = next(key for key in payload if key.endswith("_id"))
    assert made[id_] != payload[id_]
    assert made["version"] == 0 if "version" in payload else made["creation_timestamp"] > 1
