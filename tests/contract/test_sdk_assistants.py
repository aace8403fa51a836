"""The life of assistants (contract, sections 5.1 to 5.5 and 6.1 to 6.2) by the vendor's SDK."""

import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from uuid import uuid4
from xml.etree import ElementTree

import pytest
import telnyx
from telnyx import Telnyx
from telnyx.types.ai import InferenceEmbedding
from tests.support import providers
from tests.support.providers import KEY
from tests.support.server import Server


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


def says(words: str) -> str:
    return f'else: say "{words}"'


@pytest.fixture
def desk(client: Telnyx) -> InferenceEmbedding:
    return client.ai.assistants.create(name=unique("desk"), instructions=says("main"), model="scripted", tags=["shop"])


def beside(client: Telnyx, desk: InferenceEmbedding, words: str, **given: Any) -> str:
    """The id of a version beside main that says these words."""
    written = client.ai.assistants.update(desk.id, instructions=says(words), promote_to_main=False, **given)
    assert written.version_id
    return written.version_id


def answered(client: Telnyx, desk: InferenceEmbedding, **metadata: str) -> tuple[str, str | None]:
    """What a new conversation says, and which version it got."""
    conversation = client.ai.conversations.create(metadata=metadata)
    said = client.ai.assistants.chat(desk.id, content="hello", conversation_id=conversation.id).content
    found = client.ai.conversations.retrieve(conversation.id).data
    assert found
    return said, found.metadata.get("assistant_version_id")


def listed(client: Telnyx) -> list[str]:
    return [one.id for one in client.ai.assistants.list().data]


def versions(client: Telnyx, desk: InferenceEmbedding) -> list[str | None]:
    return [one.version_id for one in client.ai.assistants.versions.list(desk.id).data]


# --- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.operation("ai.assistants.create", "ai.assistants.retrieve", "ai.assistants.update", "ai.assistants.list")
def test_an_assistant_is_made_seen_and_changed(client: Telnyx, desk: InferenceEmbedding) -> None:
    assert desk.version_name == "New assistant"
    assert desk.tags == ["shop"]
    assert desk.id in listed(client)
    renamed = client.ai.assistants.update(desk.id, name="renamed", version_name="second")
    assert (renamed.name, renamed.instructions, renamed.version_name) == ("renamed", desk.instructions, "second")
    assert renamed.version_id != desk.version_id
    found = client.ai.assistants.retrieve(desk.id)
    assert found == renamed
    assert [one for one in client.ai.assistants.list().data if one.id == desk.id] == [found]
    with pytest.raises(telnyx.UnprocessableEntityError):
        client.ai.assistants.update(desk.id, version_name="x" * 51)


@pytest.mark.operation(
    "ai.assistants.versions.list",
    "ai.assistants.versions.retrieve",
    "ai.assistants.versions.update",
    "ai.assistants.versions.delete",
    "ai.assistants.versions.promote",
)
def test_versions_are_listed_edited_promoted_and_removed(client: Telnyx, desk: InferenceEmbedding) -> None:
    assert desk.version_id
    api = client.ai.assistants.versions
    one, two = beside(client, desk, "one"), beside(client, desk, "two")
    assert versions(client, desk) == [two, one, desk.version_id]
    edited = api.update(one, assistant_id=desk.id, instructions=says("edited"), version_name="edited", tags=["all"])
    assert (edited.version_id, edited.version_name, edited.tags) == (one, "edited", ["all"])
    assert versions(client, desk) == [two, one, desk.version_id]
    found = api.retrieve(one, assistant_id=desk.id)
    assert found == edited
    with pytest.raises(telnyx.BadRequestError):
        api.update(desk.version_id, assistant_id=desk.id, name="x")
    with pytest.raises(telnyx.BadRequestError):
        api.delete(desk.version_id, assistant_id=desk.id)
    assert answered(client, desk) == ("main", desk.version_id)
    promoted = api.promote(one, assistant_id=desk.id)
    assert promoted == client.ai.assistants.retrieve(desk.id)
    assert answered(client, desk) == ("edited", one)
    api.delete(desk.version_id, assistant_id=desk.id)
    assert versions(client, desk) == [two, one]
    with pytest.raises(telnyx.NotFoundError):
        api.retrieve(desk.version_id, assistant_id=desk.id)


