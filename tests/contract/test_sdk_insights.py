"""Insights and their groups by the vendor's own SDK (contract, sections 5.15, 5.16 and 6.7)."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
import telnyx
from telnyx import Telnyx
from telnyx.types.ai.conversation_retrieve_conversations_insights_response import Data as Finding
from telnyx.types.ai.conversations import InsightTemplate, InsightTemplateGroup
from tests.support.server import Server
from tests.support.store import a_version, said

from vivavoce.core.assistant import Templating
from vivavoce.core.event import Millis
from vivavoce.core.insight import MANAGED
from vivavoce.core.transcript import Transcript
from vivavoce.models.scripted.insights import summary
from vivavoce.services import findings
from vivavoce.services.context import Context
from vivavoce.services.keys import ORG
from vivavoce.storage import conversations, duties
from vivavoce.storage.database import Tx, connect

PATIENCE_S = 30.0
SCHEMA: dict[str, object] = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key,
        base_url=f"{live_server.url}/v2",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def unique(name: str) -> str:
    return f"{name} {uuid4().hex}"


@pytest.fixture
def insight(client: Telnyx) -> InsightTemplate:
    made = client.ai.conversations.insights.create(name=unique("mood"), instructions="How was it?", json_schema=SCHEMA)
    return made.data


@pytest.fixture
def group(client: Telnyx) -> InsightTemplateGroup:
    return client.ai.conversations.insight_groups.insight_groups(name=unique("after"), description="d").data


# --- insights -------------------------------------------------------------------------------------------------------


@pytest.mark.operation("ai.conversations.insights.create", "ai.conversations.insights.retrieve")
@pytest.mark.parametrize("schema", [SCHEMA, json.dumps(SCHEMA, indent=2)], ids=["object", "text"])
def test_an_insight_is_kept_as_it_was_sent(client: Telnyx, schema: dict[str, object] | str) -> None:
    made = client.ai.conversations.insights.create(
        name="mood", instructions="How was {{it}}?", json_schema=schema, webhook="https://hooks.example/x"
    ).data
    assert (made.name, made.instructions, made.webhook) == ("mood", "How was {{it}}?", "https://hooks.example/x")
    assert (made.json_schema, made.insight_type) == (schema, "custom")
    assert client.ai.conversations.insights.retrieve(made.id).data == made
    plain = client.ai.conversations.insights.create(name="plain", instructions="?").data
    assert (plain.json_schema, plain.webhook) == (None, "")


@pytest.mark.operation("ai.conversations.insights.create")
def test_an_insight_is_made_once_for_a_key(client: Telnyx) -> None:
    name, key = unique("once"), uuid4().hex
    made = [
        client.ai.conversations.insights.create(name=name, instructions="?", idempotency_key=key).data for _ in range(2)
    ]
    assert made[0] == made[1]
    assert [one.name for one in client.ai.conversations.insights.list()].count(name) == 1


@pytest.mark.parametrize("schema", [{"type": "objekt"}, {"type": "array"}, '{"type": 5}'])
def test_a_schema_that_is_none_is_refused(
    client: Telnyx, insight: InsightTemplate, schema: dict[str, object] | str
) -> None:
    with pytest.raises(telnyx.BadRequestError) as refused:
        client.ai.conversations.insights.create(name="x", instructions="?", json_schema=schema)
    assert '"/json_schema"' in refused.value.response.text.replace(" ", "")
    with pytest.raises(telnyx.BadRequestError):
        client.ai.conversations.insights.update(insight.id, name="changed", json_schema=schema)
    assert client.ai.conversations.insights.retrieve(insight.id).data == insight


@pytest.mark.operation("ai.conversations.insights.update")
def test_an_update_changes_what_it_names(client: Telnyx, insight: InsightTemplate) -> None:
    renamed = client.ai.conversations.insights.update(insight.id, name="new").data
    assert renamed == insight.model_copy(update={"name": "new"})
    changed = client.ai.conversations.insights.update(insight.id, instructions="New?", json_schema="").data
    assert (changed.name, changed.instructions, changed.json_schema) == ("new", "New?", "")
    assert client.ai.conversations.insights.retrieve(insight.id).data == changed


@pytest.mark.operation("ai.conversations.insights.delete")
def test_a_deleted_insight_is_gone_also_from_its_groups(
    client: Telnyx, insight: InsightTemplate, group: InsightTemplateGroup
) -> None:
    client.ai.conversations.insight_groups.insights.assign(insight.id, group_id=group.id)
    client.ai.conversations.insights.delete(insight.id)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.conversations.insights.retrieve(insight.id)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.conversations.insights.delete(insight.id)
    assert client.ai.conversations.insight_groups.retrieve(group.id).data.insights == []


@pytest.mark.operation("ai.conversations.insights.list")
def test_the_list_is_newest_first_and_the_server_s_own_stand_last(client: Telnyx, insight: InsightTemplate) -> None:
    newer = client.ai.conversations.insights.create(name="newer", instructions="?").data
    first = client.ai.conversations.insights.list(page_size=1)
    assert first.meta is not None
    assert [one.id for one in first.data or ()] == [newer.id]
    assert first.meta.model_dump()["total_results"] == first.meta.total_pages
    found = list(client.ai.conversations.insights.list(page_size=7))
    assert [one.id for one in found[:2]] == [newer.id, insight.id]
    assert [(one.name, one.insight_type) for one in found[-2:]] == [(one.name, "default") for one in MANAGED]
    assert len({one.id for one in found}) == len(found)


@pytest.mark.operation("ai.conversations.insights.retrieve")
def test_rule_6_7_the_server_s_own_insights_cannot_be_changed(client: Telnyx) -> None:
    for one in MANAGED:
        before = client.ai.conversations.insights.retrieve(one.id).data
        with pytest.raises(telnyx.BadRequestError):
            client.ai.conversations.insights.update(one.id, name="mine")
        with pytest.raises(telnyx.BadRequestError):
            client.ai.conversations.insights.delete(one.id)
        assert client.ai.conversations.insights.retrieve(one.id).data == before


# --- groups ---------------------------------------------------------------------------------------------------------


@pytest.mark.operation(
    "ai.conversations.insight_groups.insight_groups",
    "ai.conversations.insight_groups.retrieve",
    "ai.conversations.insight_groups.retrieve_insight_groups",
    "ai.conversations.insight_groups.update",
    "ai.conversations.insight_groups.delete",
)
def test_groups_are_made_found_changed_and_deleted(client: Telnyx) -> None:
    groups, key = client.ai.conversations.insight_groups, uuid4().hex
    made = [groups.insight_groups(name="g", webhook="https://hooks.example/g", idempotency_key=key) for _ in range(2)]
    group = made[0].data
    assert made[1].data == group
    assert (group.name, group.description, group.webhook, group.insights) == ("g", "", "https://hooks.example/g", [])
    assert groups.retrieve(group.id).data == group
    found = list(groups.retrieve_insight_groups(page_size=3))
    assert [one.id for one in found].count(group.id) == 1
    changed = groups.update(group.id, description="new").data
    assert changed == group.model_copy(update={"description": "new"})
    assert next(iter(groups.retrieve_insight_groups())) == changed
    groups.delete(group.id)
    for again in (groups.retrieve, groups.delete):
        with pytest.raises(telnyx.NotFoundError):
            again(group.id)


@pytest.mark.operation(
    "ai.conversations.insight_groups.insights.assign", "ai.conversations.insight_groups.insights.delete_unassign"
)
def test_insights_are_put_into_groups_and_taken_out(
    client: Telnyx, insight: InsightTemplate, group: InsightTemplateGroup
) -> None:
    members = client.ai.conversations.insight_groups.insights

    def inside() -> list[str]:
        return [one.id for one in client.ai.conversations.insight_groups.retrieve(group.id).data.insights or ()]

    for _ in range(2):
        members.assign(insight.id, group_id=group.id)
        members.assign(MANAGED[1].id, group_id=group.id)
    assert inside() == [MANAGED[1].id, insight.id]
    client.ai.conversations.insight_groups.update(group.id, name="renamed")
    assert inside() == [MANAGED[1].id, insight.id]
    members.delete_unassign(insight.id, group_id=group.id)
    members.delete_unassign(MANAGED[1].id, group_id=group.id)
    assert inside() == []
    with pytest.raises(telnyx.NotFoundError):
        members.delete_unassign(insight.id, group_id=group.id)
    assert client.ai.conversations.insights.retrieve(insight.id).data == insight


# --- what they find -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Now:
    """The time."""

    def now(self) -> Millis:
        return time.time_ns() // 1_000_000

    def ticks(self) -> float:
        return time.monotonic()


def finding_of(client: Telnyx, conversation_id: str) -> Finding:
    """The conversation's one finding, when it is done."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = client.ai.conversations.retrieve_conversations_insights(conversation_id)
        if found.data and found.data[0].status in ("completed", "failed"):
            assert (found.meta.page_number, found.meta.total_results) == (1, 1)
            return found.data[0]
        assert time.monotonic() < deadline, found


