"""The form of the shares: what is saved is what was typed, for the versions that were shown."""

from tests.support.desk_pages import add_version, keep
from tests.support.pages import Person
from tests.support.store import ORG

from vivavoce.core.rollout import Clause, Operator, Rule, Slot
from vivavoce.services import assistants, profiles, rollouts
from vivavoce.services.context import Context
from vivavoce.web.traffic import MOST_CLAUSES, MOST_RULES


async def serve(ctx: Context, assistant_id: str, *rules: Rule) -> None:
    await rollouts.serve(ctx, ORG, assistant_id, rules, lambda _main, _rollout: None)


async def served(ctx: Context, assistant_id: str) -> tuple[Rule, ...]:
    return (await rollouts.retrieve(ctx, ORG, assistant_id)).rules


async def test_shares_are_given_changed_and_ended(ctx: Context, person: Person) -> None:
    one = await keep(ctx, name="Desk")
    home = f"/ui/assistants/{one.id}"
    assert "only main" in (await person.get(f"{home}/traffic")).text
    other = await add_version(ctx, one, label="new")
    share = f"r0w{other}"
    page = await person.get(f"{home}/traffic")
    shown = page.fields(f"{home}/traffic")
    assert shown["rules"] == "1"
    looked = await person.post(f"{home}/traffic", shown | {share: "10", "act": "look"})
    assert (looked.status, "90 %" in looked.text) == (200, True)
    more = await person.post(f"{home}/traffic", shown | {share: "10", "act": "add"})
    assert more.fields(f"{home}/traffic")["rules"] == "2"
    wrong = await person.post(f"{home}/traffic", shown | {share: "110", "act": "save"})
    assert (wrong.status, wrong.main.one("input", id=share).attributes["aria-invalid"]) == (422, "true")
    done = await person.post(f"{home}/traffic", shown | {share: "10", "act": "save"})
    assert "90 %" in (await person.follow(done)).text
    rollout = await rollouts.retrieve(ctx, ORG, one.id)
    assert [(slot.version_id, slot.weight) for slot in rollout.rules[0].slots] == [(other, 10.0)]
    changed = {"r0c0attribute": "plan", "r0c0values": "beta\nstaff", share: "100", "act": "save"}
    shown = (await person.get(f"{home}/traffic")).fields(f"{home}/traffic")
    assert (await person.post(f"{home}/traffic", shown | changed)).status == 303
    page = await person.get(home)
    assert "Conversations where plan is one of beta, staff" in page.text
    assert "gets a share" in page.text
    await person.post(f"{home}/traffic/end")
    assert (await profiles.retrieve(ctx, ORG, one.id)).rollout is None
    assert (await person.post(f"{home}/traffic/end")).status == 404
    # Nothing in the form is nothing to serve.
    shown = (await person.get(f"{home}/traffic")).fields(f"{home}/traffic")
    assert (await person.post(f"{home}/traffic", shown | {"act": "save"})).status == 303
    assert (await profiles.retrieve(ctx, ORG, one.id)).rollout is None


