"""Every rule of the contract's sections 1.4, 4.2 and 6 has a test that proves it: the list of them, and tests of those
rules that only show when the parts of the server work together."""

import ast
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import telnyx
from telnyx import Telnyx
from telnyx.types.ai import InferenceEmbedding
from tests.support.raw import send, send_json
from tests.support.server import Server

TESTS = Path(__file__).parents[1]
PATIENCE_S = 20.0

NUMBERED = (
    *(f"row_1_4_{status}_" for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)),
    *(f"rule_4_2_{number}_" for number in range(1, 11)),
)
"""What the contract numbers: the name of a test begins with it."""

RULES: dict[str, dict[str, str]] = {
    "6.1": {
        "every conversation and every list shows main": "versions_are_listed_edited_promoted_and_removed",
        "the first version is main and has a default name": "an_assistant_is_made_seen_and_changed",
        "every update writes a version": "every_change_writes_a_version",
        "it becomes main unless it is not to": "rule_6_1_an_update_replaces_what_it_says_and_keeps_the_rest",
        "it starts from main, and omitted fields stay": "rule_6_1_omitted_fields_stay_and_sent_ones_are_replaced_whole",
        "another version is edited in place": "rule_6_1_another_version_than_main_is_edited_in_place",
        "main is neither edited nor removed": "rule_6_1_main_is_neither_edited_nor_removed_as_a_version",
        "a served version is locked": "rule_6_1_a_version_that_a_rollout_serves_is_locked",
        "there are ten at most": "rule_6_1_of_more_than_ten_the_oldest_go_but_never_main_nor_a_served_one",
        "a version is removed": "rule_6_1_a_version_is_removed_for_good",
        "promoting ends the rollout": "rule_6_1_promoting_ends_the_rollout",
        "an update that becomes main does not": "an_update_that_is_promoted_leaves_the_rollout",
        "tags write no version": "tags_are_added_and_removed_without_a_version",
        "attaching a tool writes no version": "attaching_changes_main_in_its_place",
        "a conversation notes its version": "rule_6_1_a_conversation_stays_with_the_version_it_began_with",
        "null clears": "null_clears_where_it_may",
    },
    "6.2": {
        "1: the end user is the caller or the callee": "rule_6_2_1_the_end_user_is_the_callee_or_the_caller",
        "2: the first rule that matches wins": "rule_6_2_the_first_rule_that_matches_wins",
        "2: clauses are ANDed": "rule_6_2_all_clauses_of_a_rule_must_hold",
        "3: operators, also where the attribute is absent": "rule_6_2_operators",
        "4: a version": "rule_6_2_a_rule_that_names_a_version_leaves_nothing_to_chance",
        "4: shares, the rest to main": "rule_6_2_shares_are_as_large_as_their_weights_and_main_gets_the_rest",
        "5: main where no rule matches or there is none": "rule_6_2_5_where_no_rule_matches_everybody_gets_main",
        "names of attributes": "rules_ask_for_the_other_end_by_both_names_and_for_any_metadata",
        "an operator is needed, and a serve of one kind": "rule_6_2_what_a_rule_needs",
        "drawn once": "rule_6_1_a_conversation_stays_with_the_version_it_began_with",
        "one config at most, and none to change before": "there_is_one_rollout_at_most_and_none_to_begin_with",
        "unknown versions and main are refused": "a_rule_serves_versions_of_the_assistant_beside_main",
        "test runs ignore it": "rule_6_2_test_runs_ignore_rollouts",
    },
    "6.3": {
        "syntax, and what is not resolved": "rule_6_3_syntax_and_what_is_not_resolved_stays",
        "instructions": "instructions_come_first_with_their_variables_and_what_is_not_set_stays_as_it_is_written",
        "greeting": "a_fixed_greeting_opens_with_its_variables_and_asks_no_model",
        "tools": "presets_win_and_are_rendered_but_arguments_are_not",
        "messages": "a_message_is_sent_by_whoever_calls_tools",
        "targets": "targets_are_templates",
        "insights": "rule_6_3_questions_are_templates_of_the_conversation_s_variables",
        "reserved prefix": "rule_6_3_the_prefix_is_reserved_for_the_system",
        "precedence": "rule_6_3_precedence_start_then_webhook_then_defaults",
        "resolved when it starts": "it_is_the_same_after_a_restart",
        "changed by tools": "what_tools_stored_overwrites_the_variables_of_the_start_in_order",
        "changed by the model": "variables_keep_their_type",
        "system variables": "system_variables",
        "of flows: duration": "how_long_it_lasts_is_a_variable_of_the_flow",
        "of flows: status": "rule_4_2_8_the_status_is_a_number_in_a_chat_and_a_text_in_a_call",
        "dates": "moments",
        "dates that cannot be told": "moments_that_cannot_be_told_stay_as_written",
        "webhook: request and signature": "rule_6_3_the_webhook_is_asked_once_signed_and_in_the_documented_form",
        "webhook: what is signed": "rule_6_3_signed_is_the_time_in_seconds_a_bar_and_the_body",
        "webhook: response": "rule_6_3_an_answer_that_is_none_leaves_the_defaults",
        "webhook: timeout": "rule_6_3_a_webhook_that_is_late_is_not_waited_for",
        "webhook: memory": "rule_6_3_memory_asks_in_the_language_of_the_list",
        "webhook: memory of insights": "rule_6_3_an_insight_query_tells_of_insights_instead_of_words",
        "webhook: metadata": "rule_6_3_metadata_is_kept_with_the_conversation_but_not_what_the_server_notes",
        "webhook: skipped": "rule_6_3_skipped_where_the_start_brings_its_variables",
    },
    "6.4": {
        "all four values": "rule_6_4_who_speaks_first",
        "in a text message": "rule_6_4_the_model_writes_the_opening_where_there_is_no_greeting",
    },
    "6.5": {
        "statuses": "a_run_moves_forward_is_given_back_or_ends_as_an_error_and_nothing_else",
        "three are final": "the_last_three_are_final",
        "a run waits at once, and by itself": "a_run_of_the_main_version_passes",
        "an unknown version is refused": "row_1_4_400_an_unknown_destination_version",
        "a suite goes against one version": "a_suite_runs_against_a_chosen_version",
        "one entry for each item of the rubric": "a_finished_run",
        "the verdict": "any_criterion_unmet_fails_the_run_and_names_it",
        "the verdict, where judging failed": "a_judges_silence_never_passes",
        "triggered by hand": "rule_6_5_runs_are_triggered_by_hand_and_go_with_their_test",
        "filter of statuses": "the_status_filter",
        "out of time": "rule_6_5_who_runs_out_of_time_is_an_error",
        "a suite shares an id": "a_suite_runs_every_test_of_it",
        "an unknown suite": "a_suite_without_tests_is_not_found",
        "deleting a test deletes its runs": "rule_6_5_runs_are_triggered_by_hand_and_go_with_their_test",
        "its conversation": "the_conversation_of_a_run_can_be_read",
    },
    "6.6": {
        "sent at its time": "a_text_message_goes_out_at_its_time",
        "completed is a success": "rule_6_6_a_completed_call_is_a_success",
        "from the terminal status": "rule_6_6_the_interval_counts_from_the_terminal_status",
        "on top of the first attempt": "rule_6_6_retries_count_on_top_of_the_first_attempt",
        "the budget": "rule_6_6_retries_wait_from_the_terminal_status_until_the_budget_is_gone",
        "what is refused": "rule_6_6_what_makes_no_sense_is_refused",
        "deleting cancels": "rule_6_6_deleting_cancels",
        "deleting what is over": "rule_6_6_deleting_what_was_begun_removes_the_record_only",
    },
    "6.7": {
        "the group of the assistant": "rule_6_7_the_assistant_s_group_is_asked_when_a_conversation_is_over",
        "not without retention": "rule_6_7_nothing_is_asked_without_a_known_group_and_without_history",
        "managed insights": "rule_6_7_two_insights_come_with_the_server",
        "structured insights": "an_object_that_fits_is_kept_as_json_text",
        "webhooks": "rule_6_7_a_group_s_webhook_hears_of_its_answers",
    },
    "6.8": {
        "signed": "rule_6_8_what_is_sent_passes_the_vendor_s_own_verifier",
        "tried again": "it_is_tried_again_where_that_can_help",
    },
    "6.9": {
        "identifiers": "rule_6_9_references_are_identifiers_never_values_or_ids",
        "looked up when it is used": "rule_6_9_a_reference_is_looked_up_when_it_is_used_and_not_when_it_is_saved",
        "of a model": "rule_6_9_a_stored_key_is_sent_instead_of_the_configured_one",
        "of an endpoint": "rule_2_1_an_endpoint_wins_and_gets_its_key",
        "of the fallback": "the_fallback_answers_while_the_provider_is_down",
        "of an import": "imports_that_cannot_be_made",
    },
}
"""Section → rule → the test that proves it; ``test_`` is left out before its name, of which there must be only one.

Where the contract speaks of what this server cannot have (SIP headers, events of call control), there is no rule."""


