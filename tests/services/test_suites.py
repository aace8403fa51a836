"""Suites, tests and assistants as documents."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import ORG, Hand, a_scenario, a_version

from vivavoce.core.assistant import Assistant, Form
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.tool import FunctionTool, ToolMock
from vivavoce.files import schema
from vivavoce.services import assistants, batching, engines, scenarios, suites
from vivavoce.services.batching import Wish
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.suites import Applied
from vivavoce.storage.page import Window

OTHER = "org-b"
DESK: Mapping[str, Any] = {
    "name": "Desk",
    "instructions": 'else: say "Hello."',
    "model": "scripted",
    "tags": ["shop"],
    "tools": [{"kind": "hangup"}, {"kind": "function", "name": "find"}],
}
DOCUMENT: Mapping[str, Any] = {
    "suite": "a/b",
    "assistant": DESK,
    "persona": "You are Dana.",
    "variables": {"shop": "Birch"},
    "mocks": [{"tool": "find", "output": {"eta": "Friday"}}],
    "turn_limit": 9,
    "tests": [
        {
            "name": "order",
            "scenario": "You wait.",
            "turns": ["Hi.", "free", {"say": "free"}, {"free": True}, "hang_up"],
            "criteria": ["is kind", {"Day": "names the day"}, {"name": "both", "text": "is kind"}],
            "checks": ['The assistant says "Friday"'],
            "variables": {"number": "A-1"},
            "mocks": [{"tool": "find", "output": "gone", "arguments": {"id": 1}, "ok": False}],
            "repeats": 3,
        },
        {"name": "bye", "turns": ["Bye.", "hang_up"], "checks": [{"Ends": "The assistant hangs up"}], "turn_limit": 3},
        {"name": "away", "destination": "https://a.example/chat", "scenario": "x", "criteria": ["y"], "persona": "Z"},
    ],
}


async def put(ctx: Context, document: Mapping[str, Any], *, prune: bool = False) -> Applied:
    suite = schema.Suite.model_validate(document)
    return await ctx.database.write(lambda tx: suites.put(ctx, tx, ORG, suite, prune=prune))


async def put_desk(ctx: Context, **given: Any) -> suites.AssistantChange:
    document = schema.Assistant.model_validate({**DESK, **given})
    return await ctx.database.write(lambda tx: suites.put_assistant(ctx, tx, ORG, document))


async def an_engine(ctx: Context, name: str, form: Form = Form.PROMPTS) -> Assistant:
    draft = a_version(name=name, extra={"body": 1})
    return await ctx.database.write(lambda tx: engines.create(ctx, tx, ORG, form, draft))


async def rejected(ctx: Context, document: Mapping[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(Rejected) as raised:
        await put(ctx, document)
    return str(raised.value), raised.value.part


def changes(applied: Applied) -> tuple[list[str], list[str]]:
    return [one.change.value for one in applied.assistants], [one.change.value for one in applied.tests]


async def test_a_document_becomes_assistants_and_tests(ctx: Context) -> None:
    applied = await put(ctx, DOCUMENT)
    assert changes(applied) == (["created"], ["created"] * 3)
    desk = applied.assistants[0].assistant
    assert (desk.main.instructions, desk.main.mind.model, desk.tags) == (DESK["instructions"], "scripted", ("shop",))
    order, bye, away = (one.scenario for one in applied.tests)
    assert await scenarios.retrieve(ctx, ORG, order.id) == order
    assert (order.target, away.target) == (desk.id, "https://a.example/chat")
    assert (order.lines, order.hangs_up, order.repeats) == (("Hi.", None, "free", None), True, 3)
    assert order.criteria == (
        Criterion("is kind", "is kind"),
        Criterion("Day", "names the day"),
        Criterion("both", "is kind"),
        Criterion('The assistant says "Friday"', 'The assistant says "Friday"', computed=True),
    )
    assert order.mocks == (ToolMock("find", "gone", {"id": 1}, ok=False), ToolMock("find", '{"eta": "Friday"}'))
    assert order.variables == {"shop": "Birch", "number": "A-1"}
    assert (bye.brief, bye.lines, bye.persona, bye.free) == ("", ("Bye.",), "You are Dana.", False)
    assert (order.turn_limit, bye.turn_limit, away.persona) == (9, 3, "Z")
    assert {one.suite for one in (order, bye, away)} == {"a/b"}


async def test_the_same_document_changes_nothing(ctx: Context, hand: Hand) -> None:
    first = await put(ctx, DOCUMENT)
    hand.turn(1)
    again = await put(ctx, DOCUMENT)
    assert changes(again) == (["unchanged"], ["unchanged"] * 3)
    assert [one.scenario for one in again.tests] == [one.scenario for one in first.tests]
    assert again.assistants[0].assistant.main.id == first.assistants[0].assistant.main.id


async def test_what_is_given_can_be_put_and_changes_nothing(ctx: Context) -> None:
    first = await put(ctx, DOCUMENT)
    document = await suites.retrieve(ctx, ORG, "a/b")
    assert document["tests"][0]["assistant"] == "Desk"
    again = await put(ctx, document)
    assert changes(again) == (["unchanged"], ["unchanged"] * 3)
    assert [one.scenario for one in again.tests] == [one.scenario for one in first.tests]
    assert await suites.retrieve(ctx, ORG, "a/b") == document


async def test_what_all_tests_say_is_said_once(ctx: Context) -> None:
    tests = [one for one in DOCUMENT["tests"] if "destination" not in one]
    await put(ctx, {**DOCUMENT, "tests": tests})
    document = await suites.retrieve(ctx, ORG, "a/b")
    assert {key: document[key] for key in document if key != "tests"} == {
        "suite": "a/b",
        "assistant": "Desk",
        "persona": "You are Dana.",
    }
    assert all("assistant" not in one for one in document["tests"])


async def test_only_what_is_different_changes(ctx: Context, hand: Hand) -> None:
    first = await put(ctx, DOCUMENT)
    hand.turn(1)
    tests = [
        DOCUMENT["tests"][0],
        {**DOCUMENT["tests"][1], "description": "new"},
        {**DOCUMENT["tests"][2], "name": "n"},
    ]
    again = await put(ctx, {**DOCUMENT, "assistant": {**DESK, "greeting": "Hi"}, "tests": tests})
    assert changes(again) == (["changed"], ["unchanged", "changed", "created"])
    changed = again.tests[1].scenario
    assert (changed.id, changed.description) == (first.tests[1].scenario.id, "new")
    assert changed.changed_at == ctx.clock.now() != changed.created_at
    assert await scenarios.retrieve(ctx, ORG, changed.id) == changed
    desk = await assistants.retrieve(ctx, ORG, again.assistants[0].assistant.id)
    assert (desk.main.greeting, desk.main.number) == ("Hi", 1)


async def test_what_the_document_does_not_name_stays_unless_it_is_pruned(ctx: Context) -> None:
    first = await put(ctx, DOCUMENT)
    fewer = {**DOCUMENT, "tests": DOCUMENT["tests"][1:]}
    assert changes(await put(ctx, fewer))[1] == ["unchanged"] * 2
    assert len((await suites.retrieve(ctx, ORG, "a/b"))["tests"]) == 3
    pruned = await put(ctx, fewer, prune=True)
    assert changes(pruned)[1] == ["unchanged", "unchanged", "retired"]
    assert pruned.tests[2].scenario.id == first.tests[0].scenario.id
    assert len((await suites.retrieve(ctx, ORG, "a/b"))["tests"]) == 2
    assert changes(await put(ctx, DOCUMENT))[1] == ["created", "unchanged", "unchanged"]


async def test_tests_of_one_name_are_matched_in_their_order(ctx: Context) -> None:
    twins = [{"name": "t", "scenario": words, "criteria": ["c"]} for words in ("one", "two")]
    await put(ctx, {"suite": "s", "destination": "x", "tests": twins})
    assert changes(await put(ctx, {"suite": "s", "destination": "x", "tests": twins}))[1] == ["unchanged"] * 2


async def test_fields_of_other_apis_stay(ctx: Context) -> None:
    draft = a_scenario(name="t", suite="s", target="x", brief="b", criteria=(), extra={"kept": 1})
    made = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, draft))
    document = {"suite": "s", "destination": "x", "tests": [{"name": "t", "scenario": "new", "criteria": ["c"]}]}
    (one,) = (await put(ctx, document)).tests
    assert (one.scenario.id, one.scenario.extra, one.scenario.brief) == (made.id, {"kept": 1}, "new")


async def test_a_change_by_another_api_keeps_what_that_does_not_know(ctx: Context) -> None:
    made = (await put(ctx, DOCUMENT)).tests[0].scenario
    changed = await scenarios.update(ctx, ORG, made.id, lambda one: replace(one, brief="other"))
    assert (changed.persona, changed.lines, changed.repeats) == (made.persona, made.lines, 3)


async def test_assistants_are_named_by_name_and_by_id(ctx: Context) -> None:
    desk = (await put_desk(ctx)).assistant
    tests = [{"name": "t", "scenario": "b", "criteria": ["c"]}]
    for whom in ("Desk", {"name": "Desk"}, {"id": desk.id}):
        applied = await put(ctx, {"suite": "s", "assistant": whom, "tests": tests})
        assert changes(applied)[0] == ["unchanged"]
        assert applied.tests[0].scenario.target == desk.id


async def test_who_is_not_there_is_not_examined(ctx: Context) -> None:
    tests = [{"name": "t", "scenario": "b", "criteria": ["c"]}]
    one = {"suite": "s", "assistant": "Desk", "tests": tests}
    assert await rejected(ctx, one) == ("There is no assistant with the name 'Desk'.", "assistant")
    assert await rejected(ctx, {**one, "assistant": {"id": "x"}}) == ("There is no assistant 'x'.", "assistant")
    lost = {**one, "assistant": DESK, "tests": [*tests, {**tests[0], "name": "u", "assistant": "Nobody"}]}
    assert (await rejected(ctx, lost))[1] == "tests/1/assistant"
    # Nothing was kept of what went before it.
    with pytest.raises(NotFound):
        await suites.retrieve(ctx, ORG, "s")
    assert (await suites.get_assistants(ctx, ORG, Window())).total == 0


async def test_a_name_that_several_have_names_nobody(ctx: Context) -> None:
    draft = a_version(name="Desk")
    made = [
        await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None)) for _ in range(2)
    ]
    tests = [{"name": "t", "scenario": "b", "criteria": ["c"]}]
    for whom in ("Desk", DESK):
        message, part = await rejected(ctx, {"suite": "s", "assistant": whom, "tests": tests})
        assert all(one.id in message for one in made)
        assert part == ("assistant" if whom == "Desk" else "assistant/name")
    await put(ctx, {"suite": "s", "assistant": {"id": made[0].id}, "tests": tests})
    document = await suites.retrieve(ctx, ORG, "s")
    assert document["assistant"] == {"id": made[0].id}


async def test_an_assistant_goes_before_engines_of_its_name(ctx: Context) -> None:
    engine = await an_engine(ctx, "Desk")
    tests = [{"name": "t", "scenario": "b", "criteria": ["c"]}]
    applied = await put(ctx, {"suite": "s", "assistant": "Desk", "tests": tests})
    assert applied.tests[0].scenario.target == engine.id
    desk = (await put_desk(ctx)).assistant
    applied = await put(ctx, {"suite": "s", "assistant": "Desk", "tests": tests})
    assert applied.tests[0].scenario.target == desk.id != engine.id


async def test_an_assistant_that_is_described_twice_is_one(ctx: Context) -> None:
    tests = [{"name": name, "assistant": DESK, "scenario": "b", "criteria": ["c"]} for name in "ab"]
    applied = await put(ctx, {"suite": "s", "tests": tests})
    assert changes(applied) == (["created"], ["created", "created"])
    tests[1]["assistant"] = {**DESK, "greeting": "Hi"}
    message, part = await rejected(ctx, {"suite": "s", "tests": tests})
    assert ("described twice" in message, part) == (True, "tests/1/assistant")


@pytest.mark.parametrize(
    ("given", "part", "words"),
    [
        ({"tools": [{"kind": "function", "name": "f"}] * 2}, "tools", "2 tools have the name 'f'"),
        ({"shared_tools": ["t-1"]}, "tool_ids", "no shared tool 't-1'"),
        ({"flow": {"start": "a", "nodes": []}}, "flow", "starts at 'a'"),
        (
            {"tools": [{"kind": "handoff", "targets": [{"assistant_id": "x", "name": "X"}]}]},
            "tools",
            "no assistant 'x'",
        ),
    ],
)
async def test_an_assistant_that_cannot_be_is_refused(
    ctx: Context, given: Mapping[str, Any], part: str, words: str
) -> None:
    tests = [{"name": "t", "scenario": "b", "criteria": ["c"]}]
    message, where = await rejected(ctx, {"suite": "s", "assistant": {**DESK, **given}, "tests": tests})
    assert words in message
    assert where == f"assistant/{part}"


async def test_an_assistant_comes_back_as_it_was_put(ctx: Context) -> None:
    whole = {
        **DESK,
        "description": "d",
        "temperature": 0.5,
        "greeting": "",
        "fallback": {"model": "m"},
        "variables": {"a": {"b": [1, None]}},
        "flow": {
            "start": "a",
            "nodes": [{"kind": "prompt", "id": "a", "instructions": "x"}, {"kind": "end", "id": "b"}],
            "edges": [
                {
                    "id": "e",
                    "start": "a",
                    "target": {"node": "b", "kind": "node"},
                    "condition": {"kind": "ask", "prompt": "done?"},
                }
            ],
        },
        "keeps": False,
        "reports": True,
        "idle_minutes": 7,
        "templating": {"prefix": "p_", "rules": "nested"},
        "opener": {"url": "https://a.example"},
        "extra": {"x": {"y": 1}},
    }
    made = await put_desk(ctx, **whole)
    document = await suites.retrieve_assistant(ctx, ORG, made.assistant.id)
    assert document == {**whole, "tools": [{"kind": "hangup"}, {"name": "find", "kind": "function"}]}
    again = await put_desk(ctx, **document)
    assert (again.change, again.assistant.main.id) == ("unchanged", made.assistant.main.id)


async def test_tags_change_without_a_version_and_stay_where_they_are_left_out(ctx: Context) -> None:
    made = await put_desk(ctx)
    untold = {key: value for key, value in DESK.items() if key != "tags"}
    document = schema.Assistant.model_validate(untold)
    same = await ctx.database.write(lambda tx: suites.put_assistant(ctx, tx, ORG, document))
    assert (same.change, same.assistant.tags) == ("unchanged", ("shop",))
    changed = await put_desk(ctx, tags=["b", "a", "b"])
    assert (changed.change, changed.assistant.main.id) == ("changed", made.assistant.main.id)
    assert (await suites.retrieve_assistant(ctx, ORG, made.assistant.id))["tags"] == ["b", "a"]


async def test_a_label_of_a_version_is_nobodys_business(ctx: Context) -> None:
    made = (await put_desk(ctx)).assistant
    await assistants.update(ctx, ORG, made.id, lambda one: replace(one, label="summer"), lambda _: None, promote=True)
    assert (await put_desk(ctx)).change == "unchanged"
    changed = await put_desk(ctx, greeting="Hi")
    assert changed.assistant.main.label == "summer"


async def test_an_engine_comes_as_an_assistant_of_its_own_would_be(ctx: Context) -> None:
    engine = await an_engine(ctx, "Engine")
    document = await suites.retrieve_assistant(ctx, ORG, engine.id)
    assert (document["name"], "extra" in document) == ("Engine", False)
    listed = await suites.get_assistants(ctx, ORG, Window())
    assert [one.id for one in listed.items] == [engine.id]
    copied = await put_desk(ctx, **document)
    assert copied.assistant.form is Form.ASSISTANT


async def test_one_test_is_put_and_given(ctx: Context) -> None:
    document = {
        "suite": "s",
        "destination": "+1555",
        "name": "t",
        "scenario": "b",
        "criteria": ["c"],
        "medium": "sms_chat",
    }
    one = schema.OneTest.model_validate(document)
    made = await ctx.database.write(lambda tx: suites.put_test(ctx, tx, ORG, None, one))
    assert (made.change, made.scenario.medium) == ("created", Medium.SMS_CHAT)
    given = await suites.retrieve_test(ctx, ORG, made.scenario.id)
    assert given == {"id": made.scenario.id, **document}
    same = schema.OneTest.model_validate(given)
    assert (
        await ctx.database.write(lambda tx: suites.put_test(ctx, tx, ORG, made.scenario.id, same))
    ).change == "unchanged"
    alone = schema.OneTest.model_validate({**document, "suite": None, "name": "u"})
    changed = await ctx.database.write(lambda tx: suites.put_test(ctx, tx, ORG, made.scenario.id, alone))
    assert (changed.change, changed.scenario.suite, changed.scenario.name) == ("changed", None, "u")
    with pytest.raises(Rejected, match="another"):
        await ctx.database.write(lambda tx: suites.put_test(ctx, tx, ORG, None, same))
    with pytest.raises(NotFound):
        await ctx.database.write(lambda tx: suites.put_test(ctx, tx, ORG, "x", alone))


async def test_tests_are_listed_by_suite(ctx: Context) -> None:
    await put(ctx, DOCUMENT)
    page = await suites.get_tests(ctx, ORG, "a/b", Window(1, 2))
    assert ([one["name"] for one in page.items], page.total) == (["away", "bye"], 3)
    assert (await suites.get_tests(ctx, ORG, "other", Window())).total == 0
    assert (await suites.get_tests(ctx, ORG, None, Window())).total == 3


async def test_others_have_other_suites_and_assistants(ctx: Context) -> None:
    await put(ctx, DOCUMENT)
    with pytest.raises(NotFound):
        await suites.retrieve(ctx, OTHER, "a/b")
    assert (await suites.get_tests(ctx, OTHER, None, Window())).total == 0
    assert (await suites.get_assistants(ctx, OTHER, Window())).total == 0


async def test_a_batch_runs_each_test_as_often_as_it_says(ctx: Context) -> None:
    applied = await put(ctx, DOCUMENT)
    ids = tuple(one.scenario.id for one in applied.tests)

    async def run(wish: Wish) -> list[int]:
        _, made = await ctx.database.write(lambda tx: batching.trigger(ctx, tx, ORG, wish))
        return [ids.index(one.scenario_id) for one in made]

    assert await run(Wish("a/b")) == [0, 1, 2, 0, 0]
    assert await run(Wish("a/b", repeats=1)) == [0, 1, 2]
    assert await run(Wish(scenario_ids=ids[:2], repeats=2)) == [0, 1, 0, 1]
    assert await run(Wish(scenario_ids=(ids[0], ids[2]), counts={ids[2]: 2})) == [0, 2, 0, 2, 0]
    with pytest.raises(Rejected, match="5002 runs"):
        await run(Wish("a/b", repeats=1, counts={ids[0]: 5000}))


async def test_a_tool_of_the_core_is_the_same_by_document(ctx: Context) -> None:
    made = await put_desk(ctx)
    assert made.assistant.main.tools[1] == FunctionTool("find")


class Counted(tuple[Scenario, ...]):
    """Scenarios that count how often somebody goes through all of them."""

    times = 0

    def __iter__(self) -> Iterator[Scenario]:
        type(self).times += 1
        return super().__iter__()


async def test_tests_are_sorted_into_their_suites_in_one_go(ctx: Context) -> None:
    found = Counted(a_scenario(name=f"t{n}", suite=f"s{n % 5}" if n % 7 else None, target="x") for n in range(40))
    documents, _ = await ctx.database.read(lambda tx: suites.exported(tx, ORG, found, ()))
    assert Counted.times <= 2
    told = {one["suite"]: [test["name"] for test in one["tests"]] for one in documents}
    assert told == {f"s{k}": [f"t{n}" for n in range(40) if n % 5 == k and n % 7] for k in range(5)}