Ask = Callable[..., tuple[str, Finding]]


@pytest.fixture
def ask(client: Telnyx, live_server: Server) -> Ask:
    """Has the server ask a group of a conversation, as it does by itself when one is over.

    ``ask(group's id, *words of the caller, **metadata)`` returns the conversation's id and what was found.
    """
    ctx = cast("Context", SimpleNamespace(new_id=lambda: str(uuid4()), clock=Now()))

    async def leave(work: Callable[[Tx], None]) -> None:
        database = connect(live_server.database_url)
        try:
            await database.write(work)
        finally:
            database.close()

    def ask(group_id: str, *words: str, **metadata: str) -> tuple[str, Finding]:
        conversation = client.ai.conversations.create(metadata=metadata)
        version = a_version(insight_group=group_id, templating=Templating("telnyx_"))
        wanted = findings.prepared(ctx, ORG, conversation.id, version)
        assert wanted is not None

        def work(tx: Tx) -> None:
            conversations.append(tx, conversation.id, [said(one) for one in words], Now().now())
            duties.want(tx, wanted)

        asyncio.run(leave(work))
        found = finding_of(client, conversation.id)
        assert found.id == wanted.subject
        return conversation.id, found

    return ask


@pytest.fixture
def scored(client: Telnyx, group: InsightTemplateGroup) -> Callable[[object], str]:
    """Puts an insight into the group that is always answered with this score; returns its id."""

    def scored(score: object) -> str:
        script = f"How was it?\nanswer {json.dumps({'score': score})}"
        made = client.ai.conversations.insights.create(name="mood", instructions=script, json_schema=SCHEMA).data
        client.ai.conversations.insight_groups.insights.assign(made.id, group_id=group.id)
        return made.id

    return scored


