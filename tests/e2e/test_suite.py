"""The whole product once: a server, a model endpoint, an order service, and a suite in which everything occurs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.driving import ASSISTANTS, SUITES, TESTS, driving
from tests.support.endpoint import Json
from tests.support.stage import MODEL, Stage, order_tool, staged

SUITE = "everything that can happen"
BRIEF, RUBRIC = "only the tester knows this", "only the judge knows this"
FOREVER = -1


@dataclass(frozen=True)
class Item:
    """What is expected of one criterion: verdict, quote with its turn, who decided, and a part of the reason."""

    verdict: str | None = "met"
    quote: str | None = None
    turn: int | None = None
    by: str | None = MODEL
    reason: str | None = "it is there"

    @property
    def status(self) -> str:
        return {"met": "passed", "unmet": "failed"}.get(self.verdict or "", "error")


@dataclass(frozen=True)
class Case:
    """A test, how the endpoint plays it, and what must come of it. ``tells`` are parts of the logs, in their order."""

    tag: str
    status: str = "passed"
    fault: str | None = None
    ending: str | None = "goodbye"
    reason: str = "every criterion is met"
    rubric: Mapping[str, str] = field(default_factory=lambda: {"is polite": f"{RUBRIC}: is polite"})
    items: tuple[Item, ...] = ()
    tells: tuple[str, ...] = ()
    caller: tuple[str, ...] = ("hello, {tag}", "thanks")
    hang_up_after: int | None = None
    behaviours: tuple[Json, ...] = ()
    faults: tuple[Json, ...] = ()
    roles: str = "tester assistant tester assistant tester judge"
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


def lookup(tag: str, number: str) -> Json:
    return {"call": {"name": "lookup_order", "arguments": {"tag": tag, "order_number": number}}}


def judged(**verdicts: Json) -> Json:
    return {"role": "judge", "verdicts": {name.replace("_", " "): verdict for name, verdict in verdicts.items()}}


# The desk greets (turn 0), so the caller's words are turns 1 and 3, and the desk's second answer is turn 4.
ANSWERED = Item(quote="answer 3 to: thanks", turn=4)
NOT_EXAMINED = "not examined: {}"
UNKNOWN = '{"error": "unknown order"}'

CASES = (
    Case(
        "case-01",  # the provider asks to be left alone once
        items=(ANSWERED, Item(quote="answer 3 to: thanks", turn=4)),
        rubric={"is polite": f"{RUBRIC}: is polite", "answers": f"{RUBRIC}: answers"},
        faults=({"kind": "status", "status": 429, "role": "assistant", "headers": {"retry-after": "0"}},),
        roles="tester assistant assistant tester assistant tester judge",
        tells=(
            f"tester: {MODEL}, judge: {MODEL}",
            "assistant: Hello, this is the desk",
            "caller: hello, case-01",
            "assistant: answer 2 to: hello, case-01",
            "caller: thanks",
            "assistant: answer 3 to: thanks",
            "end: caller goodbye: done",
            'met: is polite — it is there — [4] "answer 3 to: thanks" (decided by: openai/test-model)',
            "met: answers — it is there",
            "passed: every criterion is met",
        ),
    ),
    Case(
        "case-02",  # the judge's provider fails once
        items=(ANSWERED,),
        faults=({"kind": "status", "status": 500, "role": "judge"},),
        roles="tester assistant tester assistant tester judge judge",
    ),
    Case(
        "case-03",  # one criterion is broken with words, one by their absence, one is met
        status="failed",
        fault="assistant",
        reason="unmet: is polite, offers help",
        rubric={"is polite": RUBRIC, "offers help": RUBRIC, "answers": RUBRIC},
        behaviours=(
            judged(
                is_polite={"decision": "unmet", "reason": "it was rude", "quote": "Answer 2 TO: hello", "turn": 4},
                offers_help={"decision": "unmet", "reason": "it never did", "quote": None, "turn": None},
            ),
        ),
        items=(
            # Found in another turn than the judge named, and given back as it was really said.
            Item("unmet", "answer 2 to: hello", 2, reason="it was rude"),
            Item("unmet", reason="it never did"),
            ANSWERED,
        ),
        tells=('unmet: is polite — it was rude — [2] "answer 2 to: hello"', "failed: unmet: is polite, offers help"),
    ),
    Case(
        "case-04",  # nobody can be reached there
        status="error",
        fault="infrastructure",
        ending=None,
        reason="it could not start: the destination '+15550100' is not an assistant of this server",
        items=(Item(None, by=None, reason=None),),
        roles="",
        extra={"destination": "+15550100", "telnyx_conversation_channel": "phone_call"},
        tells=("error: it could not start: the destination '+15550100'",),
    ),
    Case(
        "case-05",  # the judge misquotes and, asked again, quotes well
        behaviours=(
            {"when": "transcript: 'case-05 was never said'", **judged()},
            judged(is_polite={"quote": "case-05 was never said", "turn": 2}),
        ),
        items=(ANSWERED,),
        roles="tester assistant tester assistant tester judge judge",
    ),
    Case(
        "case-06",  # the assistant hangs up
        ending="hangup",
        rubric={"ends it": "The assistant hangs up", "is polite": RUBRIC},
        behaviours=({"role": "assistant", "call": {"name": "hangup", "arguments": {"reason": "closing time"}}},),
        items=(
            Item(by="computed", reason="the assistant ended the conversation (turn 3)"),
            Item(quote="Hello, this is the desk", turn=0),
        ),
        roles="tester assistant judge",
        tells=("assistant calls hangup(", "end: assistant hangup: closing time", "passed: every criterion is met"),
    ),
    Case(
        "case-07",  # a tool is called with arguments and answers
        rubric={
            "looks it up": 'The assistant calls lookup_order with order_number "A-1001"',
            "gives the day": RUBRIC,
        },
        behaviours=(
            {"role": "assistant", **lookup("case-07", "A-1001"), "say": ["", "It comes on Friday.", "Bye."]},
            judged(gives_the_day={"quote": "shipped", "turn": 3, "reason": "the shop said so"}),
        ),
        items=(
            Item(
                by="computed",
                quote='lookup_order({"order_number": "A-1001", "tag": "case-07"})',
                turn=2,
                reason="lookup_order was called once (turn 2) with these arguments",
            ),
            Item(quote="shipped", turn=3, reason="the shop said so"),
        ),
        roles="tester assistant tool assistant tester assistant tester judge",
        tells=(
            'assistant calls lookup_order({"order_number": "A-1001", "tag": "case-07"})',
            'lookup_order answered: {"status": "shipped", "eta": "Friday"}',
            "assistant: It comes on Friday.",
        ),
    ),
    Case(
        "case-08",  # the tool fails and the assistant makes something up
        status="failed",
        fault="assistant",
        reason="unmet: admits it",
        rubric={"admits it": RUBRIC, "looks it up once": "The assistant calls lookup_order exactly once"},
        behaviours=(
            {"role": "assistant", **lookup("case-08", "B-9"), "say": ["", "It comes on Sunday", "Bye."]},
            judged(admits_it={"decision": "unmet", "quote": "It comes on Sunday", "turn": 4, "reason": "it lied"}),
        ),
        items=(
            Item("unmet", "It comes on Sunday", 4, reason="it lied"),
            Item(
                by="computed",
                quote='lookup_order({"order_number": "B-9", "tag": "case-08"})',
                turn=2,
                reason="lookup_order was called once (turn 2)",
            ),
        ),
        roles="tester assistant tool assistant tester assistant tester judge",
        tells=(f"lookup_order failed: The tool failed with HTTP status 404. It answered: {UNKNOWN}",),
    ),
    Case(
        "case-09",  # the judge misquotes twice; its other answer stands
        status="error",
        fault="judge",
        reason="inconclusive: is polite",
        rubric={"is polite": RUBRIC, "answers": RUBRIC},
        behaviours=(judged(is_polite={"quote": "case-09 was never said", "turn": 2}),),
        items=(
            Item(
                "inconclusive",
                reason="the judge quoted words that are not in the conversation: 'case-09 was never said'",
            ),
            ANSWERED,
        ),
        roles="tester assistant tester assistant tester judge judge",
        tells=("inconclusive: is polite", "error: inconclusive: is polite (fault: judge)"),
    ),
    Case(
        "case-10",  # everything can be computed, so no judge is asked
        rubric={"is quick": "The assistant responds within 30 seconds"},
        items=(Item(by="computed", quote="answer", turn=FOREVER, reason="the limit is 30 s"),),
        roles="tester assistant tester assistant tester",
    ),
    Case(
        "case-11",  # the endpoint is slower than that
        status="failed",
        fault="assistant",
        reason="unmet: is quick",
        rubric={"is quick": "The assistant responds within 5 milliseconds"},
        items=(Item("unmet", by="computed", quote="answer", turn=FOREVER, reason="the limit is 5 ms"),),
        roles="tester assistant tester assistant tester",
    ),
    Case(
        "case-12",  # the tester never comes to an end
        status="error",
        fault="tester",
        ending="turn_limit",
        reason="the conversation ended by turn_limit: the caller spoke 4 times without coming to an end",
        caller=("{tag} one", "two", "three", "four", "five"),
        items=(Item("inconclusive", by="nobody", reason=NOT_EXAMINED.format("turn_limit")),),
        roles="tester assistant tester assistant tester assistant tester assistant",
        tells=("end: turn_limit: the caller spoke 4 times",),
    ),
    Case(
        "case-13",  # the judge cannot tell
        status="error",
        fault="judge",
        reason="inconclusive: is polite",
        behaviours=(judged(is_polite={"decision": "inconclusive", "reason": "hard to say"}),),
        items=(Item("inconclusive", "answer 3 to: thanks", 4, reason="hard to say"),),
    ),
    Case(
        "case-14",  # the assistant says one thing only
        status="error",
        fault="assistant",
        ending="loop",
        reason="the conversation ended by loop: the assistant said the same thing 3 times in a row",
        caller=("{tag} one", "two", "three", "four"),
        behaviours=({"role": "assistant", "say": ["Pardon? Say it again."]},),
        items=(Item("inconclusive", by="nobody", reason=NOT_EXAMINED.format("loop")),),
        roles="tester assistant tester assistant tester assistant",
    ),
    Case(
        "case-15",  # the assistant says nothing
        status="error",
        fault="assistant",
        ending="silence",
        reason="the conversation ended by silence: the assistant stayed silent 2 times in a row",
        caller=("{tag} one", "two", "three", "four"),
        behaviours=({"role": "assistant", "say": [""]},),
        items=(Item("inconclusive", by="nobody", reason=NOT_EXAMINED.format("silence")),),
        roles="tester assistant tester assistant",
        tells=("assistant: (silence)", "end: silence"),
    ),
    Case(
        "case-16",  # the assistant's provider will not serve it
        status="error",
        fault="infrastructure",
        ending="infrastructure_fault",
        reason="the conversation ended by infrastructure_fault: the assistant's model: ",
        faults=({"kind": "status", "status": 403, "role": "assistant", "times": FOREVER},),
        items=(Item("inconclusive", by="nobody", reason=NOT_EXAMINED.format("infrastructure_fault")),),
        roles="tester assistant",
        tells=("end: assistant infrastructure_fault", "(check the key of provider openai)"),
    ),
    Case(
        "case-17",  # the tester's model answers with a page for people
        status="error",
        fault="tester",
        ending="tester_fault",
        reason="the conversation ended by tester_fault: ",
        faults=({"kind": "garbage", "role": "tester", "times": FOREVER},),
        items=(Item("inconclusive", by="nobody", reason=NOT_EXAMINED.format("tester_fault")),),
        roles="tester tester",
    ),
    Case(
        "case-18",  # the judge's provider will not serve it
        status="error",
        fault="infrastructure",
        reason="the judge's model: ",
        faults=({"kind": "status", "status": 403, "role": "judge", "times": FOREVER},),
        items=(Item(None, by=None, reason=None),),
    ),
    Case(
        "case-19",  # the assistant never answers
        status="error",
        fault="assistant",
        ending="max_duration",
        reason="the conversation ended by max_duration: timeout: the assistant was still busy after 4 s",
        faults=({"kind": "hang", "role": "assistant", "times": FOREVER},),
        items=(Item("inconclusive", by="nobody", reason=NOT_EXAMINED.format("max_duration")),),
        roles="tester assistant",
        extra={"max_duration_seconds": 4},
    ),
    Case(
        "case-20",  # the assistant lives elsewhere, behind a chat endpoint, and does not greet
        items=(Item(quote="answer 2 to: thanks", turn=3),),
        extra={"destination": "{endpoint}/chat/completions"},
        tells=("messages were carried to the chat endpoint", "caller: hello, case-20", "passed: "),
    ),
)
BY_TAG = {case.tag: case for case in CASES}
LATE = {"case-04", "case-19"}
"""Those whose first request is not held: nobody is asked, or the clock is running."""


@dataclass(frozen=True)
class Played:
    """What came of the suite."""

    stage: Stage
    most: int
    listed: Mapping[str, Any]
    runs: Mapping[str, Json]
    messages: Mapping[str, list[Json]]
    log: str


def world(stage: Stage, case: Case) -> None:
    """Have the endpoint play this case."""
    words = [text.format(tag=case.tag) for text in case.caller]
    tester: Json = {"role": "tester", "when": case.tag, "say": words}
    mine = [{"when": case.tag, **behaviour} for behaviour in case.behaviours]
    stage.endpoint.behaviours += [*mine, tester]
    stage.endpoint.faults += [{"when": case.tag, **fault} for fault in case.faults]


def body(case: Case, assistant_id: str, endpoint_url: str) -> Json:
    """The request that creates the test."""
    extra = {
        name: value.format(endpoint=endpoint_url) if isinstance(value, str) else value
        for name, value in case.extra.items()
    }
    return {
        "name": case.tag,
        "destination": assistant_id,
        "instructions": f"{case.tag}. {BRIEF}.",
        "rubric": [{"name": name, "criteria": text} for name, text in case.rubric.items()],
        "test_suite": SUITE,
        **extra,
    }


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The suite, played once for all tests."""
    return asyncio.run(play(tmp_path_factory.mktemp("suite")))


