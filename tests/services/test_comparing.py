from dataclasses import replace
from itertools import count

import pytest
from tests.services.test_examinations import a_run, an_assistant, claimed, conducted, going_on
from tests.support.store import NOW, ORG, a_version

from vivavoce.core.assistant import Assistant
from vivavoce.core.mind import Mind
from vivavoce.core.percentiles import Percentiles
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status
from vivavoce.core.tool import FunctionTool
from vivavoce.core.verdict import Decision, Verdict
from vivavoce.services import assistants, comparing, runs, scenarios
from vivavoce.services.comparing import Held, Kind, held, kind_of, matched
from vivavoce.services.context import Context
from vivavoce.services.differing import Difference, differences
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.examinations import conduct
from vivavoce.services.measuring import Figures, figures
from vivavoce.services.prices import Price
from vivavoce.storage.database import Tx
from vivavoce.storage.results import Measured, Result

PASSED, FAILED, ERROR, PENDING = Status.PASSED, Status.FAILED, Status.ERROR, Status.PENDING
_places = count()
MET, UNMET, OPEN = Decision.MET, Decision.UNMET, Decision.INCONCLUSIVE


def a_result(
    status: Status, *decisions: Decision, test: str = "t", name: str = "test", cancelled: bool = False
) -> Result:
    verdicts = tuple(Verdict(f"c{place}", one, f"{one} {place}", "a judge") for place, one in enumerate(decisions))
    return Result(
        f"run-{next(_places)}",
        test,
        name,
        status,
        cancelled,
        None,
        "it broke off",
        ("c0",) if not verdicts else tuple(one.criterion for one in verdicts),
        verdicts,
        "v",
        NOW,
        Measured(None, 0, None, None, (0, 0)),
    )


def test_repeats_of_a_test_are_counted_together_and_the_worst_is_shown() -> None:
    found = [
        a_result(PASSED, MET, MET),
        a_result(ERROR, OPEN, MET),
        a_result(FAILED, UNMET, MET),
        a_result(FAILED, UNMET, OPEN),
        a_result(PENDING),
        a_result(ERROR, cancelled=True),
    ]
    first, second = held(found).values()
    assert first == Held(1, 2, 4, "unmet 0", found[2].id)
    assert second == Held(3, 0, 4, "inconclusive 1", found[3].id)
    assert not first.holds
    assert held(found[:1])["c0"] == Held(1, 0, 1, "met 0", found[0].id)
    assert held(found[:1])["c0"].holds


def test_a_run_that_broke_off_decides_nothing() -> None:
    broken = a_result(ERROR)
    assert held([broken]) == {"c0": Held(0, 0, 1, "it broke off", broken.id)}
    assert held([a_result(PENDING)]) == {"c0": Held()}


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        (Held(1, 0, 1), Held(1, 0, 1), None),
        (Held(1, 0, 1), Held(3, 0, 3), None),
        (Held(1, 1, 2), Held(2, 2, 4), None),
        (Held(3, 0, 3), Held(2, 1, 3), Kind.BROKE),
        (Held(0, 1, 1), Held(1, 0, 1), Kind.FIXED),
        (Held(2, 1, 3), Held(1, 2, 3), Kind.CHANGED),
        (Held(1, 0, 1), Held(0, 0, 1), Kind.CHANGED),  # undecided is not broken
        (Held(0, 0, 1), Held(1, 0, 1), Kind.CHANGED),
        (Held(1, 0, 1), Held(), Kind.CHANGED),
        (Held(), Held(0, 1, 1), Kind.CHANGED),
        (Held(), Held(), None),
        (None, Held(1, 0, 1), Kind.NEW),
        (Held(1, 0, 1), None, Kind.GONE),
    ],
)
def test_how_a_criterion_changed(left: Held | None, right: Held | None, kind: Kind | None) -> None:
    assert kind_of(left, right) is kind


