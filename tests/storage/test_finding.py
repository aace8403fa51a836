"""Filters as a database applies them, against the same rules in plain Python."""

import functools
import re
import runpy
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.support.store import NOW, ORG, a_conversation

from vivavoce.core.conversation import Conversation
from vivavoce.core.filter import COLUMNS, TIMES, AnyOf, Comparison, Field, Filter, Op, Order
from vivavoce.storage import conversations, migrations, notes, search
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.tables import notes as note_rows

# the rules of ``vivavoce.core.filter``, read literally


def value_of(one: Conversation, field: Field) -> Any:
    return one.metadata.get(field.name) if field.metadata else getattr(one, field.name)


def matches(pattern: str, text: str, *, fold: bool) -> bool:
    def translate(part: re.Match[str]) -> str:
        escaped, sign = part.groups()
        return re.escape(escaped) if escaped else {"%": ".*", "_": "."}.get(sign, re.escape(sign))

    def folded(words: str) -> str:
        return words.lower() if fold else words

    expected = re.sub(r"\\(.)|(.)", translate, folded(pattern), flags=re.DOTALL)
    return re.fullmatch(expected, folded(text), re.DOTALL) is not None


COMPARE: dict[Op, Callable[[Any, Any], bool]] = {
    Op.EQ: lambda a, b: a == b,
    Op.NEQ: lambda a, b: a != b,
    Op.GT: lambda a, b: a > b,
    Op.GTE: lambda a, b: a >= b,
    Op.LT: lambda a, b: a < b,
    Op.LTE: lambda a, b: a <= b,
    Op.IN: lambda a, b: a in b,
    Op.LIKE: lambda a, b: matches(b, a, fold=False),
    Op.ILIKE: lambda a, b: matches(b, a, fold=True),
}


def holds(condition: Comparison | AnyOf, one: Conversation) -> bool:
    if isinstance(condition, AnyOf):
        return any(holds(option, one) for option in condition.options)
    value = value_of(one, condition.field)
    if condition.op is Op.IS:
        return value is None
    return value is not None and COMPARE[condition.op](value, condition.value)


def expected(wanted: Filter, kept: list[Conversation]) -> list[Conversation]:
    found = [one for one in kept if all(holds(condition, one) for condition in wanted.conditions)]
    orders = wanted.orders or (Order(Field("created_at"), descending=True),)

    def compare(a: Conversation, b: Conversation) -> int:
        for order in orders:
            one, two = value_of(a, order.field), value_of(b, order.field)
            if one == two:
                continue
            if one is None or two is None:
                return 1 if one is None else -1
            return (1 if one > two else -1) * (-1 if order.descending else 1)
        if a.created_at != b.created_at:
            return -1 if a.created_at > b.created_at else 1
        return -1 if a.id > b.id else 1

    return sorted(found, key=functools.cmp_to_key(compare))[: wanted.limit]


# what is tried

NASTY = "ab%_\\*?[]^-'\"AÉé😀 .$\n"
words = st.text(st.sampled_from(NASTY), max_size=4)
keys = st.sampled_from(
    ["a", "A", "b.c", 'q"u', "b\\s", "[0]", "$.a", "é", "", "'", "0", "a b", "created_at", "name", "id"]
)
times = st.integers(NOW, NOW + 3)
texts = st.builds(Field, st.sampled_from(sorted(COLUMNS - TIMES))) | st.builds(Field, keys, st.just(True))
moments = st.builds(Field, st.sampled_from(sorted(TIMES)))
COMPARING = [Op.EQ, Op.NEQ, Op.GT, Op.GTE, Op.LT, Op.LTE]


def comparisons(fields: st.SearchStrategy[Field], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Comparison]:
    return (
        st.builds(Comparison, fields, st.sampled_from(COMPARING), values)
        | st.builds(Comparison, fields, st.just(Op.IN), st.lists(values, min_size=1, max_size=3).map(tuple))
        | st.builds(Comparison, fields, st.just(Op.IS), st.none())
    )