async def play(data_dir: Path) -> Played:
    """Start everything, trigger the suite over HTTP and follow it to its end."""
    async with staged(latency=0.02) as stage:
        for case in CASES:
            world(stage, case)
        settings = {**stage.settings, "VIVA_TURN_LIMIT": "4"}
        async with driving(data_dir, settings) as driver:
            assistant = await driver.post(
                ASSISTANTS,
                {
                    "name": "desk",
                    "instructions": "You are the desk.",
                    "greeting": "Hello, this is the desk",
                    "tools": [order_tool(stage.shop_url), {"type": "hangup", "hangup": {}}],
                },
            )
            tests = [await driver.post(TESTS, body(case, assistant["id"], stage.endpoint.base_url)) for case in CASES]
            # Each run's first request waits for those of all others: had they to wait for one another, none would end.
            stage.hold = lambda tag, place: place == 1 and tag not in LATE
            suite = SUITE.replace(" ", "%20")
            pending = await driver.run_suite(suite)
            assert [run["test_id"] for run in pending] == [test["test_id"] for test in tests]
            assert {run["status"] for run in pending} == {"pending"}
            await stage.held({case.tag for case in CASES} - LATE)
            most = stage.endpoint.under_way
            stage.let_go()
            done = await driver.finished(pending)
            listed = await driver.get(f"{SUITES}/{suite}/runs?page[size]=100&status=error")
            messages = {
                case.tag: (await driver.get(f"/v2/ai/conversations/{run['conversation_id']}/messages"))["data"]
                for case, run in zip(CASES, done, strict=True)
            }
            runs = {case.tag: run for case, run in zip(CASES, done, strict=True)}
        return Played(stage, most, listed, runs, messages, driver.server.log)


