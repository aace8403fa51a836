"""Definitions, batches and runs, as the vendor's own SDK drives them over a real socket."""

import time
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from retell import BadRequestError, NotFoundError, Retell
from retell.types import BatchTestResponse, TestCaseJobResponse
from retell.types.test_create_batch_test_params import ResponseEngine
from telnyx import Telnyx
from tests.support.retell_sdk import connected
from tests.support.server import Server

DESK = 'on hear "order": say "What is your order number?"\non hear "A-1001": say "It arrives today."'
CALLER = 'on start: say "Hi, where is my order?"\non hear "number": say "A-1001"\non hear "today": hang up'
MET, UNMET = 'says "order number"', 'says "welcome"'
PATIENCE_S = 30.0


@pytest.fixture
def client(live_server: Server) -> Iterator[Retell]:
    with connected(live_server) as client:
        yield client


def an_engine(client: Retell) -> ResponseEngine:
    made = client.llm.create(general_prompt=DESK, start_speaker="user", general_tools=[])
    return {"type": "retell-llm", "llm_id": made.llm_id}


def a_flow(client: Retell) -> ResponseEngine:
    made = client.conversation_flow.create(
        start_speaker="user",
        model_choice={"type": "cascading", "model": "gpt-4.1"},
        start_node_id="desk",
        nodes=[{"id": "desk", "type": "conversation", "instruction": {"type": "prompt", "text": DESK}}],
    )
    return {"type": "conversation-flow", "conversation_flow_id": made.conversation_flow_id}


def a_test(client: Retell, engine: ResponseEngine, *metrics: str, name: str = "late order") -> str:
    made = client.tests.create_test_case_definition(
        name=name, response_engine=engine, user_prompt=CALLER, metrics=list(metrics or (MET,))
    )
    return made.test_case_definition_id


def finished(client: Retell, batch: BatchTestResponse) -> BatchTestResponse:
    """The batch when it is complete; its counts never fall until then."""
    deadline = time.monotonic() + PATIENCE_S
    before = 0
    while batch.status != "complete":
        assert time.monotonic() < deadline, "the batch never ended"
        batch = client.tests.get_batch_test(batch.test_case_batch_job_id)
        over = batch.pass_count + batch.fail_count + batch.error_count
        assert before <= over <= batch.total_count
        assert (over == batch.total_count) is (batch.status == "complete")
        before = over
    return batch


def talk(run: TestCaseJobResponse) -> Any:
    """The conversation of a run that is over."""
    return run.transcript_snapshot


def refused(error: BadRequestError | NotFoundError) -> str:
    """The message of the body of section 1."""
    body: Any = error.body
    assert body["status"] == "error"
    return body["message"]


@pytest.mark.operation(
    "tests.create_test_case_definition",
    "tests.create_batch_test",
    "tests.get_batch_test",
    "tests.list_test_runs",
    "tests.get_test_run",
)
@pytest.mark.parametrize("make", [an_engine, a_flow])
def test_section_17_1_and_2_from_a_definition_to_its_verdict(client: Retell, make: Any) -> None:
    engine = make(client)
    good, bad = a_test(client, engine, MET, " "), a_test(client, engine, MET, UNMET)
    begun = client.tests.create_batch_test(test_case_definition_ids=[good, bad, good], response_engine=engine)
    assert (begun.status, begun.total_count) == ("in_progress", 3)
    assert (begun.pass_count, begun.fail_count, begun.error_count) == (0, 0, 0)
    assert cast("Any", begun.response_engine).version == 0
    batch = finished(client, begun)
    page = client.tests.list_test_runs(batch.test_case_batch_job_id)
    explained = [one.result_explanation for one in page.items]
    assert (batch.pass_count, batch.fail_count, batch.error_count) == (2, 1, 0), explained
    assert [one.test_case_definition_id for one in page.items] == [good, bad, good]
    assert [one.status for one in page.items] == ["pass", "fail", "pass"]
    run = client.tests.get_test_run(page.items[1].test_case_job_id)
    assert run == page.items[1]
    assert run.test_case_definition_snapshot.metrics == [MET, UNMET]
    assert f"Not met: {UNMET}" in (run.result_explanation or "")
    snapshot = talk(run)
    assert [one["content"] for one in snapshot["transcript"] if one["role"] == "agent"] == [
        "What is your order number?",
        "It arrives today.",
    ]
    assert snapshot["currentNodeId"] == ("desk" if make is a_flow else None)
    assert snapshot["dynamicVariables"]["session_type"] == "voice"