async def test_a_version_that_comes_meanwhile_shifts_no_share(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    path = f"/ui/assistants/{one.id}/traffic"
    first, second = await add_version(ctx, one, number=1), await add_version(ctx, one, number=2)
    shown = (await person.get(path)).fields(path)
    await add_version(ctx, one, number=3)
    typed = {f"r0w{first}": "10", f"r0w{second}": "20", "act": "save"}
    assert (await person.post(path, shown | typed)).status == 303
    (rule,) = await served(ctx, one.id)
    assert {slot.version_id: slot.weight for slot in rule.slots} == {first: 10.0, second: 20.0}


async def test_shares_are_not_saved_over_another_main(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    path = f"/ui/assistants/{one.id}/traffic"
    first, second = await add_version(ctx, one, number=1), await add_version(ctx, one, number=2)
    shown = (await person.get(path)).fields(path)
    await assistants.promote(ctx, ORG, one.id, first)
    typed = shown | {f"r0w{first}": "10", f"r0w{second}": "20"}
    for act in ("add", "look"):
        looked = await person.post(path, typed | {"act": act})
        assert "versions that are main now" in looked.text
        assert looked.fields(path)["seen"] == shown["seen"]
    late = await person.post(path, typed | {"act": "save"})
    assert (late.status, "while you wrote" in late.text, "are left out" in late.text) == (409, True, True)
    assert (await profiles.retrieve(ctx, ORG, one.id)).rollout is None
    kept = late.fields(path)
    assert (kept[f"r0w{second}"], kept[f"r0w{one.main.id}"]) == ("20", "")
    assert f"r0w{first}" not in kept
    assert (await person.post(path, kept | {"act": "save"})).status == 303
    assert await served(ctx, one.id) == (Rule((), None, (Slot(second, 20.0),)),)


async def test_shares_are_not_saved_over_those_of_somebody_else(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    path = f"/ui/assistants/{one.id}/traffic"
    other = await add_version(ctx, one)
    shown = (await person.get(path)).fields(path)
    theirs = Rule((), None, (Slot(other, 50.0),))
    # The clock stands still: it is not the time that tells them apart.
    for rules in ((theirs,), (), (Rule((), other),)):
        await serve(ctx, one.id, *rules)
        mine = shown | {f"r0w{other}": "10", "act": "save"}
        late = await person.post(path, mine)
        if not rules:
            assert late.status == 303
            shown = (await person.get(path)).fields(path)
            continue
        assert late.status == 409
        assert await served(ctx, one.id) == rules
        assert late.fields(path)[f"r0w{other}"] == "10"
    assert (await person.post(path, late.fields(path) | {"act": "save"})).status == 303
    assert await served(ctx, one.id) == (Rule((), None, (Slot(other, 10.0),)),)


async def test_a_version_that_nobody_has_gets_no_share(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    path = f"/ui/assistants/{one.id}/traffic"
    await add_version(ctx, one)
    shown = (await person.get(path)).fields(path)
    page = await person.post(path, shown | {"r0w<b>nobody": "10", "act": "save"})
    assert (page.status, "has no version" in page.text) == (409, True)
    assert (await profiles.retrieve(ctx, ORG, one.id)).rollout is None


async def test_many_rules_come_back_as_they_are(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    path = f"/ui/assistants/{one.id}/traffic"
    ids = [await add_version(ctx, one, number=number) for number in range(1, 11)]
    clauses = tuple(Clause(f"key {number}", Operator.NOT_IN, ("a", "b")) for number in range(18))
    rules = tuple(Rule(clauses, None, (Slot(ids[number % 10], 0.25),)) for number in range(40))
    await serve(ctx, one.id, *rules)
    shown = (await person.get(path)).fields(path)
    assert len(shown) > 2_400
    assert (await person.post(path, shown | {f"r39w{ids[9]}": "7", "act": "save"})).status == 303
    assert await served(ctx, one.id) == (*rules[:39], Rule(clauses, None, (Slot(ids[9], 7.0),)))


async def test_what_does_not_fit_into_the_form_is_not_cut(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    path = f"/ui/assistants/{one.id}/traffic"
    other = await add_version(ctx, one)
    clause = Clause("plan", Operator.IN, ("beta",))
    await serve(ctx, one.id, Rule((clause,) * MOST_CLAUSES, other))
    assert (await person.get(path)).fields(path)["r0clauses"] == str(MOST_CLAUSES)
    rules = (Rule((clause,), other),) * (MOST_RULES + 1)
    await serve(ctx, one.id, *rules)
    page = await person.get(path)
    assert (page.status, "through the API" in page.text) == (400, True)
    assert (await person.post(path, rules="1", act="save")).status == 400
    assert await served(ctx, one.id) == rules