@pytest.mark.operation("ai.conversations.retrieve_conversations_insights")
def test_a_conversation_that_is_over_has_findings(
    client: Telnyx, group: InsightTemplateGroup, scored: Callable[[object], str], ask: Ask
) -> None:
    score = scored(4)
    words = client.ai.conversations.insights.create(name="facts", instructions="What happened?").data
    for one in (words.id, MANAGED[1].id):
        client.ai.conversations.insight_groups.insights.assign(one, group_id=group.id)
    _, found = ask(group.id, "hello", "bye")
    counted = summary(Transcript((said("hello"), said("bye"))))
    assert found.status == "completed"
    assert [one.insight_id for one in found.conversation_insights] == [MANAGED[1].id, score, words.id]
    rated, scored_, told = (one.result for one in found.conversation_insights)
    assert json.loads(rated) == {"score": "N/A", "explanation": counted}
    assert json.loads(scored_) == {"score": 4}
    assert told == counted


@pytest.mark.operation("ai.conversations.retrieve_conversations_insights")
def test_rule_6_7_the_assistant_s_group_is_asked_when_a_conversation_is_over(
    client: Telnyx, group: InsightTemplateGroup
) -> None:
    insight = client.ai.conversations.insights.create(name="shop", instructions='answer "{{shop}} it was"').data
    client.ai.conversations.insight_groups.insights.assign(insight.id, group_id=group.id)
    assistant = client.ai.assistants.create(
        name=unique("clerk"),
        instructions='on hear "hi": say "Hello."',
        model="scripted",
        dynamic_variables={"shop": "Birch"},
        insight_settings={"insight_group_id": group.id},
    )
    test = client.ai.assistants.tests.create(
        name="short",
        destination=assistant.id,
        instructions='on start: say "hi"; hang up',
        rubric=[{"name": "greets", "criteria": 'says "Hello"'}],
        telnyx_conversation_channel="web_chat",
    )
    run = client.ai.assistants.tests.runs.trigger(test.test_id)
    deadline = time.monotonic() + PATIENCE_S
    while run.status not in ("passed", "failed", "error"):
        assert time.monotonic() < deadline, run
        run = client.ai.assistants.tests.runs.retrieve(run.run_id, test_id=test.test_id)
    assert run.conversation_id
    found = finding_of(client, run.conversation_id)
    assert [(one.insight_id, one.result) for one in found.conversation_insights] == [(insight.id, "Birch it was")]
    assert run.conversation_insights_id == found.id