# --- canary deploys --------------------------------------------------------------------------------------------------


@pytest.mark.operation(
    "ai.assistants.canary_deploys.create",
    "ai.assistants.canary_deploys.retrieve",
    "ai.assistants.canary_deploys.update",
    "ai.assistants.canary_deploys.delete",
)
def test_a_canary_deploy_gives_other_versions_to_some_conversations(client: Telnyx, desk: InferenceEmbedding) -> None:
    api = client.ai.assistants.canary_deploys
    gold, vip = beside(client, desk, "gold"), beside(client, desk, "vip")
    match: Any = [{"attribute": "plan", "operator": "in", "values": ["gold"]}]
    begun = api.create(desk.id, rules=[{"match": match, "serve": {"version_id": gold}}])
    assert begun.assistant_id == desk.id
    assert begun.created_at == begun.updated_at
    assert begun.rules[0].serve.version_id == gold
    assert begun.rules[0].match
    assert begun.rules[0].match[0].to_dict() == match[0]
    assert api.retrieve(desk.id) == begun
    assert answered(client, desk, plan="gold") == ("gold", gold)
    assert answered(client, desk, plan="tin") == ("main", desk.version_id)

    target: Any = [{"attribute": "end_user_target", "operator": "starts_with", "values": ["+49"]}]
    replaced = api.update(
        desk.id,
        rules=[
            {"match": target, "serve": {"version_id": vip}},
            {"serve": {"rollout": [{"version_id": gold, "weight": 0}]}},
        ],
    )
    assert replaced.created_at == begun.created_at
    assert replaced.rules[1].serve.rollout
    assert replaced.rules[1].serve.rollout[0].weight == 0
    assert answered(client, desk, telnyx_end_user_target="+4930") == ("vip", vip)
    assert answered(client, desk, plan="gold") == ("main", desk.version_id)
    # What is served is locked.
    with pytest.raises(telnyx.BadRequestError):
        client.ai.assistants.versions.update(gold, assistant_id=desk.id, name="x")
    with pytest.raises(telnyx.BadRequestError):
        client.ai.assistants.versions.delete(vip, assistant_id=desk.id)
    api.delete(desk.id)
    assert answered(client, desk, telnyx_end_user_target="+4930") == ("main", desk.version_id)
    for missing in (lambda: api.retrieve(desk.id), lambda: api.update(desk.id, rules=[]), lambda: api.delete(desk.id)):
        with pytest.raises(telnyx.NotFoundError):
            missing()


@pytest.mark.operation("ai.assistants.canary_deploys.create", "ai.assistants.versions.promote")
def test_promoting_a_version_ends_the_canary_deploy(client: Telnyx, desk: InferenceEmbedding) -> None:
    api = client.ai.assistants.canary_deploys
    served, better = beside(client, desk, "served"), beside(client, desk, "better")
    api.create(desk.id, rules=[{"serve": {"version_id": served}}])
    with pytest.raises(telnyx.BadRequestError):
        api.create(desk.id, rules=[])
    client.ai.assistants.versions.promote(better, assistant_id=desk.id)
    with pytest.raises(telnyx.NotFoundError):
        api.retrieve(desk.id)
    assert answered(client, desk) == ("better", better)


def test_rules_that_make_no_sense(client: Telnyx, desk: InferenceEmbedding) -> None:
    api = client.ai.assistants.canary_deploys
    version = beside(client, desk, "beside")
    slot = {"version_id": version, "weight": 50}
    shapes: list[Any] = [
        [{}],
        [{"serve": {}}],
        [{"serve": {"version_id": version, "rollout": []}}],
        [{"serve": {"rollout": [slot, slot]}}],
        [{"serve": {"rollout": [{"version_id": version, "weight": -1}]}}],
        [{"serve": {"version_id": version}, "match": [{"attribute": "a", "values": ["b"]}]}],
        [{"serve": {"version_id": version}, "match": [{"attribute": "a", "operator": "in", "values": []}]}],
        [{"serve": {"version_id": version}, "match": [{"attribute": "a", "operator": "like", "values": ["b"]}]}],
    ]
    for rules in shapes:
        with pytest.raises(telnyx.UnprocessableEntityError):
            api.create(desk.id, rules=rules)
    for id_ in ("none", desk.version_id or ""):
        with pytest.raises(telnyx.BadRequestError) as failure:
            api.create(desk.id, rules=[{"serve": {"version_id": id_}}])
        assert failure.value.body["errors"][0]["source"] == {"pointer": "/rules"}  # type: ignore[index]
    with pytest.raises(telnyx.NotFoundError):
        api.retrieve(desk.id)


