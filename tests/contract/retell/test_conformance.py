"""The twelve conformance checks (contract, section 17), with the vendor's Python SDK over a live server.

They are run with the newest release here, and with an older one by ``test_older_sdk``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import retell
from tests.support.retell_scenes import CALLER, END, find_tool, flow, heard, llm, mock, says, shop, slow_models
from tests.support.retell_sdk import complete, connected, define, engine_of, examine, raw, results, run_all, said
from tests.support.server import Server, serving


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


# --- 1, 2: from the engine to the verdict -----------------------------------------------------------------------------


def test_check_1_prompts_are_examined_from_definition_to_verdict(client: Any) -> None:
    engine = engine_of(llm(client))
    definition = define(client, engine, CALLER, ['says "order number"', 'never says "nonsense"'], llm_model="gpt-4.1")
    batch = client.tests.create_batch_test(
        test_case_definition_ids=[definition.test_case_definition_id], response_engine=engine
    )
    assert (batch.status, batch.total_count, batch.response_engine.version) == ("in_progress", 1, 0)
    assert complete(client, batch).pass_count == 1
    [run] = client.tests.list_test_runs(batch.test_case_batch_job_id).items
    again = client.tests.get_test_run(run.test_case_job_id)
    assert again.status == "pass"
    assert again.test_case_definition_snapshot.user_prompt == CALLER
    assert said(again) == ["Hello.", "What is your order number?", "It arrives today."]
    assert said(again, "user") == ["Where is my order?", "A-1001", "bye"]
    assert again.result_explanation


def test_check_2_a_flow_is_examined_from_definition_to_verdict(client: Any) -> None:
    made = flow(
        client,
        says("ask", "What is your order number?", edges=[heard("A-1001", "tell")]),
        says("tell", "It arrives today.", edges=[heard("bye", "end")]),
        {
            "id": "end",
            "type": "end",
            "speak_during_execution": True,
            "instruction": {"type": "static_text", "text": "Goodbye."},
        },
    )
    run = examine(
        client, engine_of(made), 'on hear "number": say "A-1001"\non hear "today": say "bye"', ['says "today"']
    )
    assert run.status == "pass", run.result_explanation
    assert said(run) == ["What is your order number?", "It arrives today.", "Goodbye."]
    moves = [one for one in run.transcript_snapshot["transcript"] if one["role"] == "node_transition"]
    assert [one["new_node_id"] for one in moves][-2:] == ["tell", "end"]
    assert run.transcript_snapshot["currentNodeId"] == "end"


# --- 3: lists ---------------------------------------------------------------------------------------------------------


def test_check_3_both_list_styles_and_a_walk_of_one_by_one(client: Any) -> None:
    made = llm(client)
    engine, query = engine_of(made), {"type": "retell-llm", "llm_id": made.llm_id}
    ids = [define(client, engine, CALLER, ["m"]).test_case_definition_id for _ in range(3)]
    batches = [
        client.tests.create_batch_test(test_case_definition_ids=ids, response_engine=engine).test_case_batch_job_id
        for _ in range(3)
    ]

    def walk(method: Any, key: str, *arguments: Any, **given: Any) -> list[str]:
        found: list[str] = []
        page = method(*arguments, limit=1, **given)
        while True:
            found += [getattr(one, key) for one in page.items]
            assert len(page.items) == 1
            if not page.has_more:
                assert page.pagination_key is None
                return found
            page = method(*arguments, limit=1, pagination_key=page.pagination_key, **given)

    tests = client.tests
    assert walk(tests.list_test_case_definitions, "test_case_definition_id", **query) == ids[::-1]
    assert walk(tests.list_batch_tests, "test_case_batch_job_id", **query) == batches[::-1]
    assert walk(tests.list_test_runs, "test_case_definition_id", batches[0]) == ids
    arrays = {
        "/list-test-case-definitions": ("test_case_definition_id", ids[::-1]),
        "/list-batch-tests": ("test_case_batch_job_id", batches[::-1]),
    }
    for path, (key, expected) in arrays.items():
        assert [one[key] for one in raw(client, "GET", path, query=query)] == expected
    runs = raw(client, "GET", f"/list-test-runs/{batches[0]}")
    assert [one["test_case_definition_id"] for one in runs] == ids
    llms = walk(client.llm.list, "llm_id")
    assert made.llm_id in llms
    assert len(llms) == len(set(llms))
    assert made.llm_id in [one["llm_id"] for one in raw(client, "GET", "/list-retell-llms")]


# --- 4, 5: refusals ---------------------------------------------------------------------------------------------------


def test_check_4_error_bodies_and_codes(client: Any, live_server: Server) -> None:
    def refused(kind: type[Exception], call: Any) -> None:
        with pytest.raises(kind) as caught:
            call()
        body: Any = caught.value.body  # type: ignore[attr-defined]
        assert body["status"] == "error"
        assert body["message"]

    tests = client.tests
    for missing in (tests.get_test_case_definition, tests.get_batch_test, tests.get_test_run, tests.list_test_runs):
        refused(retell.NotFoundError, lambda missing=missing: missing("x"))
    refused(retell.NotFoundError, lambda: client.conversation_flow.retrieve("x"))
    refused(retell.UnprocessableEntityError, lambda: client.conversation_flow.update("x", global_prompt="y"))
    for missing in (client.llm.retrieve, client.agent.retrieve, client.chat_agent.retrieve, client.chat.retrieve):
        refused(retell.UnprocessableEntityError, lambda missing=missing: missing("x"))
    for missing in (client.knowledge_base.retrieve, client.voice.retrieve):
        refused(retell.UnprocessableEntityError, lambda missing=missing: missing("x"))
    refused(retell.BadRequestError, lambda: tests.list_batch_tests(type="retell-llm"))
    engine = {"type": "retell-llm", "llm_id": "x"}
    refused(retell.BadRequestError, lambda: define(client, engine, "p", ["m"]))
    other = retell.Retell(api_key="wrong", base_url=live_server.url, max_retries=0)
    refused(retell.AuthenticationError, lambda: other.tests.get_test_run("x"))


def test_check_5_custom_engines_and_sizes_that_are_refused(client: Any) -> None:
    engine = engine_of(llm(client))
    custom = {"type": "custom-llm", "llm_websocket_url": "wss://a.example"}
    one = define(client, engine, CALLER, ["m"]).test_case_definition_id
    refused: list[tuple[list[str], dict[str, Any]]] = [([one], custom), ([], engine), ([one] * 1001, engine)]
    refused += [(["test_case_0123456789ab"], engine), ([one], engine_of(llm(client)))]
    for ids, wanted in refused:
        with pytest.raises(retell.BadRequestError):
            client.tests.create_batch_test(test_case_definition_ids=ids, response_engine=wanted)
    with pytest.raises(retell.BadRequestError):
        define(client, custom, CALLER, ["m"])
    assert len(run_all(client, engine, [one, one])) == 2


# --- 6: mocks ---------------------------------------------------------------------------------------------------------


def test_check_6_the_first_mock_that_matches_answers(client: Any) -> None:
    script = """on hear "both": call find {"a": 1, "b": 2}