@pytest.mark.operation(
    "tests.get_test_case_definition",
    "tests.update_test_case_definition",
    "tests.delete_test_case_definition",
    "tests.list_test_case_definitions",
    "legacy.list_test_case_definitions",
)
def test_section_2_2_a_definition_is_changed_listed_and_deleted(client: Retell, live_server: Server) -> None:
    engine = an_engine(client)
    llm_id = cast("Any", engine)["llm_id"]
    ids = [a_test(client, engine, name=f"test {place}") for place in range(3)]
    changed = client.tests.update_test_case_definition(
        ids[0], metrics=["", "Is kind"], dynamic_variables={"a": ""}, llm_model="gpt-5"
    )
    assert (changed.name, changed.metrics, changed.dynamic_variables) == ("test 0", ["", "Is kind"], {"a": ""})
    assert changed.user_modified_timestamp >= changed.creation_timestamp
    assert client.tests.get_test_case_definition(ids[0]) == changed
    seen: list[str] = []
    key: str | None = None
    while key is not None or not seen:
        given: Any = {} if key is None else {"pagination_key": key}
        page = client.tests.list_test_case_definitions(type="retell-llm", llm_id=llm_id, limit=1, **given)
        seen += [one.test_case_definition_id for one in page.items]
        key = page.pagination_key
    assert seen == ids[::-1]
    legacy = httpx.get(
        f"{live_server.url}/list-test-case-definitions",
        params={"type": "retell-llm", "llm_id": llm_id},
        headers=live_server.headers,
    )
    assert [one["test_case_definition_id"] for one in legacy.json()] == seen
    batch = client.tests.create_batch_test(test_case_definition_ids=[ids[1]], response_engine=engine)
    client.tests.delete_test_case_definition(ids[1])
    for attempt in (
        client.tests.get_test_case_definition,
        client.tests.update_test_case_definition,
        client.tests.delete_test_case_definition,
    ):
        with pytest.raises(NotFoundError) as failure:
            attempt(ids[1])
        assert ids[1] in refused(failure.value)
    finished(client, batch)
    [run] = client.tests.list_test_runs(batch.test_case_batch_job_id).items
    assert (run.status, run.test_case_definition_snapshot.test_case_definition_id) == ("pass", ids[1])


@pytest.mark.operation("tests.list_batch_tests", "legacy.list_batch_tests", "legacy.list_test_runs")
def test_section_1_3_both_styles_of_lists(client: Retell, live_server: Server) -> None:
    engine = an_engine(client)
    llm_id = cast("Any", engine)["llm_id"]
    test = a_test(client, engine)
    begun = [
        client.tests.create_batch_test(test_case_definition_ids=[test, test], response_engine=engine) for _ in range(2)
    ]
    ids = [finished(client, one).test_case_batch_job_id for one in begun]
    page = client.tests.list_batch_tests(type="retell-llm", llm_id=llm_id)
    assert ([one.test_case_batch_job_id for one in page.items], page.has_more) == (ids[::-1], False)
    assert client.tests.list_batch_tests(type="retell-llm", llm_id=llm_id, version=1).items == []

    def legacy(path: str, **query: str) -> list[Any]:
        return httpx.get(f"{live_server.url}{path}", params=query, headers=live_server.headers).json()

    assert [
        one["test_case_batch_job_id"] for one in legacy("/list-batch-tests", type="retell-llm", llm_id=llm_id)
    ] == ids[::-1]
    runs = client.tests.list_test_runs(ids[0], limit=1)
    assert (len(runs.items), runs.has_more) == (1, True)
    # An engine of prompts is no flow, however its id is written.
    flow_id = llm_id.replace("llm", "conversation_flow")
    for listing in (client.tests.list_batch_tests, client.tests.list_test_case_definitions):
        flow = listing(type="conversation-flow", conversation_flow_id=flow_id, limit=1)
        assert (flow.items, flow.has_more) == ([], False)
    rest = client.tests.list_test_runs(ids[0], pagination_key=runs.pagination_key or "")
    assert [one["test_case_job_id"] for one in legacy(f"/list-test-runs/{ids[0]}")] == [
        one.test_case_job_id for one in (*runs.items, *rest.items)
    ]
    assert not rest.has_more