def test_tests_are_matched_by_id_or_else_by_a_name_that_only_one_has() -> None:
    left = [
        a_result(PASSED, MET, test="a", name="one"),
        a_result(PASSED, MET, test="b", name="two"),
        a_result(PASSED, MET, test="c", name="twice"),
        a_result(PASSED, MET, test="d", name="twice"),
        a_result(PASSED, MET, test="e", name="left alone"),
    ]
    right = [
        a_result(PASSED, MET, test="B", name="two"),
        a_result(PASSED, MET, test="a", name="renamed"),
        a_result(PASSED, MET, test="C", name="twice"),
        a_result(PASSED, MET, test="a", name="renamed"),
        a_result(PASSED, MET, test="F", name="one"),  # the left has that name, on a test that is matched by its id
    ]
    pairs = [
        ([one.scenario_id for one in mine], [one.scenario_id for one in theirs])
        for mine, theirs in matched(left, right)
    ]
    assert pairs == [
        (["b"], ["B"]),
        (["a"], ["a", "a"]),
        ([], ["C"]),
        ([], ["F"]),
        (["c"], []),
        (["d"], []),
        (["e"], []),
    ]


def test_figures() -> None:
    prices = {"small": Price(1.0, 2.0)}
    known = Measured("b", 30, (5, 1), {"small": (1_000_000, 500_000), "other": (7, 1)}, (1_000_007, 500_001))
    nothing = Measured("b", 0, (), {}, (0, 0))
    older = Measured("b", 10, None, None, (3, 4))
    assert figures({}, []) == Figures()
    assert figures(prices, []) == Figures(micros=0)
    found = figures(prices, [known, nothing])
    assert found == Figures(Percentiles(1, 5, 5), Percentiles(30, 30, 30), 1_000_007, 500_001, 2_000_000, 8)
    # Nobody knows any more which models took the older one's.
    assert figures(prices, [known, older]).micros is None
    assert figures(prices, [known, older]).input_tokens == 1_000_010
    assert figures({}, [known]).micros is None


def test_versions_are_compared_field_by_field() -> None:
    left = a_version(
        instructions="Be kind.",
        mind=Mind("small"),
        tools=(FunctionTool("one"), FunctionTool("two", "slow")),
        extra={"list": [1, 2], "same": {"a": None}},
    )
    right = replace(
        left,
        id="other",
        number=3,
        instructions="Be quick.",
        mind=Mind("big"),
        tools=(FunctionTool("two", "quick"), FunctionTool("three")),
        extra={"list": [1, 3, 4], "same": {"a": None}},
    )
    assert differences(left, replace(left, id="x", number=1, created_at=1, changed_at=2, published=True)) == ()
    found = differences(left, right)
    assert [one.path for one in found] == [
        "instructions",
        "mind.model",
        "tools[one]",
        "tools[two].description",
        "tools[three]",
        "extra.list[1]",
        "extra.list[2]",
    ]
    assert found[0] == Difference("instructions", "Be kind.", "Be quick.")
    assert found[2].left["name"] == "one"
    assert found[2].right is None
    assert found[-1] == Difference("extra.list[2]", None, 4)


def test_numbers_and_flags_are_different_things() -> None:
    one = a_version(extra={"a": 1})
    assert differences(one, replace(one, extra={"a": True})) == (Difference("extra.a", 1, True),)


# --- kept ones ------------------------------------------------------------------------------------------------------