on hear "one": call find {"a": 1}
on hear "else": call find {"a": 3}
on result find: say "I got $0."
on hear "bye": hang up"""
    caller = """on start: say "both"
once on hear "partial": say "one"
once on hear "first": say "else"
once on hear "any": say "bye\""""
    with shop() as (url, asked):
        engine = engine_of(llm(client, script, general_tools=[find_tool(url), *END]))
        mocks = [
            mock("partial", {"a": 1, "b": 2}),
            mock("never", {"a": "1"}),  # nothing is converted
            mock("   ", {"a": 3}),  # without an output it is passed over
            mock("first", {"a": 1}),
            mock("any"),
            mock("late"),
            mock("not asked for", name="end_call"),
        ]
        run = examine(client, engine, caller, ['says "any"'], tool_mocks=mocks)
        assert run.status == "pass", run.result_explanation
        assert results(run)[:3] == ["partial", "first", "any"]
        assert run.transcript_snapshot["callEnded"] is True
        assert asked == []
        # Extra keys of a mock are some clients' habit; without a mock the tool is really called.
        run = examine(client, engine, caller, ['says "shipped"'], tool_mocks=[{**mock("", {"a": 1}), "type": "x"}])
        assert run.status == "pass", run.result_explanation
        assert asked[0]["body"]["name"] == "find"
        assert asked[0]["body"]["args"] == {"a": 1, "b": 2}
        assert "playground" in asked[0]["body"]["call"]["call_id"]
        assert asked[0]["headers"]["x-retell-signature"].startswith("v=")


@pytest.mark.parametrize("works", [True, False])
def test_check_6_a_mocked_transfer_takes_its_path(client: Any, works: bool) -> None:
    failed = {
        "id": "f",
        "destination_node_id": "sorry",
        "transition_condition": {"type": "prompt", "prompt": "Transfer failed"},
    }
    made = flow(
        client,
        says("ask", "Whom do you want?", edges=[heard("boss", "transfer")]),
        {
            "id": "transfer",
            "type": "transfer_call",
            "name": "to the boss",
            "transfer_destination": {"type": "predefined", "number": "+12025550123"},
            "transfer_option": {"type": "cold_transfer"},
            "edge": failed,
        },
        says("sorry", "The boss is out.", edges=[heard("bye", "end")]),
        {"id": "end", "type": "end"},
    )
    engine = engine_of(made)
    caller = 'on hear "whom": say "the boss"\non hear "out": say "bye"'
    names = ("transfer_call", "to the boss", "to_the_boss", "transfer")
    mocks = [mock("it is done", name=name, result=works) for name in names]
    run = examine(client, engine, caller, ['says "whom"' if works else 'says "out"'], tool_mocks=mocks)
    assert run.status == "pass", run.result_explanation
    assert said(run) == (["Whom do you want?"] if works else ["Whom do you want?", "The boss is out."])