patterns = st.builds(Comparison, texts, st.sampled_from([Op.LIKE, Op.ILIKE]), words)
conditions = comparisons(texts, words) | comparisons(moments, times) | patterns
filters = st.builds(
    Filter,
    st.lists(conditions | st.lists(conditions, min_size=1, max_size=3).map(lambda some: AnyOf(tuple(some))), max_size=3)
    .map(tuple),
    st.lists(st.builds(Order, texts | moments, st.booleans()), max_size=3).map(tuple),
    st.none() | st.integers(1, 4),
)  # fmt: skip
talks = st.lists(
    st.builds(
        a_conversation,
        name=st.none() | words,
        metadata=st.dictionaries(keys, words, max_size=4),
        created_at=times,
        last_message_at=times,
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one.id,
)


class _Undo(Exception):
    """Carries the result out of a transaction that keeps nothing."""

    def __init__(self, found: list[Conversation]) -> None:
        super().__init__()
        self.found = found


async def found_in(
    database: Database, wanted: Filter, kept: list[Conversation], most: int = 1000
) -> list[Conversation]:
    def work(tx: Tx) -> None:
        conversations.add(tx, ORG, kept)
        raise _Undo(list(search.get_filtered(tx, ORG, wanted, most)))

    with pytest.raises(_Undo) as undone:
        await database.write(work)
    return undone.value.found


def like(pattern: str, op: Op = Op.LIKE) -> Filter:
    return Filter((Comparison(Field("name"), op, pattern),))


def named(*names: str) -> list[Conversation]:
    return [a_conversation(name=name) for name in names]


tried = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["near", "far", "far and many"])
def nearest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a few conversations are many, and a few different values: what is rare is found in another way."""
    if request.param == "near":
        return
    for name in ("NEAREST", "FARTHER", "FEW", "MANY"):
        monkeypatch.setattr(search, name, 1)
    if request.param == "far and many":
        monkeypatch.setattr(notes, "VALUES", 1)
        monkeypatch.setattr(notes, "GROUP", 1)


@given(wanted=filters, kept=talks, most=st.sampled_from([1, 2, 3, 1000]))
@tried
@pytest.mark.usefixtures("nearest")
async def test_a_database_finds_what_the_rules_say(
    database: Database, wanted: Filter, kept: list[Conversation], most: int
) -> None:
    assert await found_in(database, wanted, kept, most) == expected(wanted, kept)[:most]


@given(pattern=words, op=st.sampled_from([Op.LIKE, Op.ILIKE]), kept=st.lists(words, min_size=1, max_size=8))
@example(pattern="a\\", op=Op.LIKE, kept=["a", "a\\", "A\\"])
@example(pattern="a\\", op=Op.ILIKE, kept=["a", "a\\", "A\\"])
@example(pattern="\\%_%", op=Op.LIKE, kept=["%", "%a", "%aa", "aa"])
@example(pattern="[a]*?", op=Op.LIKE, kept=["a", "[a]*?", "abc", "[a]bc"])
@example(pattern="É_", op=Op.ILIKE, kept=["éa", "É\n", "éé", "e"])
@tried
async def test_patterns_mean_the_same_everywhere(database: Database, pattern: str, op: Op, kept: list[str]) -> None:
    wanted, talked = like(pattern, op), named(*kept)
    assert await found_in(database, wanted, talked) == expected(wanted, talked)


async def test_text_is_ordered_by_code_points_and_not_by_a_language(database: Database) -> None:
    kept = named("é", "a", "B", "Z", "-a", "_", "😀")
    ascending = Filter(orders=(Order(Field("name")),))
    assert [one.name for one in await found_in(database, ascending, kept)] == ["-a", "B", "Z", "_", "a", "é", "😀"]
    above = Filter((Comparison(Field("name"), Op.GT, "a"),), (Order(Field("name")),))
    assert [one.name for one in await found_in(database, above, kept)] == ["é", "😀"]


def holding(name: str, value: str) -> Filter:
    return Filter((Comparison(Field(name, metadata=True), Op.EQ, value),))


async def test_what_is_noted_follows_what_changes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "NEAREST", 3)
    monkeypatch.setattr(search, "FEW", 3)
    rare, *others = (a_conversation(metadata={"kind": "rare" if n == 0 else "frequent"}) for n in range(9))

    async def found(value: str) -> list[str]:
        page = await database.read(lambda tx: search.get_filtered(tx, ORG, holding("kind", value), 100))
        return sorted(one.id for one in page)

    await database.write(lambda tx: conversations.add(tx, ORG, [rare, *others]))
    assert (await found("rare"), len(await found("frequent"))) == ([rare.id], 8)
    await database.write(lambda tx: conversations.set_metadata(tx, replace(rare, metadata={"kind": "new"})))
    assert (await found("rare"), await found("new")) == ([], [rare.id])
    await database.write(lambda tx: conversations.drop(tx, ORG, rare.id))
    assert await found("new") == []
    kept = await database.read(lambda tx: tx.execute(select(note_rows.c.conversation_id)).scalars().all())
    assert rare.id not in kept
    assert len(kept) == 3 * 8  # with their ids, and that they have no name


# one value that is not noted to its end, and two that are noted alike
LONG = [f"{'x' * 255}{rest}" for rest in ("", "b", "a", "%")]
LONG_KEY = "k" * 256


@pytest.mark.parametrize("most", [1, 2, 1000])
@pytest.mark.parametrize("op", [Op.EQ, Op.NEQ, Op.GT, Op.GTE, Op.LT, Op.LTE, Op.LIKE, Op.ILIKE])
@pytest.mark.usefixtures("nearest")
async def test_what_is_too_long_to_be_noted_is_found(database: Database, op: Op, most: int) -> None:
    values = [None, "w", "y", *LONG, *LONG]
    kept = [
        a_conversation(name=value, metadata={} if value is None else {"k": value, LONG_KEY: value}) for value in values
    ]
    wanted = [
        Filter((Comparison(field, op, value),), orders)
        for field in (Field("name"), Field("k", metadata=True), Field(LONG_KEY, metadata=True))
        for orders in ((), (Order(field),), (Order(field, descending=True), Order(Field("id"))))
        for value in (LONG[0], LONG[1], "w", f"{LONG[0]}_", f"%{LONG[2]}", f"{LONG[0]}%")
    ]

    def work(tx: Tx) -> None:
        conversations.add(tx, ORG, kept)
        for one in wanted:
            assert list(search.get_filtered(tx, ORG, one, most)) == expected(one, kept)[:most]

    await database.write(work)


@pytest.mark.parametrize("start", ["", "a", "\ud7ff", "a\U0010ffff", "\U0010ffff", "é"])
@pytest.mark.usefixtures("nearest")
async def test_a_pattern_may_begin_with_any_letter(database: Database, start: str) -> None:
    kept = named(*(f"{start}{rest}" for rest in ("", "a", "\ue000", "\U0010ffff")), "b", "\ue000", "\U0010ffff", "A")
    for pattern in (f"{start}%", f"{start}_", f"{start}%a"):
        wanted = like(pattern)
        assert await found_in(database, wanted, kept, 2) == expected(wanted, kept)[:2]


@pytest.mark.parametrize(
    "condition",
    [
        Comparison(Field("name"), Op.GTE, "old"),
        Comparison(Field("name"), Op.LIKE, "%ld%"),
        AnyOf((Comparison(Field("name"), Op.ILIKE, "%OLD"), Comparison(Field("name"), Op.EQ, "old too"))),
    ],
)
@pytest.mark.usefixtures("nearest")
async def test_what_many_are_that_are_not_near_is_found(database: Database, condition: Comparison | AnyOf) -> None:
    names = ["old", "old too", "old", "old too", "new", "new", "new"]
    kept = [a_conversation(name=name, created_at=NOW + place) for place, name in enumerate(names)]
    for orders in ((), (Order(Field("created_at")),)):
        wanted = Filter((condition,), orders)
        assert await found_in(database, wanted, kept, 3) == expected(wanted, kept)[:3]


@pytest.mark.usefixtures("nearest")
async def test_metadata_may_have_the_names_of_columns(database: Database) -> None:
    fields = [Field(name, metadata=True) for name in ("created_at", "last_message_at", "id", "name")]
    kept = [
        a_conversation(name="a", created_at=NOW - place, metadata={field.name: f"{place}" for field in fields})
        for place in range(5)
    ]
    for field in fields:
        for order in (Order(field), Order(field, descending=True)):
            wanted = Filter((Comparison(Field("name"), Op.EQ, "a"),), (order,))
            assert await found_in(database, wanted, kept, 2) == expected(wanted, kept)[:2]


OLD_ONES = [a_conversation(name="zeta", created_at=NOW - 9, metadata={"k": "a\\b"}) for _ in range(4)]
NEW_ONES = [a_conversation(name="alpha", created_at=NOW + place, metadata={"k": "x"}) for place in range(4)]


@pytest.mark.parametrize(
    "other",
    [
        Comparison(Field("name"), Op.GT, "m"),
        Comparison(Field("name"), Op.NEQ, "alpha"),
        Comparison(Field("name"), Op.IN, ("zeta", "q")),
        Comparison(Field("k", metadata=True), Op.LT, "b"),
        Comparison(Field("k", metadata=True), Op.EQ, "a\\b"),
        Comparison(Field("created_at"), Op.LT, NOW),
    ],
)
@pytest.mark.parametrize("fields", [("name",), ("name", "name"), [f"{n}" for n in range(search.PATTERNS + 1)]])
@pytest.mark.usefixtures("nearest")
async def test_an_alternative_may_be_a_pattern_and_another_none(
    database: Database, other: Comparison, fields: Sequence[str]
) -> None:
    patterns = [Comparison(Field(name, metadata=name != "name"), Op.ILIKE, "%nobody%") for name in fields]
    wanted = Filter((AnyOf((*patterns, other)),))
    kept = [*OLD_ONES, *NEW_ONES]
    assert await found_in(database, wanted, kept, 2) == expected(wanted, kept)[:2]


@pytest.mark.usefixtures("nearest")
async def test_a_pattern_may_stand_for_any_number_of_values(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "VALUES", 3_000)
    monkeypatch.setattr(search, "MANY", 1)
    kept = [a_conversation(name=f"v{place}") for place in range(2_000)]
    options = tuple(Comparison(Field("name"), Op.ILIKE, f"%v{'_' * more}%") for more in range(5))
    wanted = Filter((AnyOf((*options, Comparison(Field("name"), Op.EQ, "none"))),), (Order(Field("created_at")),))
    assert len(await found_in(database, wanted, kept, 2)) == 2


@pytest.mark.parametrize("field", [Field("name"), Field("k", metadata=True)])
@pytest.mark.parametrize("values", [1, 4, 100])
@pytest.mark.usefixtures("nearest")
async def test_many_patterns_of_one_field_are_looked_for_together(
    database: Database, monkeypatch: pytest.MonkeyPatch, field: Field, values: int
) -> None:
    """However many values there are, and however many of them match."""
    monkeypatch.setattr(notes, "VALUES", values)
    texts = [f"v{place}" for place in range(20)] * 2
    kept = [
        a_conversation(name=text, created_at=NOW + place, metadata={"k": text, "other": "v1"})
        for place, text in enumerate(texts)
    ]
    for asked in (
        ("%9", "_2", "%nobody"),
        ("%1%", "V_"),
        ("%x", "%X", "v", "v__5"),
        ("%1%", "v_", "%7"),
        ("V1", "v1%_"),
    ):
        patterns = tuple(Comparison(field, op, each) for each in asked for op in (Op.LIKE, Op.ILIKE))
        for more in ((), (Comparison(field, Op.EQ, "v3"), Comparison(Field("created_at"), Op.LT, NOW + 2))):
            wanted = Filter((AnyOf((*patterns, *more)),))
            assert await found_in(database, wanted, kept, 3) == expected(wanted, kept)[:3]


@pytest.mark.usefixtures("nearest")
async def test_many_patterns_may_have_to_be_true(database: Database) -> None:
    kept = named(*(f"v{place}" for place in range(20)))
    patterns = ("%1", "%1%", "_1", "v_%", "%v%1", "%v1", "v%1_")
    wanted = Filter(tuple(Comparison(Field("name"), Op.LIKE, each) for each in patterns))
    assert await found_in(database, wanted, kept, 3) == expected(wanted, kept)[:3]


def test_what_is_noted_is_forgotten_by_the_key(sqlite_template: Path) -> None:
    """Triggers do it for every conversation that is deleted or changed; looking through all notes takes a second."""
    file = next(Path(migrations.__file__).parent.glob("versions/0006_*.py"))
    forget = runpy.run_path(str(file))["LITE_FORGET"]
    for name, value in {
        "metadata": """'{"a": "b"}'""",
        "created_at": "1",
        "name": "'n'",
        "org": "'o'",
        "id": "'i'",
    }.items():
        forget = forget.replace(f"OLD.{name}", value)
    forget = forget.replace("OLD.conversation_id", "'i'")
    with sqlite3.connect(sqlite_template) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {forget}")]
    connection.close()
    [reads] = [step for step in plan if "notes" in step]
    assert reads.startswith("SEARCH notes USING PRIMARY KEY")
    assert reads.count("=?") == 5