async def test_criteria_of_one_name_are_told_apart(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    wants = [("x", 'says "number"'), ("x", 'says "number"')]
    good = await conducted(ctx, await a_run(ctx, target=assistant.id, criteria=tuple(Criterion(*one) for one in wants)))
    wants[0] = ("x", 'says "never"')
    bad = await conducted(ctx, await a_run(ctx, target=assistant.id, criteria=tuple(Criterion(*one) for one in wants)))
    found = await comparing.of_runs(ctx, ORG, good.id, bad.id)
    assert [(one.kind, one.criterion) for one in found.changes] == [(Kind.BROKE, "x")]
    assert found.same == 1
    back = await comparing.of_runs(ctx, ORG, bad.id, good.id)
    assert [(one.kind, one.criterion) for one in back.changes] == [(Kind.FIXED, "x")]


async def test_two_runs(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    good = await conducted(ctx, await a_run(ctx, target=assistant.id))
    warm = Criterion("asks", 'says "welcome"')
    bad = await conducted(
        ctx, await a_run(ctx, target=assistant.id, criteria=(warm, Criterion("more", 'says "number"')))
    )
    found = await comparing.of_runs(ctx, ORG, good.id, bad.id)
    assert [(one.kind, one.criterion) for one in found.changes] == [
        (Kind.BROKE, "asks"),
        (Kind.NEW, "more"),
        (Kind.GONE, "finds"),
    ]
    assert {one.test_id for one in found.changes} == {bad.scenario_id}
    assert (found.same, found.fields) == (0, ())
    assert (found.left.counts.passed, found.right.counts.failed) == (1, 1)
    assert found.left.figures.response_ms == Percentiles(0, 0, 0)
    assert found.left.version_ids == found.right.version_ids == (assistant.main.id,)
    same = await comparing.of_runs(ctx, ORG, good.id, good.id)
    assert (same.changes, same.same) == ((), 2)
    for left, right in ((good.id, "nobody's"), ("nobody's", good.id)):
        with pytest.raises(NotFound, match="nobody's"):
            await comparing.of_runs(ctx, ORG, left, right)
    with pytest.raises(NotFound):
        await comparing.of_runs(ctx, "org-b", good.id, good.id)


async def examined(ctx: Context, assistant: Assistant, version_id: str | None = None) -> tuple[str, Run]:
    """The suite ``s`` run once: the id of the batch, and its only run."""

    def work(tx: Tx) -> Run:
        (run,) = runs.trigger_suite(ctx, tx, ORG, "s", version_id)
        return run

    run = await ctx.database.write(work)
    await conduct(ctx, await claimed(ctx, run), going_on)
    assert run.batch_id is not None
    return run.batch_id, run


async def test_two_batches(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    first = await a_run(ctx, target=assistant.id, suite="s")
    await conducted(ctx, first)
    left, _ = await examined(ctx, assistant)
    await scenarios.update(
        ctx,
        ORG,
        first.scenario_id,
        lambda one: replace(one, criteria=(one.criteria[0], Criterion("finds", 'says "never"'))),
    )
    right, last = await examined(ctx, assistant)
    found = await comparing.of_batches(ctx, ORG, left, right)
    (change,) = found.changes
    assert (change.kind, change.criterion, change.test_id, change.test) == (
        Kind.BROKE,
        "finds",
        first.scenario_id,
        "where is it",
    )
    assert change.right is not None
    assert (change.right.unmet, change.right.of, change.right.run_id) == (1, 1, last.id)
    assert found.same == 1
    assert (found.left.counts.pass_rate, found.right.counts.pass_rate) == (1.0, 0.0)
    back = await comparing.of_batches(ctx, ORG, right, left)
    assert [one.kind for one in back.changes] == [Kind.FIXED]
    with pytest.raises(NotFound, match="batch"):
        await comparing.of_batches(ctx, ORG, left, "nobody's")
    with pytest.raises(NotFound, match="batch"):
        await comparing.of_batches(ctx, "org-b", left, right)


async def test_two_versions_and_the_last_runs_of_each(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    await conducted(ctx, await a_run(ctx, target=assistant.id, suite="s"))

    silent = 'on start: say "Hm."'
    changed = await assistants.update(
        ctx, ORG, assistant.id, lambda one: replace(one, instructions=silent), lambda _: None, promote=True
    )
    await examined(ctx, assistant)
    _, last = await examined(ctx, assistant)
    old, new = assistant.main.id, changed.main.id
    found = await comparing.of_versions(ctx, ORG, old, new)
    assert [one.path for one in found.fields] == ["instructions"]
    assert [(one.kind, one.criterion) for one in found.changes] == [(Kind.BROKE, "asks"), (Kind.BROKE, "finds")]
    assert found.left.counts.passed == 1
    assert found.right.run_ids == (last.id,)  # and not the batch before
    other = await an_assistant(ctx)
    with pytest.raises(Rejected, match="two assistants"):
        await comparing.of_versions(ctx, ORG, old, other.main.id)
    with pytest.raises(NotFound, match="version"):
        await comparing.of_versions(ctx, ORG, old, "nobody's")
    with pytest.raises(NotFound, match="version"):
        await comparing.of_versions(ctx, "org-b", old, new)
    nothing = await comparing.of_versions(ctx, ORG, other.main.id, other.main.id)
    assert (nothing.left.at, nothing.left.counts.pass_rate, nothing.changes) == (None, None, ())