# --- 7: variables -----------------------------------------------------------------------------------------------------


def test_check_7_variables_their_order_and_equations(client: Any) -> None:
    def equation(left: str, operator: str, right: str | None, to: str, id_: str) -> dict[str, Any]:
        one = {"left": left, "operator": operator} | ({"right": right} if right is not None else {})
        condition = {"type": "equation", "operator": "&&", "equations": [one]}
        return {"id": id_, "destination_node_id": to, "transition_condition": condition}

    made = flow(
        client,
        says("hello", "{{a}} {{ b }} {{c}} {{nobody}} {{k_{{n}}}} {{empty}}.", edges=[heard("go", "branch")]),
        {
            "id": "branch",
            "type": "branch",
            "edges": [
                equation("{{nobody}}", "exists", None, "wrong", "1"),
                equation("{{n}}", ">", "9", "wrong", "2"),
                equation("{{n}}", "==", "4.0", "wrong", "3"),
                equation("{{empty}}", "exists", None, "right", "4"),
            ],
            "else_edge": {
                "id": "5",
                "destination_node_id": "wrong",
                "transition_condition": {"type": "prompt", "prompt": "Else"},
            },
        },
        says("right", "Right.", edges=[heard("bye", "end")]),
        says("wrong", "Wrong.", edges=[heard("bye", "end")]),
        {"id": "end", "type": "end"},
        default_dynamic_variables={
            "a": "mine",
            "b": "mine",
            "c": "{{a}}",
            "n": "4",
            "k_4": "nested",
            "empty": "",
        },
    )
    run = examine(
        client,
        engine_of(made),
        'on start: say "go"\non hear "right" or "wrong": say "bye"',
        ['says "Right."'],
        dynamic_variables={"b": "case"},
    )
    assert said(run)[0] == "mine case {{a}} {{nobody}} nested ."
    assert run.status == "pass", run.result_explanation
    assert run.transcript_snapshot["dynamicVariables"]["b"] == "case"


# --- 8: verdicts ------------------------------------------------------------------------------------------------------


def test_check_8_all_met_passes_and_one_unmet_fails(client: Any) -> None:
    engine = engine_of(llm(client))
    met, unmet = 'says "order number"', 'says "never heard of"'
    assert examine(client, engine, CALLER, [met, " ", met]).status == "pass"
    run = examine(client, engine, CALLER, [met, unmet])
    assert run.status == "fail"
    assert "never heard of" in run.result_explanation
    assert examine(client, engine, CALLER, ["  "]).status == "error"


def went_wrong(client: Any, prompt: str, caller: str, told: str) -> None:
    run = examine(client, engine_of(llm(client, prompt)), caller, ['says "hello"'])
    assert (run.status, told in run.result_explanation) == ("error", True), run.result_explanation
    assert run.transcript_snapshot["transcript"]


@pytest.mark.parametrize(
    ("prompt", "caller", "told"),
    [
        (
            'on hear "x": say "yes, $0"',
            'else: say "I want x, and nothing else"',
            "Ending the conversation early as there might be a loop.",
        ),
        ('on hear "no such words": say "x"', 'on start: say "Hello?"\nelse: say "Is anybody there, hello?"', "silent"),
    ],
    ids=["repetition", "silence"],
)
def test_check_8_what_goes_wrong_is_an_error_with_text(client: Any, prompt: str, caller: str, told: str) -> None:
    went_wrong(client, prompt, caller, told)


def test_check_8_too_many_utterances_are_an_error_with_text(tmp_path: Path) -> None:
    numbers = "\n".join(f'on hear "said {n}": say "{n + 1}"' for n in range(1, 9))
    settings = {"VIVA_MODEL_FALLBACK": "default", "VIVA_UTTERANCE_LIMIT": "6"}
    with serving(tmp_path, settings) as server, connected(server) as client:
        went_wrong(client, 'on hear /(\\d)/: say "You said $1."', numbers + '\non start: say "1"', "6")