def names_of_tests() -> Counter[str]:
    """Of all tests that are run always, without ``test_``."""
    found: Counter[str] = Counter()
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                marks = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
                found[node.name.removeprefix("test_")] += "skip" not in marks and "xfail" not in marks
    return found


def test_every_rule_of_the_contract_has_its_test() -> None:
    names = names_of_tests()
    proofs = {f"{section} {rule}": name for section, rules in RULES.items() for rule, name in rules.items()}
    assert {rule: name for rule, name in proofs.items() if names[name] != 1} == {}
    assert [prefix for prefix in NUMBERED if not any(name.startswith(prefix) for name in +names)] == []


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key, base_url=f"{live_server.url}/v2", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def says(words: str) -> str:
    return f'else: say "{words}"'


def make(client: Telnyx, instructions: str = says("main"), **given: Any) -> InferenceEmbedding:
    return client.ai.assistants.create(name=uuid4().hex, instructions=instructions, model="scripted", **given)


def beside(client: Telnyx, desk: InferenceEmbedding, words: str) -> str:
    """The id of a version beside main that says these words."""
    written = client.ai.assistants.update(desk.id, instructions=says(words), promote_to_main=False)
    assert written.version_id
    return written.version_id


def begun(client: Telnyx, **metadata: str) -> str:
    """The id of a new conversation."""
    return client.ai.conversations.create(metadata=metadata).id


