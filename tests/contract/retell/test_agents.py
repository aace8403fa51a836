"""Agents, their versions, voices and concurrency (contract, sections 8 and 12), with the vendor's Python SDK."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import retell
from tests.support.raw import send, send_json
from tests.support.retell_scenes import find_tool, shop
from tests.support.retell_sdk import PATIENCE_S, complete, connected, define, engine_of, has, raw
from tests.support.server import Server


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


def an_llm(client: Any, **fields: Any) -> Any:
    return client.llm.create(**{"start_speaker": "agent", "general_prompt": "Be kind.", **fields})


def version_page(client: Any, agent_id: str, **query: Any) -> dict[str, Any]:
    """Which the older release knows nothing of."""
    if has(client, "agent.list_versions"):
        return client.agent.list_versions(agent_id, **query).to_dict()
    return raw(client, "GET", f"/list-agent-versions/{agent_id}", query=query)


def every_version(client: Any, resource: str, agent_id: str) -> list[dict[str, Any]]:
    """Which the newest release knows nothing of any more."""
    if has(client, f"{resource}.get_versions"):
        return [one.to_dict() for one in getattr(client, resource).get_versions(agent_id)]
    return raw(client, "GET", f"/get-{resource.replace('_', '-')}-versions/{agent_id}")


def an_agent(client: Any, resource: str, llm: Any, **fields: Any) -> str:
    voice = {"voice_id": "v"} if resource == "agent" else {}
    return getattr(client, resource).create(response_engine=engine_of(llm), **voice, **fields).agent_id


@pytest.mark.operation("agent.create", "agent.retrieve", "agent.update", "agent.delete")
def test_section_8_an_agent_is_kept_with_all_its_settings(client: Any) -> None:
    llm = an_llm(client)
    settings = {"voice_speed": 1.5, "boosted_keywords": ["birch"], "timezone": "Europe/Berlin", "volume": 1}
    made = client.agent.create(response_engine=engine_of(llm), voice_id="nobody-s", agent_name="Birch", **settings)
    assert (made.version, made.is_published, made.voice_id) == (0, False, "nobody-s")
    assert made.response_engine.to_dict() == {**engine_of(llm), "version": 0}
    assert settings.items() <= made.to_dict().items()
    assert client.agent.retrieve(made.agent_id) == made
    assert client.agent.retrieve(made.agent_id, version="latest") == made
    changed = client.agent.update(made.agent_id, version=0, volume=2, version_title="louder")
    assert (changed.volume, changed.voice_speed, changed.version_title) == (2, 1.5, "louder")
    assert client.agent.retrieve(made.agent_id) == changed
    client.agent.delete(made.agent_id)
    with pytest.raises(retell.UnprocessableEntityError):
        client.agent.retrieve(made.agent_id)
    assert client.llm.retrieve(llm.llm_id).llm_id == llm.llm_id


def live_through_versions(client: Any, resource: str) -> None:
    """Publish, branch and drop versions of an agent, all with the methods of one resource."""
    agents, llm = getattr(client, resource), an_llm(client)
    agent = an_agent(client, resource, llm, agent_name="Birch")

    def versions() -> list[tuple[int, bool, int | None]]:
        rows = every_version(client, resource, agent)
        assert {(one["agent_id"], one["agent_name"]) for one in rows} == {(agent, "Birch")}
        return [(one["version"], one["is_published"], one["response_engine"]["version"]) for one in rows]

    assert versions() == [(0, False, 0)]
    agents.publish(agent, version=0, version_title="first", version_description="the first one")
    agents.publish(agent, version=0)
    assert versions() == [(0, True, 0)]
    assert client.llm.retrieve(llm.llm_id).is_published is True
    for edit in (
        lambda: agents.update(agent, agent_name="Oak"),
        lambda: client.llm.update(llm.llm_id, general_prompt="x"),
    ):
        with pytest.raises(retell.BadRequestError):
            edit()
    draft = agents.create_version(agent, base_version=0)
    assert (draft.version, draft.base_version, draft.is_published) == (1, 0, False)
    assert draft.response_engine.version == 1
    assert versions() == [(1, False, 1), (0, True, 0)]
    assert client.llm.update(llm.llm_id, general_prompt="Be quick.").version == 1
    assert client.llm.retrieve(llm.llm_id, version=0).general_prompt == "Be kind."
    assert agents.retrieve(agent) == draft
    assert agents.retrieve(agent, version="latest_published").version == 0
    assert agents.retrieve(agent, version=0).version_description == "the first one"
    agents.delete_version(agent, version=1)
    assert versions() == [(0, True, 0)]
    assert agents.retrieve(agent).version == 0
    assert client.llm.retrieve(llm.llm_id).version == 0


@pytest.mark.operation(
    "agent.publish", "agent.create_version", "agent.delete_version", "agent.get_versions", "agent.retrieve"
)
def test_section_8_versions_of_an_agent_and_its_engine_go_together(client: Any) -> None:
    live_through_versions(client, "agent")


@pytest.mark.operation(
    "chat_agent.publish",
    "chat_agent.create_version",
    "chat_agent.delete_version",
    "chat_agent.get_versions",
    "chat_agent.retrieve",
)
def test_section_8_versions_of_a_chat_agent_and_its_engine_go_together(client: Any) -> None:
    live_through_versions(client, "chat_agent")


@pytest.mark.operation("agent.list_versions")
def test_section_8_versions_are_listed_page_by_page(client: Any) -> None:
    agent = an_agent(client, "agent", an_llm(client))
    client.agent.publish(agent, version=0, version_title="first", version_description="the first one")
    client.agent.create_version(agent, base_version=0)
    page = version_page(client, agent, limit=1)
    [newest] = page["items"]
    assert (page["has_more"], newest["version"], newest["base_version"], newest["is_published"]) == (True, 1, 0, False)
    page = version_page(client, agent, limit=1, pagination_key=page["pagination_key"])
    [oldest] = page["items"]
    assert (page["has_more"], "pagination_key" in page) == (False, False)
    assert (oldest["version"], oldest["is_published"]) == (0, True)
    assert (oldest["version_title"], oldest["version_description"]) == ("first", "the first one")
    [first, second] = version_page(client, agent, sort_order="ascending")["items"]
    assert (first, second) == (oldest, newest)


def test_section_1_1_versions_that_are_not_there_or_in_no_state_for_it(client: Any, live_server: Server) -> None:
    agent = client.agent.create(response_engine=engine_of(an_llm(client)), voice_id="v").agent_id
    for named in (1, -1, "prod", "latest_published", 2**62, "9" * 60):
        with pytest.raises(retell.UnprocessableEntityError):
            client.agent.retrieve(agent, version=named)
    for missing in (
        lambda: client.agent.create_version(agent, base_version=1),
        lambda: client.agent.publish(agent, version=1),
        lambda: client.agent.delete_version(agent, version=2**62),
    ):
        with pytest.raises(retell.NotFoundError):
            missing()
    with pytest.raises(retell.UnprocessableEntityError, match="only version"):
        client.agent.delete_version(agent, version=0)
    more = send_json(live_server, "POST", f"/create-agent-version/{agent}", {"base_version": 0, "odd": 1})
    assert more.status == 400
    bad_key = send(live_server, "GET", f"/list-agent-versions/{agent}?pagination_key=YWdlbnQtdmVyc2lvbnM6eA")
    assert bad_key.status == 400


def test_section_1_1_an_agent_needs_an_engine_that_is_there(client: Any) -> None:
    llm = an_llm(client)
    digits = llm.llm_id.removeprefix("llm_")
    for engine in (
        {"type": "retell-llm", "llm_id": "llm_0123456789ab"},
        engine_of(llm, 3),
        {"type": "conversation-flow", "conversation_flow_id": f"conversation_flow_{digits}"},
    ):
        with pytest.raises(retell.UnprocessableEntityError):
            client.agent.create(response_engine=engine, voice_id="v")
        with pytest.raises(retell.UnprocessableEntityError):
            client.chat_agent.create(response_engine=engine)
    foreign = {"type": "custom-llm", "llm_websocket_url": "wss://a.example"}
    made = client.agent.create(response_engine=foreign, voice_id="v")
    assert made.response_engine.to_dict() == foreign


@pytest.mark.operation("chat_agent.create", "chat_agent.retrieve", "chat_agent.update", "chat_agent.delete")
def test_section_8_agents_of_one_channel_are_none_of_the_other(client: Any) -> None:
    engine = engine_of(an_llm(client))
    chat = client.chat_agent.create(response_engine=engine, auto_close_message="Bye.", end_chat_after_silence_ms=120000)
    voice = client.agent.create(response_engine=engine, voice_id="v")
    for refused in (
        lambda: client.agent.retrieve(chat.agent_id),
        lambda: client.agent.update(chat.agent_id, volume=1),
        lambda: client.agent.delete(chat.agent_id),
        lambda: client.chat_agent.retrieve(voice.agent_id),
        lambda: client.chat_agent.update(voice.agent_id, auto_close_message="x"),
        lambda: client.chat_agent.delete(voice.agent_id),
    ):
        with pytest.raises(retell.UnprocessableEntityError):
            refused()
    assert client.chat_agent.update(chat.agent_id, agent_name="Oak").auto_close_message == "Bye."
    assert client.chat_agent.retrieve(chat.agent_id).agent_name == "Oak"
    client.chat_agent.delete(chat.agent_id)
    with pytest.raises(retell.UnprocessableEntityError):
        client.chat_agent.retrieve(chat.agent_id)


@pytest.mark.operation("agent.list", "chat_agent.list")
@pytest.mark.parametrize("resource", ["agent", "chat_agent"])
def test_section_8_agents_of_both_channels_are_listed_together(client: Any, resource: str) -> None:
    llm = an_llm(client)
    name = f"Listed {llm.llm_id}"
    chat, voice = (an_agent(client, one, llm, agent_name=name) for one in ("chat_agent", "agent"))

    def listed(**given: Any) -> list[str]:
        criteria = {"query": name.upper().replace("LLM_", "llm_"), **given.pop("filter_criteria", {})}
        found: list[str] = []
        key: dict[str, str] = {}
        while True:
            page = getattr(client, resource).list(filter_criteria=criteria, limit=1, **given, **key)
            found += [one.agent_id for one in page.items]
            assert page.has_more is (page.pagination_key is not None)
            if not page.has_more:
                return found
            key = {"pagination_key": page.pagination_key}

    assert listed() == [voice, chat]
    assert listed(sort_order="ascending") == [chat, voice]
    only = {"op": "eq", "type": "string", "value": "chat"}
    assert listed(filter_criteria={"channel": only}) == [chat]
    [item, *_] = getattr(client, resource).list().items
    assert (item.agent_id, item.agent_name, item.channel) == (voice, name, "voice")


def keep_older_lists(client: Any, resource: str) -> None:
    first, second = (an_agent(client, resource, an_llm(client)) for _ in range(2))
    assert raw(client, "POST", f"/publish-agent/{second}") == {}

    def rows(**query: Any) -> list[tuple[str, int]]:
        answer = raw(client, "GET", f"/list-{resource.replace('_', '-')}s", query=query)
        return [(one["agent_id"], one["version"]) for one in answer]

    assert rows(limit=3) == [(second, 1), (second, 0), (first, 0)]
    assert rows(limit=2, is_latest=True) == [(second, 1), (first, 0)]
    assert rows(limit=1, pagination_key=second) == [(first, 0)]
    assert rows(limit=1, pagination_key=second, pagination_key_version=1) == [(second, 0)]
    with pytest.raises(retell.BadRequestError):
        rows(pagination_key="x")
    versions = every_version(client, resource, second)
    assert [(one["version"], one["is_published"]) for one in versions] == [(1, False), (0, True)]


@pytest.mark.operation("legacy.list_agents", "legacy.publish_agent")
def test_section_1_3_the_older_list_and_publishing_of_agents(client: Any) -> None:
    keep_older_lists(client, "agent")


@pytest.mark.operation("legacy.list_chat_agents", "legacy.publish_agent")
def test_section_1_3_the_older_list_and_publishing_of_chat_agents(client: Any) -> None:
    keep_older_lists(client, "chat_agent")


@pytest.mark.operation("voice.list", "voice.retrieve")
def test_section_12_voices_are_listed_and_any_other_may_be_named(client: Any) -> None:
    voices = client.voice.list()
    assert {one.provider for one in voices} == {"platform", "openai"}
    assert [client.voice.retrieve(one.voice_id) for one in voices] == voices
    with pytest.raises(retell.UnprocessableEntityError):
        client.voice.retrieve("nobody-s")


@pytest.mark.operation("concurrency.retrieve")
def test_section_12_runs_that_go_on_are_counted(client: Any) -> None:
    found = client.concurrency.retrieve()
    assert found.concurrency_limit == found.base_concurrency == 256

    def counted(number: int) -> bool:
        """Batches of other tests may still be at it."""
        deadline = time.monotonic() + PATIENCE_S
        while client.concurrency.retrieve().current_concurrency != number and time.monotonic() < deadline:
            time.sleep(0.05)
        return client.concurrency.retrieve().current_concurrency == number

    assert counted(0)
    opens = threading.Event()
    with shop(opens) as (url, _):
        llm = an_llm(client, general_prompt='on hear "book": call find {"a": 1}', general_tools=[find_tool(url)])
        one = define(client, engine_of(llm), 'on start: say "my book"\nelse: hang up', ['says "x"'])
        ids = [one.test_case_definition_id] * 2
        batch = client.tests.create_batch_test(test_case_definition_ids=ids, response_engine=engine_of(llm))
        assert counted(2)
        opens.set()
        complete(client, batch)
    assert counted(0)