def test_check_8_the_wall_clock_is_an_error_with_text(tmp_path: Path) -> None:
    with slow_models() as url, serving(tmp_path, _slow(url)) as server, connected(server) as client:
        run = examine(client, engine_of(llm(client, begin_message=None)), CALLER, ["m"])
        assert run.status == "error"
        assert "1 s" in run.result_explanation


def _slow(url: str) -> dict[str, str]:
    return {
        "VIVA_MODEL_FALLBACK": "default",
        "VIVA_MAX_DURATION_SECONDS": "1",
        "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
        "OPENAI_BASE_URL": url,
        "VIVA_DEFAULT_MODEL": "openai/slow",
    }


# --- 9, 10, 11: batches -----------------------------------------------------------------------------------------------


def test_check_9_counts_and_a_restart_in_the_middle(tmp_path: Path) -> None:
    settings = {"VIVA_MODEL_FALLBACK": "default", "VIVA_WORKER_CONCURRENCY": "2"}
    with serving(tmp_path, settings) as server, connected(server) as client:
        engine = engine_of(llm(client))
        ids = [define(client, engine, CALLER, ['says "order number"']).test_case_definition_id for _ in range(40)]
        batch = client.tests.create_batch_test(test_case_definition_ids=ids, response_engine=engine)
        server.kill()
    with serving(tmp_path, settings) as server, connected(server) as client:
        done = complete(client, batch)
        assert (done.status, done.pass_count, done.total_count) == ("complete", 40, 40)


def test_check_10_edits_and_deletions_change_no_run(tmp_path: Path) -> None:
    settings = {"VIVA_MODEL_FALLBACK": "default", "VIVA_WORKER_CONCURRENCY": "1"}
    with serving(tmp_path, settings) as server, connected(server) as client:
        made = llm(client)
        engine = engine_of(made)
        ids = [define(client, engine, CALLER, ['says "order number"']).test_case_definition_id for _ in range(5)]
        batch = client.tests.create_batch_test(test_case_definition_ids=ids, response_engine=engine)
        client.tests.update_test_case_definition(ids[0], user_prompt="x", metrics=['says "x"'])
        for id_ in ids[1:]:
            client.tests.delete_test_case_definition(id_)
        client.llm.update(made.llm_id, general_prompt="Say nothing at all.", begin_message="Changed.")
        client.llm.delete(made.llm_id)
        assert complete(client, batch).pass_count == 5
        runs = client.tests.list_test_runs(batch.test_case_batch_job_id).items
        assert [run.test_case_definition_id for run in runs] == ids
        assert {run.test_case_definition_snapshot.user_prompt for run in runs} == {CALLER}
        assert {said(run)[0] for run in runs} == {"Hello."}
        with pytest.raises(retell.NotFoundError):
            client.tests.get_test_case_definition(ids[1])


def test_check_11_batches_are_listed_for_the_latest_version_unless_asked(client: Any) -> None:
    made = llm(client)
    agent = client.agent.create(response_engine=engine_of(made), voice_id="platform-anna")
    one = define(client, engine_of(made), CALLER, ["m"]).test_case_definition_id
    first = client.tests.create_batch_test(test_case_definition_ids=[one], response_engine=engine_of(made, 0))
    query = {"type": "retell-llm", "llm_id": made.llm_id}

    def listed(**more: Any) -> list[str]:
        return [b.test_case_batch_job_id for b in client.tests.list_batch_tests(**query, **more).items]

    assert listed() == [first.test_case_batch_job_id]
    client.agent.publish(agent.agent_id, version=0)
    assert client.agent.create_version(agent.agent_id, base_version=0).version == 1
    assert listed() == []
    second = client.tests.create_batch_test(test_case_definition_ids=[one], response_engine=engine_of(made))
    assert second.response_engine.version == 1
    assert listed() == [second.test_case_batch_job_id]
    assert listed(version=0) == [first.test_case_batch_job_id]


# --- 12: the playground -----------------------------------------------------------------------------------------------


def test_check_12_a_turn_of_the_playground_is_a_turn_of_a_simulation(client: Any) -> None:
    made = llm(client)
    agent = client.agent.create(response_engine=engine_of(made), voice_id="platform-anna")
    run = examine(client, engine_of(made), CALLER, ['says "order number"'])
    messages: list[dict[str, Any]] = []
    state: dict[str, Any] = {}
    for words in (None, *said(run, "user")[:-1]):
        messages += [{"role": "user", "content": words}] if words is not None else []
        turn = client.playground.completion(agent.agent_id, messages=messages, **state)
        messages += [one.to_dict() for one in turn.messages]
        state = {"dynamic_variables": turn.dynamic_variables or {}}
    same = [(one["role"], one["content"]) for one in messages]
    assert same == [(one["role"], one["content"]) for one in run.transcript_snapshot["transcript"]][: len(same)]
