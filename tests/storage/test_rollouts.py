from tests.support.store import NOW, ORG, an_assistant

from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot
from vivavoce.storage import assistants, rollouts
from vivavoce.storage.database import Database, Tx

RULES = (
    Rule((Clause("end_user_target", Operator.STARTS_WITH, ("+49", "+1")),), "v1"),
    Rule(slots=(Slot("v2", 12.5), Slot("v3", 3))),
    Rule((Clause("plan", Operator.NOT_IN, ("free",)), Clause("x", Operator.IN, ("y",)))),
)


async def test_a_rollout_comes_back_as_it_was(database: Database) -> None:
    kept, other = an_assistant(), an_assistant()

    def write(tx: Tx) -> None:
        for one in (kept, other):
            assistants.add(tx, ORG, one)
        assert rollouts.get(tx, kept.id) is None
        assert rollouts.served(tx, kept.id) == frozenset()
        rollouts.put(tx, kept.id, Rollout(RULES, NOW, NOW))

    await database.write(write)
    assert await database.read(lambda tx: rollouts.get(tx, kept.id)) == Rollout(RULES, NOW, NOW)
    assert await database.read(lambda tx: rollouts.served(tx, kept.id)) == {"v1", "v2", "v3"}
    assert await database.read(lambda tx: rollouts.get(tx, other.id)) is None
    await database.write(lambda tx: rollouts.put(tx, kept.id, Rollout((), NOW, NOW + 5)))
    assert await database.read(lambda tx: rollouts.get(tx, kept.id)) == Rollout((), NOW, NOW + 5)
    assert await database.write(lambda tx: [rollouts.drop(tx, kept.id) for _ in range(2)]) == [True, False]
    assert await database.read(lambda tx: rollouts.get(tx, kept.id)) is None


async def test_it_goes_with_its_assistant(database: Database) -> None:
    kept = an_assistant()

    def write(tx: Tx) -> object:
        assistants.add(tx, ORG, kept)
        rollouts.put(tx, kept.id, Rollout(RULES, NOW, NOW))
        assistants.erase(tx, ORG, kept.id)
        return rollouts.get(tx, kept.id)

    assert await database.write(write) is None