def test_rule_9_the_older_form_of_a_canary_deploy_is_understood(client: Telnyx, desk: InferenceEmbedding) -> None:
    version = beside(client, desk, "beside")
    path = f"/ai/assistants/{desk.id}/canary-deploys"
    older = {"versions": [{"version_id": version, "percentage": 12.5}]}
    slots = [{"version_id": version, "weight": 12.5}]
    begun = cast("dict[str, Any]", client.post(path, body=older, cast_to=object))
    assert begun["versions"] == older["versions"]
    assert begun["rules"] == [{"match": [], "serve": {"rollout": slots}}]
    newer = {"rules": [{"serve": {"version_id": version}}]}
    assert "versions" not in cast("dict[str, Any]", client.put(path, body=newer, cast_to=object))
    for wrong in ({**older, **newer}, {"versions": [{"version_id": version, "percentage": 100}]}):
        with pytest.raises(telnyx.UnprocessableEntityError):
            client.put(path, body=wrong, cast_to=object)


# --- tags ------------------------------------------------------------------------------------------------------------


@pytest.mark.operation("ai.assistants.tags.list", "ai.assistants.tags.add", "ai.assistants.tags.remove")
def test_tags_are_the_assistant_s(client: Telnyx, desk: InferenceEmbedding) -> None:
    odd = f"a/b c%{uuid4().hex} ü"
    assert client.ai.assistants.tags.add(desk.id, tag=odd).tags == ["shop", odd]
    assert client.ai.assistants.tags.add(desk.id, tag=odd).tags == ["shop", odd]
    assert odd in client.ai.assistants.tags.list().tags
    found = client.ai.assistants.retrieve(desk.id)
    assert (found.tags, found.version_id) == (["shop", odd], desk.version_id)
    assert versions(client, desk) == [desk.version_id]
    assert client.ai.assistants.tags.remove(odd, assistant_id=desk.id).tags == ["shop"]
    assert odd not in client.ai.assistants.tags.list().tags
    with pytest.raises(telnyx.NotFoundError):
        client.ai.assistants.tags.remove(odd, assistant_id=desk.id)


# --- deleted, back, copied -------------------------------------------------------------------------------------------


@pytest.mark.operation(
    "ai.assistants.delete", "ai.assistants.restore", "ai.assistants.deleted.list", "ai.assistants.deleted.get"
)
def test_a_deleted_assistant_comes_back_unless_it_is_gone_for_good(client: Telnyx, desk: InferenceEmbedding) -> None:
    done = client.ai.assistants.delete(desk.id)
    assert (done.id, done.object, done.deleted) == (desk.id, "assistant.deleted", True)
    assert desk.id not in listed(client)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.assistants.retrieve(desk.id)
    page = client.ai.assistants.deleted.list(page_size=1)
    assert page.data
    assert page.data[0].id == desk.id
    assert page.meta
    assert page.meta.page_number == 1
    gone = client.ai.assistants.deleted.get(desk.id)
    assert gone == page.data[0]
    assert (gone.permanently_deleted_at - gone.deleted_at).days == 30
    assert client.ai.assistants.restore(desk.id) == desk
    assert client.ai.assistants.retrieve(desk.id) == desk
    with pytest.raises(telnyx.NotFoundError):
        client.ai.assistants.deleted.get(desk.id)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.assistants.restore(desk.id)
    assert client.ai.assistants.delete(desk.id, hard_delete=True).deleted is True
    for missing in (client.ai.assistants.deleted.get, client.ai.assistants.restore, client.ai.assistants.delete):
        with pytest.raises(telnyx.NotFoundError):
            missing(desk.id)