def answer(client: Telnyx, desk: InferenceEmbedding, conversation_id: str) -> str:
    return client.ai.assistants.chat(desk.id, content="hello", conversation_id=conversation_id).content


def version_of(client: Telnyx, conversation_id: str) -> str | None:
    found = client.ai.conversations.retrieve(conversation_id).data
    assert found
    return found.metadata.get("assistant_version_id")


def until(look: Callable[[], Any]) -> Any:
    """What it sees, as soon as it sees anything."""
    end = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


def test_rule_6_1_a_conversation_stays_with_the_version_it_began_with(client: Telnyx) -> None:
    desk = make(client)
    half: Any = [{"serve": {"rollout": [{"version_id": beside(client, desk, "other"), "weight": 50}]}}]
    client.ai.assistants.canary_deploys.create(desk.id, rules=half)
    conversations = [begun(client) for _ in range(8)]
    first = [(answer(client, desk, one), version_of(client, one)) for one in conversations]
    # Neither is it drawn again, nor does a new main reach those that have begun.
    client.ai.assistants.update(desk.id, instructions=says("new"))
    client.ai.assistants.canary_deploys.delete(desk.id)
    assert [(answer(client, desk, one), version_of(client, one)) for one in conversations] == first
    assert answer(client, desk, begun(client)) == "new"


def test_rule_6_2_1_the_end_user_is_the_callee_or_the_caller(client: Telnyx, live_server: Server) -> None:
    tail = f"{uuid4().int % 10**10:010}"
    agent, callee, caller = f"+1{tail}0", f"+1{tail}1", f"+1{tail}2"
    desk = make(client)
    called, calling = beside(client, desk, "to the callee"), beside(client, desk, "to the caller")
    # The assistant's own number is never the end user's.
    served = {agent: calling, callee: called, caller: calling}
    rules: Any = [
        {
            "match": [{"attribute": "end_user_target", "operator": "in", "values": [number]}],
            "serve": {"version_id": version_id},
        }
        for number, version_id in served.items()
    ]
    client.ai.assistants.canary_deploys.create(desk.id, rules=rules)
    out = client.ai.assistants.send_sms(desk.id, from_=agent, to=callee, text="Hi").conversation_id
    assert out
    assert version_of(client, out) == called
    arrived = send_json(live_server, "POST", "/viva/v1/inbox", {"from": caller, "to": agent, "text": "hello"})
    assert arrived.status == 201

    def replies() -> list[Any]:
        found = send(live_server, "GET", f"/viva/v1/inbox?number=%2B{caller[1:]}").json["data"]
        return [one for one in found if one["direction"] == "outbound"]

    [reply] = until(replies)
    assert reply["text"] == "to the caller"
    assert version_of(client, reply["conversation_id"]) == calling


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (None, "main"),
        ({"operator": "in", "values": ["gold"]}, "main"),
        ({"operator": "starts_with", "values": ["g"]}, "main"),
        ({"operator": "not_in", "values": ["gold"]}, "other"),
    ],
)
def test_rule_6_2_5_where_no_rule_matches_everybody_gets_main(
    client: Telnyx, match: dict[str, Any] | None, expected: str
) -> None:
    """Nothing is known of the attribute in this conversation."""
    desk = make(client)
    serve = {"version_id": beside(client, desk, "other")}
    rules: Any = [] if match is None else [{"match": [{"attribute": "plan", **match}], "serve": serve}]
    assert len(client.ai.assistants.canary_deploys.create(desk.id, rules=rules).rules) == len(rules)
    assert answer(client, desk, begun(client)) == expected


