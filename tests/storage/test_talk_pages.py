"""Conversations from the newest back, however many there are and however few match."""

from tests.support.store import NOW, ORG, a_conversation

from vivavoce.core.conversation import Conversation
from vivavoce.core.filter import AnyOf, Comparison, Field, Filter, Op
from vivavoce.storage import conversations
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.talk_pages import Place, Stretch, look_back

BETA = Filter((Comparison(Field("plan", metadata=True), Op.EQ, "beta"),))


async def filled(database: Database, many: int, plan: int = 7) -> list[Conversation]:
    """So many conversations, the oldest first; three in each millisecond, and every seventh has a plan."""
    made = [
        a_conversation(
            name=f"talk {place}", created_at=NOW + place // 3, metadata={} if place % plan else {"plan": "beta"}
        )
        for place in range(many)
    ]
    await database.write(lambda tx: conversations.add(tx, ORG, made))
    return made


async def everything(database: Database, wanted: Filter, most: int, reach: int) -> tuple[list[str], list[Stretch]]:
    """The names of all that match, and the stretches in which they came."""
    names: list[str] = []
    stretches: list[Stretch] = []
    behind: Place | None = None
    while True:

        def work(tx: Tx, behind: Place | None = behind) -> Stretch:
            return look_back(tx, ORG, wanted, most, behind, reach)

        found = await database.read(work)
        stretches.append(found)
        names += [one.name or "" for one in found.items]
        behind = found.rest
        if behind is None:
            return names, stretches


async def test_each_matches_once_newest_first_whatever_the_reach(database: Database) -> None:
    made = await filled(database, 50)
    ordered = [one.name for one in sorted(made, key=lambda one: (one.created_at, one.id), reverse=True)]
    betas = [one.name for one in sorted(made, key=lambda one: (one.created_at, one.id), reverse=True) if one.metadata]
    for most in (1, 4, 100):
        assert (await everything(database, Filter(), most, 10))[0] == ordered
        for reach in (1, 5, 49, 50, 1000):
            names, stretches = await everything(database, BETA, most, reach)
            assert names == betas
            assert all(len(one.items) <= most for one in stretches)


async def test_it_says_where_it_stopped_looking(database: Database) -> None:
    await filled(database, 30, plan=29)
    first = await database.read(lambda tx: look_back(tx, ORG, BETA, 5, None, 10))
    assert ([one.name for one in first.items], first.looked, first.rest is not None) == (["talk 29"], True, True)
    last = await database.read(lambda tx: look_back(tx, ORG, BETA, 5, None, 1000))
    assert ([one.name for one in last.items], last.looked, last.rest) == (["talk 29", "talk 0"], False, None)


async def test_times_and_choices_bound_what_is_found(database: Database) -> None:
    await filled(database, 30)
    early = Comparison(Field("created_at"), Op.LT, NOW + 3)
    choice = AnyOf((BETA.conditions[0], Comparison(Field("name"), Op.EQ, "talk 4")))  # pyright: ignore[reportArgumentType]
    names, _ = await everything(database, Filter((early,)), 100, 5)
    assert names == [f"talk {place}" for place in reversed(range(9))]
    names, _ = await everything(database, Filter((early, choice)), 2, 4)
    assert names == ["talk 7", "talk 4", "talk 0"]