@pytest.mark.operation("ai.assistants.delete")
def test_who_is_handed_conversations_cannot_be_deleted(client: Telnyx, desk: InferenceEmbedding) -> None:
    target: Any = {"type": "assistant", "assistant_id": desk.id}
    flow: Any = {
        "start_node_id": "a",
        "nodes": [{"id": "a", "instructions": "Talk."}],
        "edges": [{"id": "e", "start_node_id": "a", "condition": {"type": "llm", "prompt": "x"}, "target": target}],
    }
    handoff: Any = {"type": "handoff", "handoff": {"ai_assistants": [{"id": desk.id, "name": "desk"}]}}
    referrers = [
        client.ai.assistants.create(name=unique("flow"), instructions="", conversation_flow=flow),
        client.ai.assistants.create(name=unique("tool"), instructions="", tools=[handoff]),
    ]
    for hard in (False, True):
        with pytest.raises(telnyx.BadRequestError) as failure:
            client.ai.assistants.delete(desk.id, hard_delete=hard)
        assert all(one.name in str(failure.value) for one in referrers)
    for one in referrers:
        client.ai.assistants.delete(one.id)
    client.ai.assistants.delete(desk.id)
    with pytest.raises(telnyx.BadRequestError) as failure:
        client.ai.assistants.create(name=unique("late"), instructions="", conversation_flow=flow)
    assert failure.value.body["errors"][0]["source"] == {"pointer": "/conversation_flow"}  # type: ignore[index]


@pytest.mark.operation("ai.assistants.clone")
def test_a_clone_has_everything_but_its_own_lines(client: Telnyx) -> None:
    desk = client.ai.assistants.create(
        name=unique("desk"),
        instructions=says("hello"),
        model="scripted",
        greeting="Hi",
        tags=["a"],
        tools=[{"type": "hangup", "hangup": {"description": "Bye."}}],
        dynamic_variables={"shop": "Birch"},
        telephony_settings={"time_limit_secs": 60},
        messaging_settings={"conversation_inactivity_minutes": 5},
    )
    key = uuid4().hex
    copy = client.ai.assistants.clone(desk.id, idempotency_key=key)
    assert client.ai.assistants.clone(desk.id, idempotency_key=key) == copy
    assert copy.id != desk.id
    assert copy.name == f"{desk.name} (copy)"
    same = ("instructions", "greeting", "tags", "tools", "dynamic_variables", "model", "version_name")
    assert [getattr(copy, field) for field in same] == [getattr(desk, field) for field in same]
    assert copy.telephony_settings
    assert copy.telephony_settings.time_limit_secs is None
    assert desk.telephony_settings
    assert copy.telephony_settings.default_texml_app_id != desk.telephony_settings.default_texml_app_id
    assert copy.messaging_settings
    assert copy.messaging_settings.conversation_inactivity_minutes is None
    assert versions(client, copy) == [copy.version_id]
    assert answered(client, copy)[1] == copy.version_id


@pytest.mark.operation("ai.assistants.get_texml")
def test_the_document_that_connects_a_call(client: Telnyx, desk: InferenceEmbedding) -> None:
    response = client.ai.assistants.with_raw_response.get_texml(desk.id)
    assert response.headers["content-type"].startswith("application/xml")
    root = ElementTree.fromstring(client.ai.assistants.get_texml(desk.id))
    assert root.tag == "Response"
    [connected] = root.findall("./Connect/AIAssistant")
    assert connected.attrib == {"id": desk.id}


# --- variables -------------------------------------------------------------------------------------------------------


