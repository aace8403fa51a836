from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, a_conversation, ids

from vivavoce.core.filter import AnyOf, Comparison, Field, Filter, Op
from vivavoce.core.insight import Finding, FindingStatus, Found
from vivavoce.storage import conversations, findings
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window

_new_id = ids()
CREATED, DESK = Field("created_at"), Field("desk", metadata=True)


def put(tx: Tx, *results: str, at: int = NOW, org: str = ORG, **metadata: str) -> Finding:
    """A finding of a conversation of its own; results are of insight ``i0``, ``i1``…"""
    conversation = a_conversation(metadata=metadata)
    conversations.add(tx, org, [conversation])
    finding = Finding(_new_id(), conversation.id, "g", FindingStatus.PENDING, at)
    findings.add(tx, org, finding)
    found = tuple(Found(f"i{number}", f"name {number}", text) for number, text in enumerate(results))
    finding = replace(finding, status=FindingStatus.COMPLETED, completed_at=at + 1, results=found)
    findings.put(tx, org, finding)
    return finding


async def test_a_finding_is_kept_as_it_was(database: Database) -> None:
    def work(tx: Tx) -> None:
        finding = put(tx, "b", "a")
        assert findings.get(tx, ORG, finding.id) == finding
        assert findings.get(tx, ORG, finding.id, lock=True) == finding
        assert findings.get(tx, "org-b", finding.id) is None
        again = replace(finding, status=FindingStatus.FAILED, reason="no", results=finding.results[1:])
        findings.put(tx, ORG, again)
        assert findings.get(tx, ORG, finding.id) == again
        nulled = replace(again, reason="a\x00b", results=(Found("i", "n", "c\x00d"),))
        findings.put(tx, ORG, nulled)
        kept = findings.get(tx, ORG, finding.id)
        assert kept is not None
        assert (kept.reason, kept.results[0].result) == ("a\ufffdb", "c\ufffdd")

    await database.write(work)


async def test_a_conversation_s_findings_go_with_it(database: Database) -> None:
    def work(tx: Tx) -> None:
        first = put(tx, "x")
        later = replace(
            first, id=_new_id(), created_at=NOW + 1, status=FindingStatus.PENDING, completed_at=None, results=()
        )
        findings.add(tx, ORG, later)
        put(tx, "of another conversation")
        page = findings.get_page(tx, ORG, first.conversation_id, Window(1, 10))
        assert (page.items, page.total) == ((later, first), 2)
        assert findings.get_page(tx, ORG, first.conversation_id, Window(2, 1)).items == (first,)
        assert findings.get_page(tx, "org-b", first.conversation_id, Window()).total == 0
        assert conversations.drop(tx, ORG, first.conversation_id)
        assert findings.get(tx, ORG, first.id) is None

    await database.write(work)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ((), ["late", "early 1", "early 0"]),
        ((Comparison(CREATED, Op.GTE, NOW + 10),), ["late"]),
        ((Comparison(CREATED, Op.GT, NOW), Comparison(CREATED, Op.LT, NOW + 10)), []),
        ((Comparison(CREATED, Op.LTE, NOW),), ["early 1", "early 0"]),
        ((Comparison(CREATED, Op.EQ, NOW),), ["early 1", "early 0"]),
        ((Comparison(CREATED, Op.NEQ, NOW),), ["late"]),
        ((Comparison(CREATED, Op.IN, (NOW + 10,)),), ["late"]),
        ((Comparison(CREATED, Op.IS, None),), []),
        ((Comparison(DESK, Op.EQ, "a"),), ["early 1", "early 0"]),
        ((Comparison(DESK, Op.IS, None),), []),
        ((AnyOf((Comparison(DESK, Op.EQ, "a"), Comparison(DESK, Op.EQ, "b"))),), ["late", "early 1", "early 0"]),
        ((Comparison(Field("created_at", metadata=True), Op.EQ, "x"),), ["late"]),
    ],
)
async def test_rule_5_16_answers_are_found_by_time_and_metadata(
    database: Database, conditions: Sequence[Comparison | AnyOf], expected: list[str]
) -> None:
    def work(tx: Tx) -> None:
        put(tx, "early 0", "early 1", desk="a")
        put(tx, "late", at=NOW + 10, desk="b", created_at="x")
        put(tx, "somebody else's", org="org-b", desk="a")
        found = findings.get_results(tx, ORG, Filter(tuple(conditions)), None, 10)
        assert sorted(result for result, _ in found) == sorted(expected)
        assert all(metadata["desk"] in "ab" for _, metadata in found)

    await database.write(work)


async def test_answers_of_one_insight_and_not_too_many(database: Database) -> None:
    def work(tx: Tx) -> None:
        put(tx, "0", "1")
        put(tx, "2", "3", at=NOW + 1)
        assert [one for one, _ in findings.get_results(tx, ORG, Filter(), "i1", 10)] == ["3", "1"]
        assert [one for one, _ in findings.get_results(tx, ORG, Filter(), "i1", 1)] == ["3"]

    await database.write(work)
