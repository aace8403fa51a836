"""The vendor's own Python SDK drives the server unmodified: the published contract, checked by the other side.

The client checks every response against its own models (``_strict_response_validation``) and never tries twice, so
nothing is smoothed over.
"""

import json
import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
import telnyx
from telnyx import AsyncTelnyx, Telnyx
from telnyx.types.ai import InferenceEmbedding
from telnyx.types.ai.assistants import AssistantTest
from telnyx.types.ai.assistants.tests import TestRunResponse as RunResponse
from tests.support.server import Server

MODEL = "scripted"
ASKS_FOR_THE_NUMBER = 'on hear "order": say "What is your order number?"\non hear "A-1001": say "It arrives today."'
ASKS_BADLY = 'on hear "order": say "Tell me the number."\non hear "A-1001": say "It arrives today."'
CALLER = 'on start: say "Hi, where is my order?"\non hear "number": say "A-1001"; hang up'
RUBRIC = [
    {"name": "asks", "criteria": 'says "order number"'},
    {"name": "stays polite", "criteria": 'never says "nonsense"'},
]
FINAL = {"passed", "failed", "error"}
PATIENCE_S = 30.0


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key,
        base_url=f"{live_server.url}/v2",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.fixture
async def async_client(live_server: Server) -> AsyncIterator[AsyncTelnyx]:
    async with AsyncTelnyx(
        api_key=live_server.key,
        base_url=f"{live_server.url}/v2",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.fixture
def assistant(client: Telnyx) -> InferenceEmbedding:
    return client.ai.assistants.create(
        name=unique("clerk"),
        instructions=ASKS_FOR_THE_NUMBER,
        model=MODEL,
        tools=[
            {
                "type": "webhook",
                "timeout_ms": 4000,
                "webhook": {
                    "name": "find_order",
                    "description": "Finds an order by its number.",
                    "url": "https://shop.example.com/orders/{number}",
                    "method": "GET",
                    "path_parameters": {
                        "type": "object",
                        "properties": {"number": {"type": "string"}},
                        "required": ["number"],
                    },
                    "store_fields_as_variables": [{"name": "arrival", "value_path": "order.arrival"}],
                },
            }
        ],
    )


@pytest.fixture
def scenario(client: Telnyx, assistant: InferenceEmbedding) -> AssistantTest:
    return make_test(client, assistant.id, suite=unique("suite"))


def unique(word: str) -> str:
    return f"{word} {uuid4().hex[:12]}"


def make_test(client: Telnyx, assistant_id: str, *, suite: str) -> AssistantTest:
    return client.ai.assistants.tests.create(
        name=unique("where is my order"),
        destination=assistant_id,
        instructions=CALLER,
        rubric=[{"name": one["name"], "criteria": one["criteria"]} for one in RUBRIC],
        telnyx_conversation_channel="web_chat",
        max_duration_seconds=120,
        test_suite=suite,
    )


def finished(client: Telnyx, run: RunResponse) -> RunResponse:
    deadline = time.monotonic() + PATIENCE_S
    while run.status not in FINAL:
        assert time.monotonic() < deadline, f"still {run.status} after {PATIENCE_S} s"
        time.sleep(0.05)
        run = client.ai.assistants.tests.runs.retrieve(run.run_id, test_id=run.test_id)
    return run


def candidate(client: Telnyx, assistant_id: str, instructions: str) -> str:
    """The id of a new version that is not main."""
    version = client.ai.assistants.update(assistant_id, instructions=instructions, promote_to_main=False)
    assert version.version_id
    return version.version_id


# assistants


def test_an_assistant_is_created_with_its_tool(assistant: InferenceEmbedding) -> None:
    assert assistant.id.startswith("assistant-")
    assert assistant.instructions == ASKS_FOR_THE_NUMBER
    assert assistant.model == MODEL
    assert assistant.version_id
    assert assistant.created_at.tzinfo is not None
    assert assistant.tools is not None
    tool = assistant.tools[0].to_dict()
    assert tool["type"] == "webhook"
    assert tool["timeout_ms"] == 4000
    webhook = tool["webhook"]
    assert isinstance(webhook, dict)
    assert webhook["name"] == "find_order"
    assert webhook["method"] == "GET"
    assert webhook["store_fields_as_variables"] == [{"name": "arrival", "value_path": "order.arrival"}]


def test_an_assistant_is_retrieved(client: Telnyx, assistant: InferenceEmbedding) -> None:
    assert client.ai.assistants.retrieve(assistant.id).to_dict() == assistant.to_dict()


def test_an_update_writes_a_new_main_version_and_keeps_what_it_leaves_out(
    client: Telnyx, assistant: InferenceEmbedding
) -> None:
    updated = client.ai.assistants.update(assistant.id, description="Knows orders.")
    assert updated.id == assistant.id
    assert updated.version_id != assistant.version_id
    assert updated.description == "Knows orders."
    assert updated.instructions == assistant.instructions
    assert updated.tools is not None
    assert assistant.tools is not None
    assert [tool.to_dict() for tool in updated.tools] == [tool.to_dict() for tool in assistant.tools]
    assert client.ai.assistants.retrieve(assistant.id).version_id == updated.version_id


def test_a_version_that_is_not_promoted_leaves_main_alone(client: Telnyx, assistant: InferenceEmbedding) -> None:
    version_id = candidate(client, assistant.id, ASKS_BADLY)
    assert version_id != assistant.version_id
    main = client.ai.assistants.retrieve(assistant.id)
    assert (main.version_id, main.instructions) == (assistant.version_id, ASKS_FOR_THE_NUMBER)


def test_assistants_are_listed(client: Telnyx, assistant: InferenceEmbedding) -> None:
    assert [one.name for one in client.ai.assistants.list().data if one.id == assistant.id] == [assistant.name]


def test_an_assistant_answers_in_a_conversation(client: Telnyx, assistant: InferenceEmbedding) -> None:
    conversation = client.ai.conversations.create(name="chat", metadata={"channel": "help page"})
    said = client.ai.assistants.chat(assistant.id, content="Where is my order?", conversation_id=conversation.id)
    assert said.content == "What is your order number?"
    messages = client.ai.conversations.messages.list(conversation.id).data
    assert sorted((one.role, one.text) for one in messages) == [
        ("assistant", "What is your order number?"),
        ("user", "Where is my order?"),
    ]


def test_an_assistant_answers_in_a_stream(client: Telnyx, assistant: InferenceEmbedding) -> None:
    conversation = client.ai.conversations.create()
    with client.ai.assistants.with_streaming_response.chat(
        assistant.id, content="Where is my order?", conversation_id=conversation.id, stream=True
    ) as response:
        assert response.headers["content-type"].split(";")[0] == "text/event-stream"
        events = read_events(list(response.iter_lines()))
    assert [name for name, _ in events[:-1]] == ["delta"] * (len(events) - 1)
    assert len(events) > 1
    assert "".join(data["content"] for _, data in events[:-1]) == "What is your order number?"
    name, done = events[-1]
    assert (name, done["content"]) == ("done", "What is your order number?")


def read_events(lines: list[str]) -> list[tuple[str, dict[str, str]]]:
    """(name, data) of each server-sent event."""
    found: list[tuple[str, dict[str, str]]] = []
    name = "message"
    for line in lines:
        key, _, value = line.partition(":")
        if key == "event":
            name = value.strip()
        elif key == "data":
            found.append((name, json.loads(value)))
    return found


# tests


@pytest.mark.operation("ai.assistants.tests.create", "ai.assistants.tests.retrieve")
def test_a_test_is_created_and_retrieved(
    client: Telnyx, assistant: InferenceEmbedding, scenario: AssistantTest
) -> None:
    assert scenario.destination == assistant.id
    assert scenario.instructions == CALLER
    assert scenario.telnyx_conversation_channel == "web_chat"
    assert scenario.max_duration_seconds == 120
    assert [{"name": one.name, "criteria": one.criteria} for one in scenario.rubric] == RUBRIC
    assert client.ai.assistants.tests.retrieve(scenario.test_id).to_dict() == scenario.to_dict()


def test_a_test_reaches_chat_unless_it_says_otherwise(client: Telnyx, assistant: InferenceEmbedding) -> None:
    plain = client.ai.assistants.tests.create(
        name=unique("plain"), destination=assistant.id, instructions=CALLER, rubric=[{"name": "a", "criteria": "b"}]
    )
    assert plain.telnyx_conversation_channel == "web_chat"


@pytest.mark.operation("ai.assistants.tests.update")
def test_a_test_is_updated_in_part(client: Telnyx, scenario: AssistantTest) -> None:
    updated = client.ai.assistants.tests.update(scenario.test_id, description="The simplest call there is.")
    assert updated.to_dict() == {**scenario.to_dict(), "description": "The simplest call there is."}


@pytest.mark.operation("ai.assistants.tests.list")
def test_tests_are_listed_by_suite_and_page(client: Telnyx, assistant: InferenceEmbedding) -> None:
    suite = unique("suite")
    made = {make_test(client, assistant.id, suite=suite).test_id for _ in range(3)}
    make_test(client, assistant.id, suite=unique("another suite"))
    page = client.ai.assistants.tests.list(test_suite=suite, page_number=1, page_size=2)
    assert len(page.data) == 2
    assert page.meta is not None
    assert (page.meta.page_number, page.meta.total_pages) == (1, 2)
    # The SDK walks to the last page by itself, and must come to an end there.
    assert {one.test_id for one in page} == made
    assert len(client.ai.assistants.tests.list(test_suite=suite, page_number=2, page_size=2).data) == 1


def test_tests_are_listed_by_destination(
    client: Telnyx, assistant: InferenceEmbedding, scenario: AssistantTest
) -> None:
    listed = client.ai.assistants.tests.list(destination=assistant.id, telnyx_conversation_channel="web_chat")
    assert [one.test_id for one in listed] == [scenario.test_id]


@pytest.mark.operation("ai.assistants.tests.delete")
def test_a_deleted_test_is_gone(client: Telnyx, scenario: AssistantTest) -> None:
    client.ai.assistants.tests.delete(scenario.test_id)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.assistants.tests.retrieve(scenario.test_id)


# runs


@pytest.mark.operation("ai.assistants.tests.runs.trigger", "ai.assistants.tests.runs.retrieve")
def test_a_run_of_the_main_version_passes(client: Telnyx, scenario: AssistantTest) -> None:
    triggered = client.ai.assistants.tests.runs.trigger(scenario.test_id)
    assert triggered.status == "pending"
    assert triggered.test_id == scenario.test_id
    assert triggered.test_suite_run_id is None
    assert triggered.triggered_by
    run = finished(client, triggered)
    assert run.status == "passed", run.logs
    assert [(one.name, one.status) for one in run.detail_status or ()] == [
        ("asks", "passed"),
        ("stays polite", "passed"),
    ]
    assert run.completed_at is not None
    assert run.completed_at >= run.created_at


def test_a_run_of_another_version_is_judged_on_that_version(
    client: Telnyx, assistant: InferenceEmbedding, scenario: AssistantTest
) -> None:
    version_id = candidate(client, assistant.id, ASKS_BADLY)
    run = finished(client, client.ai.assistants.tests.runs.trigger(scenario.test_id, destination_version_id=version_id))
    assert run.status == "failed", run.logs
    assert [(one.name, one.status) for one in run.detail_status or ()] == [
        ("asks", "failed"),
        ("stays polite", "passed"),
    ]


def test_the_conversation_of_a_run_can_be_read(client: Telnyx, scenario: AssistantTest) -> None:
    run = finished(client, client.ai.assistants.tests.runs.trigger(scenario.test_id))
    assert run.conversation_id
    conversation = client.ai.conversations.retrieve(run.conversation_id).data
    assert conversation is not None
    assert conversation.metadata["telnyx_conversation_channel"] == "web_chat"
    said = {(one.role, one.text) for one in client.ai.conversations.messages.list(run.conversation_id)}
    assert {("user", "Hi, where is my order?"), ("assistant", "What is your order number?"), ("user", "A-1001")} <= said


@pytest.mark.operation("ai.assistants.tests.runs.list")
def test_runs_are_listed_by_status_and_page(client: Telnyx, scenario: AssistantTest) -> None:
    runs = [client.ai.assistants.tests.runs.trigger(scenario.test_id) for _ in range(3)]
    ids = {finished(client, run).run_id for run in runs}
    page = client.ai.assistants.tests.runs.list(scenario.test_id, status="passed", page_number=1, page_size=2)
    assert len(page.data) == 2
    assert page.meta is not None
    assert (page.meta.page_number, page.meta.total_pages) == (1, 2)
    assert {one.run_id for one in page} == ids
    assert list(client.ai.assistants.tests.runs.list(scenario.test_id, status="failed")) == []


# suites


@pytest.mark.operation("ai.assistants.tests.test_suites.list")
def test_suites_are_listed(client: Telnyx, scenario: AssistantTest) -> None:
    assert scenario.test_suite in client.ai.assistants.tests.test_suites.list().data


@pytest.mark.operation("ai.assistants.tests.test_suites.runs.trigger", "ai.assistants.tests.test_suites.runs.list")
def test_a_suite_runs_every_test_of_it(client: Telnyx, assistant: InferenceEmbedding) -> None:
    suite = unique("a/b suite")  # the SDK percent-encodes the slash, and the server must not split there
    tests = {make_test(client, assistant.id, suite=suite).test_id for _ in range(2)}
    triggered = client.ai.assistants.tests.test_suites.runs.trigger(suite)
    assert {run.test_id for run in triggered} == tests
    batches = {run.test_suite_run_id for run in triggered}
    assert len(batches) == 1
    batch = batches.pop()
    assert batch
    assert {finished(client, run).status for run in triggered} == {"passed"}
    listed = client.ai.assistants.tests.test_suites.runs.list(suite, test_suite_run_id=batch, status="passed")
    assert {run.run_id for run in listed} == {run.run_id for run in triggered}


def test_a_suite_runs_against_a_chosen_version(client: Telnyx, assistant: InferenceEmbedding) -> None:
    suite = unique("suite")
    make_test(client, assistant.id, suite=suite)
    version_id = candidate(client, assistant.id, ASKS_BADLY)
    triggered = client.ai.assistants.tests.test_suites.runs.trigger(suite, destination_version_id=version_id)
    assert [finished(client, run).status for run in triggered] == ["failed"]


# errors


@pytest.mark.parametrize("unknown", ["assistant-00000000-0000-0000-0000-000000000000", "nobody"])
def test_an_unknown_assistant_is_not_found(client: Telnyx, unknown: str) -> None:
    with pytest.raises(telnyx.NotFoundError) as caught:
        client.ai.assistants.retrieve(unknown)
    assert error_codes(caught.value) == ["10005"]


def test_an_unknown_run_is_not_found(client: Telnyx, scenario: AssistantTest) -> None:
    with pytest.raises(telnyx.NotFoundError):
        client.ai.assistants.tests.runs.retrieve(str(uuid4()), test_id=scenario.test_id)


def test_an_unknown_version_is_a_bad_request(client: Telnyx, scenario: AssistantTest) -> None:
    with pytest.raises(telnyx.BadRequestError) as caught:
        client.ai.assistants.tests.runs.trigger(scenario.test_id, destination_version_id="20200101T000000000000")
    assert error_codes(caught.value) == ["10015"]


def test_a_wrong_key_is_refused(live_server: Server) -> None:
    with (
        Telnyx(api_key="not the key", base_url=f"{live_server.url}/v2", max_retries=0) as stranger,
        pytest.raises(telnyx.AuthenticationError) as caught,
    ):
        stranger.ai.assistants.list()
    assert error_codes(caught.value) == ["10009"]


def test_a_test_without_a_rubric_is_refused(client: Telnyx, assistant: InferenceEmbedding) -> None:
    with pytest.raises(telnyx.UnprocessableEntityError) as caught:
        client.ai.assistants.tests.create(
            name=unique("no rubric"), destination=assistant.id, instructions=CALLER, rubric=[]
        )
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["detail"][0]["loc"] == ["body", "rubric"]


def error_codes(error: telnyx.APIStatusError) -> list[str]:
    return [one["code"] for one in error.response.json()["errors"]]


# the asynchronous client


async def test_the_asynchronous_client_creates_chats_and_lists(async_client: AsyncTelnyx) -> None:
    made = await async_client.ai.assistants.create(name=unique("clerk"), instructions=ASKS_FOR_THE_NUMBER, model=MODEL)
    conversation = await async_client.ai.conversations.create()
    said = await async_client.ai.assistants.chat(made.id, content="Where is my order?", conversation_id=conversation.id)
    assert said.content == "What is your order number?"
    suite = unique("suite")
    for _ in range(3):
        await async_client.ai.assistants.tests.create(
            name=unique("test"),
            destination=made.id,
            instructions=CALLER,
            rubric=[{"name": "asks", "criteria": 'says "order number"'}],
            test_suite=suite,
        )
    listed = [one.destination async for one in async_client.ai.assistants.tests.list(test_suite=suite, page_size=2)]
    assert listed == [made.id] * 3


async def test_the_asynchronous_client_meets_the_same_errors(async_client: AsyncTelnyx) -> None:
    with pytest.raises(telnyx.NotFoundError):
        await async_client.ai.assistants.tests.retrieve(str(uuid4()))