@contextmanager
def opener(seen: list[Any]) -> Generator[str]:
    """A webhook that is asked for variables."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            body = json.dumps({"dynamic_variables": {"name": "Ann"}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/variables"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.operation("ai.assistants.retrieve")
def test_variables_are_resolved_for_who_asks_for_it(client: Telnyx) -> None:
    seen: list[Any] = []
    with opener(seen) as url:
        desk = client.ai.assistants.create(
            name=unique("desk"),
            instructions="Help.",
            dynamic_variables={"name": "nobody", "shop": "Birch"},
            dynamic_variables_webhook_url=url,
        )
        assert client.ai.assistants.retrieve(desk.id).dynamic_variables == {"name": "nobody", "shop": "Birch"}
        assert seen == []
        found = client.ai.assistants.retrieve(
            desk.id,
            fetch_dynamic_variables_from_webhook=True,
            from_="+15550100",
            to="+15550101",
            call_control_id="call-1",
        )
    assert found.dynamic_variables == {"name": "Ann", "shop": "Birch"}
    payload = seen[0]["data"]["payload"]
    ends = ("telnyx_end_user_target", "telnyx_agent_target", "call_control_id", "assistant_id")
    assert [payload[key] for key in ends] == ["+15550100", "+15550101", "call-1", desk.id]
    # Nobody listens there any more, and the assistant's own variables are what is left.
    late = client.ai.assistants.retrieve(desk.id, fetch_dynamic_variables_from_webhook=True)
    assert late.dynamic_variables == {"name": "nobody", "shop": "Birch"}


# --- imports ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_ref(client: Telnyx) -> str:
    identifier = uuid4().hex
    client.integration_secrets.create(identifier=identifier, type="bearer", token=KEY)
    return identifier


@pytest.mark.operation("ai.assistants.imports")
@pytest.mark.parametrize("provider", ["elevenlabs", "vapi", "retell"])
def test_assistants_are_imported_and_overwritten_when_they_are_imported_again(
    client: Telnyx, key_ref: str, provider: Any
) -> None:
    ids: dict[str, list[str]] = {
        "elevenlabs": [providers.ELEVENLABS_AGENT["agent_id"], "agent_two"],
        "vapi": [providers.VAPI_ASSISTANT["id"], providers.VAPI_OTHER["id"]],
        "retell": [providers.RETELL_AGENT["agent_id"], "agent_chat"],
    }
    whole = client.ai.assistants.imports(provider=provider, api_key_ref=key_ref)
    first = whole.data[0]
    came_from = [one.import_metadata for one in whole.data]
    assert [one.import_id for one in came_from if one] == ids[provider]
    assert {one.import_provider for one in came_from if one} == {provider}
    # What cannot be had here is named, and does not keep the others away.
    assert ("skipped" in whole.to_dict()) is (provider != "vapi")
    assert client.ai.assistants.retrieve(first.id) == first
    assert first.voice_settings
    assert first.voice_settings.voice.startswith("ElevenLabs.")
    kinds = {tool.type for tool in first.tools or ()}
    assert {"webhook", "hangup", "transfer"} <= kinds

    client.ai.assistants.tags.add(first.id, tag="mine")
    client.ai.assistants.update(first.id, name="changed here")
    before = versions(client, first)
    again = client.ai.assistants.imports(provider=provider, api_key_ref=key_ref, import_ids=ids[provider][:1])
    [one] = again.data
    assert (one.id, one.name, one.tags) == (first.id, first.name, ["mine"])
    assert versions(client, first) == [one.version_id, *before]
    assert client.ai.assistants.retrieve(first.id) == one
    # A response is good to be sent back.
    back = client.ai.assistants.update(first.id, tools=cast("Any", one.to_dict())["tools"])
    assert back.tools == one.tools
    for imported in whole.data:
        client.ai.assistants.delete(imported.id, hard_delete=True)


def test_imports_that_cannot_be_made(client: Telnyx, key_ref: str) -> None:
    wrong = uuid4().hex
    client.integration_secrets.create(identifier=wrong, type="bearer", token="nonsense")
    before = sorted(listed(client))
    known, flow = providers.RETELL_AGENT["agent_id"], "agent_flow"
    attempts: list[tuple[str, Any, str]] = [
        (key_ref, [known, "none"], "/import_ids"),
        (key_ref, [known, flow], "/import_ids"),
        (wrong, [known], "/api_key_ref"),
        ("none", [known], "/api_key_ref"),
    ]
    for ref, ids, pointer in attempts:
        with pytest.raises(telnyx.BadRequestError) as failure:
            client.ai.assistants.imports(provider="retell", api_key_ref=ref, import_ids=ids)
        assert failure.value.body["errors"][0]["source"] == {"pointer": pointer}  # type: ignore[index]
    shapes: list[dict[str, Any]] = [{"provider": "other"}, {"import_ids": []}, {"import_ids": [""]}]
    for given in shapes:
        body: Any = {"provider": "retell", "api_key_ref": key_ref, **given}
        with pytest.raises(telnyx.UnprocessableEntityError):
            client.ai.assistants.imports(**body)
    assert sorted(listed(client)) == before