@pytest.mark.parametrize("tag", BY_TAG)
def test_run_comes_out_as_it_must(played: Played, tag: str) -> None:
    case, run = BY_TAG[tag], played.runs[tag]
    assert (run["status"], run["fault"], run["ending"]) == (case.status, case.fault, case.ending), run["logs"]
    assert run["reason"].startswith(case.reason)
    assert run["completed_at"] >= run["created_at"]
    assert run["triggered_by"] == "manual"


@pytest.mark.parametrize("tag", BY_TAG)
def test_every_criterion_has_its_verdict(played: Played, tag: str) -> None:
    case, found = BY_TAG[tag], played.runs[tag]["detail_status"]
    assert [item["name"] for item in found] == list(case.rubric)
    assert len(found) == len(case.items)
    for item, expected in zip(found, case.items, strict=True):
        assert (item["verdict"], item["status"], item["decided_by"]) == (
            expected.verdict,
            expected.status,
            expected.by,
        )
        assert expected.reason is None if item["reason"] is None else (expected.reason or "?") in item["reason"]
        if expected.turn == FOREVER:  # which response was the slowest differs from time to time
            assert item["quote"].startswith(expected.quote)
            assert item["turn"] in (2, 4)
        else:
            assert (item["quote"], item["turn"]) == (expected.quote, expected.turn)