@pytest.mark.operation("ai.conversations.retrieve_conversations_insights")
def test_an_insight_that_is_not_answered_fails_the_finding(
    group: InsightTemplateGroup, scored: Callable[[object], str], ask: Ask
) -> None:
    good, _ = scored(4), scored("not a number")
    _, found = ask(group.id, "hello")
    assert found.status == "failed"
    assert [one.insight_id for one in found.conversation_insights] == [good]
    assert "is not of type 'integer'" in str((found.model_extra or {})["reason"])


@pytest.mark.operation("ai.conversations.retrieve_conversations_insights")
def test_a_conversation_that_goes_on_has_no_findings(client: Telnyx) -> None:
    conversation = client.ai.conversations.create()
    found = client.ai.conversations.retrieve_conversations_insights(conversation.id)
    assert (found.data, found.meta.total_pages, found.meta.total_results) == ([], 0, 0)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.conversations.retrieve_conversations_insights(str(uuid4()))


@pytest.mark.operation("ai.conversations.conversation_insights.retrieve_aggregates")
def test_rule_5_16_answers_are_counted(
    client: Telnyx, group: InsightTemplateGroup, scored: Callable[[object], str], ask: Ask
) -> None:
    retrieve = client.ai.conversations.conversation_insights.retrieve_aggregates
    insight_id, mine = scored(4), unique("assistant")
    ask(group.id, "hello", assistant_id=mine, desk="a")
    ask(group.id, "hello", assistant_id=mine, desk="b")
    client.ai.conversations.insights.update(insight_id, instructions='answer {"score": 5}')
    _, last = ask(group.id, "hello", assistant_id=mine, desk="a")
    ask(group.id, "hello", assistant_id=unique("another"), desk="a")

    def rows(**query: Any) -> list[dict[str, Any]]:
        return [one.model_dump() for one in retrieve(insight_id=insight_id, **query).data]

    assert rows() == [{"record_count": 4}]
    scope: dict[str, Any] = {"metadata": {"assistant_id": f"eq.{mine}"}}
    assert rows(**scope) == [{"record_count": 3}]
    assert rows(**scope, group_by=["score"]) == [{"score": 4, "record_count": 2}, {"score": 5, "record_count": 1}]
    assert rows(**scope, group_by=["metadata.desk"], show=["score"]) == [
        {"metadata.desk": "a", "score": 4, "record_count": 1},
        {"metadata.desk": "a", "score": 5, "record_count": 1},
        {"metadata.desk": "b", "score": 4, "record_count": 1},
    ]
    assert rows(extra_query={"metadata.assistant_id": f"eq.{mine}"}) == [{"record_count": 3}]
    since = last.created_at.isoformat(timespec="milliseconds")
    assert rows(**scope, created_at=f"gte.{since}", group_by=["score"]) == [{"score": 5, "record_count": 1}]
    assert rows(**scope, created_at=f"lt.{since}", group_by=["score"]) == [{"score": 4, "record_count": 2}]
    assert retrieve(insight_id=str(uuid4())).data[0].record_count == 0
    assert retrieve(insight_id=str(uuid4()), group_by=["score"]).data == []
    for wrong in ({"created_at": "yesterday"}, {"group_by": [""]}, {"metadata": {"assistant_id": mine}}):
        with pytest.raises(telnyx.BadRequestError):
            rows(**wrong)
    with pytest.raises(telnyx.UnprocessableEntityError):
        retrieve(insight_id="x")


class Hook(BaseHTTPRequestHandler):
    """Takes webhooks."""

    def do_POST(self) -> None:  # the library's name
        body = self.rfile.read(int(self.headers["content-length"]))
        cast("Any", self.server).seen.put((self.headers, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing."""


@pytest.mark.operation("ai.conversations.insight_groups.update")
def test_rule_6_7_a_group_s_webhook_hears_of_its_answers(
    client: Telnyx, group: InsightTemplateGroup, scored: Callable[[object], str], ask: Ask
) -> None:
    insight_id, seen = scored(4), Queue[tuple[Any, Any]]()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        cast("Any", hook).seen = seen
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{hook.server_address[1]}/"
        client.ai.conversations.insight_groups.update(group.id, webhook=url)
        conversation_id, _ = ask(group.id, "hello")
        headers, payload = seen.get(timeout=PATIENCE_S)
        hook.shutdown()
    assert headers["telnyx-signature-ed25519"]
    assert payload == {
        "event_type": "conversation.insights.completed",
        "conversation_id": conversation_id,
        "insight_group_id": group.id,
        "insight_group_name": group.name,
        "insights": [{"insight_id": insight_id, "insight_name": "mood", "result": '{"score": 4}'}],
    }