def test_section_17_4_and_5_what_is_wrong_is_refused(client: Retell, live_server: Server) -> None:
    engine, other = an_engine(client), an_engine(client)
    test, elsewhere = a_test(client, engine), a_test(client, other)
    unknown = "test_case_" + "0" * 32

    def batch(ids: list[str], given: Any = engine) -> str:
        with pytest.raises(BadRequestError) as failure:
            client.tests.create_batch_test(test_case_definition_ids=ids, response_engine=given)
        return refused(failure.value)

    assert unknown in batch([test, unknown])
    assert elsewhere in batch([test, elsewhere])
    for wrong in ([], [test] * 1001):
        assert "test_case_definition_ids" in batch(wrong)
    for strange in (
        {"type": "custom-llm", "llm_websocket_url": "wss://x.example"},
        {**engine, "version": 1},
        {"type": "retell-llm", "llm_id": "llm_unknown"},
        {"type": "conversation-flow", "conversation_flow_id": cast("Any", engine)["llm_id"]},
    ):
        batch([test], strange)
        with pytest.raises(BadRequestError):
            client.tests.create_test_case_definition(
                name="n", response_engine=cast("Any", strange), user_prompt="p", metrics=["m"]
            )
        with pytest.raises(BadRequestError):
            client.tests.update_test_case_definition(test, response_engine=cast("Any", strange))
    for query in ({}, {"type": "retell-llm"}, {"type": "conversation-flow", "llm_id": "x"}, {"type": "custom-llm"}):
        for path in ("/v2/list-test-case-definitions", "/list-batch-tests"):
            answer = httpx.get(f"{live_server.url}{path}", params=query, headers=live_server.headers)
            assert answer.status_code == 400
    for attempt in (client.tests.get_batch_test, client.tests.list_test_runs, client.tests.get_test_run):
        with pytest.raises(NotFoundError) as failure:
            attempt("unknown")
        assert "'unknown'" in refused(failure.value)


def test_section_18_the_same_scenario_and_run_are_seen_through_both_apis(client: Retell, live_server: Server) -> None:
    with Telnyx(api_key=live_server.key, base_url=f"{live_server.url}/v2", max_retries=0) as there:
        assistant = there.ai.assistants.create(name="clerk", instructions=DESK, model="scripted", greeting="")
        made: Any = there.ai.assistants.tests.create(
            name="late order",
            destination=assistant.id,
            instructions=CALLER,
            rubric=[{"name": "asks", "criteria": MET}],
        )
        llm_id = "llm_" + assistant.id.removeprefix("assistant-").replace("-", "")
        id_ = "test_case_" + made.test_id.replace("-", "")
        definition = client.tests.get_test_case_definition(id_)
        assert (definition.metrics, definition.user_prompt) == ([MET], CALLER)
        engine: ResponseEngine = {"type": "retell-llm", "llm_id": llm_id, "version": 0}
        assert definition.response_engine.model_dump() == engine
        batch = finished(client, client.tests.create_batch_test(test_case_definition_ids=[id_], response_engine=engine))
        assert batch.pass_count == 1
        alone: Any = there.ai.assistants.tests.runs.trigger(made.test_id)
        job = "test_job_" + alone.run_id.replace("-", "")
        deadline = time.monotonic() + PATIENCE_S
        while client.tests.get_test_run(job).status in ("pending", "in_progress"):
            assert time.monotonic() < deadline
        [one] = client.tests.list_test_runs(batch.test_case_batch_job_id).items
        other = client.tests.get_test_run(job)
        assert (one.status, one.result_explanation) == (other.status, other.result_explanation)
        words = [
            [each["content"] for each in cast("Any", run.transcript_snapshot)["transcript"]] for run in (one, other)
        ]
        assert words[0] == words[1]
        seen = there.ai.assistants.tests.runs.list(made.test_id).data
        assert {(run.status, run.detail_status[0].status) for run in cast("list[Any]", seen)} == {("passed", "passed")}
        assert len(seen) == 2