@pytest.mark.parametrize("tag", BY_TAG)
def test_logs_tell_the_story(played: Played, tag: str) -> None:
    case, story = BY_TAG[tag], played.runs[tag]["logs"]
    place = 0
    for part in (tag, *case.tells):
        assert part in story[place:], f"{part!r} is not in its place in:\n{story}"
        place = story.index(part, place) + len(part)
    assert f"{case.status}: {case.reason}" in story


@pytest.mark.parametrize("tag", BY_TAG)
def test_each_party_is_asked_as_often_as_needed(played: Played, tag: str) -> None:
    assert " ".join(played.stage.roles(tag)) == BY_TAG[tag].roles


def test_runs_go_on_side_by_side(played: Played) -> None:
    assert played.most >= len(CASES) - len(LATE)
    assert played.stage.endpoint.most >= len(CASES) - len(LATE)


def test_the_list_agrees_with_the_runs(played: Played) -> None:
    expected = {run["run_id"] for run in played.runs.values() if run["status"] == "error"}
    assert {run["run_id"] for run in played.listed["data"]} == expected
    assert played.listed["meta"]["total_results"] == len(expected)
    assert len({run["test_suite_run_id"] for run in played.runs.values()}) == 1


def test_the_conversation_can_be_read_like_any_other(played: Played) -> None:
    said = [(one["role"], one["text"]) for one in played.messages["case-07"]]
    assert said == [
        ("assistant", "Hello, this is the desk"),
        ("user", "hello, case-07"),
        ("assistant", ""),
        ("tool", '{"status": "shipped", "eta": "Friday"}'),
        ("assistant", "It comes on Friday."),
        ("user", "thanks"),
        ("assistant", "Bye."),
    ]
    assert played.messages["case-07"][2]["tool_calls"][0]["function"]["name"] == "lookup_order"
    assert played.messages["case-04"] == []


def test_nobody_sees_what_is_not_for_them(played: Played) -> None:
    everything = [one for asked in played.stage.asked.values() for one in asked]
    assert {one.role for one in everything if BRIEF in one.text} == {"tester"}
    assert {one.role for one in everything if RUBRIC in one.text} == {"judge"}


def test_the_tool_is_called_once_with_a_key_of_the_run(played: Played) -> None:
    for tag in ("case-07", "case-08"):
        keys = [one.key for one in played.stage.asked[tag] if one.role == "tool"]
        assert keys == [f"{played.runs[tag]['run_id']}:1:call_2"]


def test_the_log_names_every_run_and_no_failure_of_ours(played: Played) -> None:
    for run in played.runs.values():
        assert f"run={run['run_id']}" in played.log
    assert "Traceback" not in played.log
    assert "failed:" not in played.log
