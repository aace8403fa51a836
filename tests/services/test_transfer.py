"""Files of other APIs, kept and collected."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import ORG, a_scenario, a_version

from vivavoce.core.assistant import Form
from vivavoce.core.flow import ComponentNode, Flow
from vivavoce.core.scenario import Scenario
from vivavoce.services import assistants, engines, scenarios
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.transfer import Bundle, Held, Kept, Told, collect, keep
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import scenarios as kept_scenarios
from vivavoce.vendors import FORMATS

PLAIN, ENGINES = FORMATS["telnyx"], FORMATS["retell"]
LLM = Held("", a_version(name="Engine", extra={"body": {"general_prompt": "x"}}), Form.PROMPTS)
DESK = Held("assistant-x", a_version(name="Desk"))


def told(scenario: Scenario) -> Told:
    return Told(scenario.id, scenario, lambda before: replace(before, name=scenario.name, brief=scenario.brief))


async def kept(ctx: Context, *found: Held | Told, plain: bool = True) -> tuple[Kept, ...]:
    return await ctx.database.write(lambda tx: keep(ctx, tx, ORG, found, PLAIN if plain else ENGINES))


def changes(made: tuple[Kept, ...]) -> list[str]:
    return [one.change.value for one in made]


async def collected(ctx: Context, suites: tuple[str, ...] = (), whom: tuple[str, ...] = ()) -> Bundle:
    return await ctx.database.read(lambda tx: collect(tx, ORG, suites, whom))


async def test_tests_go_to_the_assistants_of_their_files(ctx: Context) -> None:
    test = told(a_scenario(id="", name="t", target="assistant-x", suite="s"))
    desk, made = await kept(ctx, test, DESK)
    assert (await scenarios.retrieve(ctx, ORG, made.id)).target == desk.id
    assert changes(await kept(ctx, test, DESK)) == ["unchanged", "unchanged"]
    other = told(a_scenario(id="", name="t", target="assistant-x", suite="s", brief="other"))
    assert changes(await kept(ctx, other, DESK)) == ["unchanged", "changed"]
    assert (await scenarios.retrieve(ctx, ORG, made.id)).brief == "other"
    by_id = told(a_scenario(id=made.id, name="renamed", target="assistant-x", brief="other"))
    renamed = (await kept(ctx, by_id, DESK))[1]
    assert (renamed.id, renamed.name, renamed.change) == (made.id, "renamed", "changed")


async def test_an_assistant_is_known_by_its_id_or_its_name(ctx: Context) -> None:
    (made,) = await kept(ctx, DESK)
    changed = replace(DESK, version=replace(DESK.version, greeting="Hi"), tags=("a",))
    assert changes(await kept(ctx, changed)) == ["changed"]
    assert changes(await kept(ctx, changed)) == ["unchanged"]
    renamed = Held(made.id, replace(changed.version, name="Other"))
    assert [(one.id, one.change) for one in await kept(ctx, renamed)] == [(made.id, "changed")]
    found = await assistants.retrieve(ctx, ORG, made.id)
    assert (found.main.name, found.tags, found.main.number) == ("Other", ("a",), 2)


async def test_an_engine_is_known_by_its_id_or_by_being_the_same(ctx: Context) -> None:
    (made,) = await kept(ctx, LLM, plain=False)
    assert [(one.id, one.change) for one in await kept(ctx, LLM, plain=False)] == [(made.id, "unchanged")]
    other = replace(LLM, version=replace(LLM.version, extra={"body": {"general_prompt": "y"}}))
    assert changes(await kept(ctx, other, plain=False)) == ["created"]
    assert changes(await kept(ctx, replace(other, id=made.id), plain=False)) == ["changed"]
    await engines.publish(ctx, ORG, made.id, (Form.PROMPTS,), None)
    with pytest.raises(Rejected, match="published"):
        await kept(ctx, replace(LLM, id=made.id), plain=False)


async def test_an_engine_needs_its_components(ctx: Context) -> None:
    flow = Flow("c", (ComponentNode("c", "gone"),))
    with pytest.raises(NotFound):
        await kept(ctx, Held("", a_version(flow=flow), Form.FLOW), plain=False)


async def test_what_is_here_is_read_once_however_much_a_file_holds(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for where, name in ((kept_scenarios, "get_slice"), (kept_assistants, "get_all")):
        real = getattr(where, name)

        def noted(*given: Any, real: Any = real, name: str = name) -> Any:
            asked.append(name)
            return real(*given)

        monkeypatch.setattr(where, name, noted)
    bodies = [{"general_prompt": str(number)} for number in range(20)]
    llms = [replace(LLM, version=replace(LLM.version, extra={"body": body})) for body in bodies]
    tests = [told(a_scenario(id="", name=f"t{number}", target="elsewhere", suite="s")) for number in range(20)]
    # What a file holds twice is here the second time.
    found = [*llms, llms[0], *tests, tests[0]]
    assert changes(await kept(ctx, *found, plain=False)) == [*["created"] * 20, "unchanged"] * 2
    assert asked == ["get_all", "get_slice"]
    assert set(changes(await kept(ctx, *found, plain=False))) == {"unchanged"}
    assert asked == ["get_all", "get_slice"] * 2


async def test_what_a_file_has_changed_is_known_by_what_it_is_now(ctx: Context) -> None:
    (old,) = await kept(ctx, told(a_scenario(id="", name="t", target="elsewhere", suite="s")))
    named = told(a_scenario(id="", name="t", target="elsewhere", suite="s"))
    renamed = told(a_scenario(id=old.id, name="u", target="elsewhere", suite="s"))
    first, second, third = await kept(ctx, named, renamed, named)
    assert (first.id, second.id, second.change) == (old.id, old.id, "changed")
    assert (third.change, third.id != old.id) == ("created", True)
    (engine,) = await kept(ctx, LLM, plain=False)
    other = Held(engine.id, replace(LLM.version, extra={"body": {"general_prompt": "y"}}), Form.PROMPTS)
    made = await kept(ctx, LLM, other, replace(other, id=""), LLM, plain=False)
    assert [one.change for one in made] == ["unchanged", "changed", "unchanged", "created"]


async def test_a_name_that_several_have_is_nobodys(ctx: Context) -> None:
    for _ in range(2):
        await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, a_version(name="Desk"), lambda _: None))
    with pytest.raises(Rejected, match="2 assistants"):
        await kept(ctx, DESK)


async def test_suites_are_collected_with_whom_they_examine(ctx: Context) -> None:
    for name in ("Desk", "Other"):
        held = Held(f"assistant-{name}", a_version(name=name))
        suite = None if name == "Other" else "s"
        await kept(ctx, held, told(a_scenario(id="", name=name, target=held.id, suite=suite)))
    await kept(ctx, told(a_scenario(id="", name="away", target="https://a.example", suite="s")))

    def names(bundle: Bundle) -> tuple[set[str], list[str]]:
        return {one.main.name for one in bundle.assistants}, [one.name for one in bundle.scenarios]

    assert names(await collected(ctx)) == ({"Desk", "Other"}, ["Desk", "away", "Other"])
    assert names(await collected(ctx, ("s",))) == ({"Desk"}, ["Desk", "away"])
    assert names(await collected(ctx, (), ("Other",))) == ({"Other"}, [])
    other = next(one for one in (await collected(ctx)).assistants if one.main.name == "Other")
    assert names(await collected(ctx, ("s",), (other.id,))) == ({"Desk", "Other"}, ["Desk", "away"])
    with pytest.raises(NotFound):
        await collected(ctx, ("none",))
    with pytest.raises(Rejected):
        await collected(ctx, (), ("none",))