def test_rule_6_2_what_a_rule_needs(client: Telnyx) -> None:
    desk = make(client)
    other = beside(client, desk, "other")
    serve: Any = {"version_id": other}
    slot: Any = {"version_id": other, "weight": 100}
    wrong: list[dict[str, Any]] = [
        {},
        {"serve": {}},
        {"serve": {**serve, "rollout": [{**slot, "weight": 1}]}},
        {"serve": {"rollout": [slot]}},
        {"serve": serve, "match": [{"attribute": "plan", "values": ["a"]}]},
        {"serve": serve, "match": [{"attribute": "plan", "operator": "in", "values": []}]},
    ]
    for rule in wrong:
        rules: Any = [{"serve": serve}, rule]
        with pytest.raises(telnyx.UnprocessableEntityError):
            client.ai.assistants.canary_deploys.create(desk.id, rules=rules)
    assert answer(client, desk, begun(client)) == "main"


def finished_run(client: Telnyx, desk: InferenceEmbedding, brief: str, **given: Any) -> Any:
    test = client.ai.assistants.tests.create(
        name=uuid4().hex,
        destination=desk.id,
        instructions=brief,
        rubric=[{"name": "a", "criteria": 'never says "x"'}],
        **given,
    )
    run = client.ai.assistants.tests.runs.trigger(test.test_id)
    assert (run.status, run.triggered_by) == ("pending", "manual")

    def look() -> Any:
        found = client.ai.assistants.tests.runs.retrieve(run.run_id, test_id=test.test_id)
        return found if found.status in {"passed", "failed", "error"} else None

    return until(look)


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        ({"greeting": "Welcome to {{shop}}."}, [("assistant", "Welcome to Birch."), ("user", "Hi.")]),
        ({"greeting": ""}, [("user", "Hi."), ("assistant", "You said hi.")]),
        (
            {"greeting": "<assistant-speaks-first-with-model-generated-message>"},
            [("assistant", "My own words."), ("user", "Hi.")],
        ),
        ({}, [("user", "Hi."), ("assistant", "You said hi.")]),
    ],
    ids=["text", "empty", "written by the model", "absent"],
)
def test_rule_6_4_who_speaks_first(client: Telnyx, greeting: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    script = 'on start: say "My own words."\non hear "hi": say "You said hi."'
    desk = make(client, script, dynamic_variables={"shop": "Birch"}, **greeting)
    brief = 'on hear /Welcome|own words/: say "Hi."\non hear "you said": hang up\non start: say "Hi."'
    run = finished_run(client, desk, brief)
    said = [(one.role, one.text) for one in client.ai.conversations.messages.list(run.conversation_id)]
    assert said[:2] == expected


def test_rule_6_5_runs_are_triggered_by_hand_and_go_with_their_test(client: Telnyx) -> None:
    run = finished_run(client, make(client), 'on start: say "Hi."\nelse: hang up')
    assert (run.status, run.triggered_by) == ("passed", "manual"), run.logs
    client.ai.assistants.tests.delete(run.test_id)
    for gone in (
        lambda: client.ai.assistants.tests.runs.retrieve(run.run_id, test_id=run.test_id),
        lambda: client.ai.assistants.tests.runs.list(run.test_id),
        lambda: client.ai.conversations.retrieve(run.conversation_id),
    ):
        with pytest.raises(telnyx.NotFoundError):
            gone()


def test_rule_6_5_who_runs_out_of_time_is_an_error(client: Telnyx) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        tool: Any = {"type": "webhook", "webhook": {"name": "find", "description": "Finds.", "url": url}}
        desk = make(client, 'on hear "Hi": call find {}', tools=[tool])
        run = finished_run(client, desk, 'on start: say "Hi."', max_duration_seconds=1)
    assert run.status == "error"
    assert "timeout" in run.logs
    assert [(one.name, one.status) for one in run.detail_status or ()] == [("a", "error")]


def test_rule_6_9_a_reference_is_looked_up_when_it_is_used_and_not_when_it_is_saved(client: Telnyx) -> None:
    name = uuid4().hex
    desk = make(client, llm_api_key_ref=name)
    conversation = begun(client)
    with pytest.raises(telnyx.InternalServerError, match=name):
        answer(client, desk, conversation)
    client.integration_secrets.create(identifier=name, type="bearer", token="t")
    assert answer(client, desk, conversation) == "main"
    delegation: Any = {"model": "m", "api_key": "sk-raw"}
    with pytest.raises(telnyx.BadRequestError) as failure:
        make(client, delegation_settings=delegation)
    body: Any = failure.value.body
    assert body["errors"][0]["source"] == {"pointer": "/delegation_settings/api_key"}
    assert "sk-raw" not in failure.value.response.text
