"""Whatever the SDK's types can say of an assistant comes back unchanged from a running server, over the SDK."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from telnyx import Telnyx
from telnyx.types.ai import InferenceEmbedding
from tests.api.telnyx.bodies import lacks
from tests.api.telnyx.typed_bodies import UPDATE, Body, mended, own, typed, unsaid
from tests.support.server import Server

LIVE = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],  # shrinking an example over a server takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
ITS_OWN = {"id", "created_at", "version_id", "version_created_at"}
"""What tells one assistant, and one version, from another."""


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key, base_url=f"{live_server.url}/v2", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def tools(client: Telnyx) -> list[str]:
    """Shared tools of the kinds that an assistant may have several of."""
    kinds: dict[str, Any] = {
        "webhook": {"name": "lib_find", "description": "Finds.", "url": "https://a.example/{id}"},
        "function": {"name": "lib_sum", "parameters": {"type": "object"}},
        "client_side_tool": {"name": "lib_show", "description": "Shows.", "parameters": {"type": "object"}},
    }
    made = [client.ai.tools.create(type=kind, display_name=kind, **{kind: kinds[kind]}) for kind in kinds]
    return [one.id for one in made]


@pytest.fixture
def others(client: Telnyx) -> list[str]:
    """Assistants to hand over to."""
    return [client.ai.assistants.create(name=uuid4().hex, instructions="Help.").id for _ in range(2)]


def create(client: Telnyx, body: Body) -> Body:
    """What the server answers, which the SDK's models can read as well."""
    answer = client.ai.assistants.with_raw_response.create(**body)
    answer.parse()
    return answer.http_response.json()


def retrieve(client: Telnyx, assistant_id: str) -> Body:
    return client.ai.assistants.with_raw_response.retrieve(assistant_id).http_response.json()


@pytest.mark.operation("ai.assistants.create", "ai.assistants.retrieve")
def test_what_is_created_is_retrieved_and_can_be_copied(client: Telnyx, tools: list[str], others: list[str]) -> None:
    @LIVE
    @given(typed(tools=tools, assistants=others))
    def there_and_back(body: Body) -> None:
        made = create(client, body)
        wire = own(made)
        assert lacks(body, wire) == []
        assert unsaid(body, wire) == []
        assert retrieve(client, made["id"]) == made
        # A client that copies an assistant sends all that it was answered.
        copy = client.post("/ai/assistants", body=made, cast_to=InferenceEmbedding)
        assert copy.id != made["id"]
        again = retrieve(client, copy.id)
        assert {key: again[key] for key in again if key not in ITS_OWN} == {
            key: made[key] for key in made if key not in ITS_OWN
        }
        for one in (made["id"], copy.id):
            client.ai.assistants.delete(one, hard_delete=True)

    there_and_back()


@pytest.mark.operation("ai.assistants.update", "ai.assistants.versions.retrieve")
def test_rule_6_1_an_update_replaces_what_it_says_and_keeps_the_rest(
    client: Telnyx, tools: list[str], others: list[str]
) -> None:
    @LIVE
    @given(
        typed(tools=tools, assistants=others),
        typed(UPDATE, tools=tools, assistants=others),
        st.sampled_from([{}, {"promote_to_main": True}, {"promote_to_main": False}]),
    )
    def there_and_over(body: Body, update: Body, command: Body) -> None:
        update = mended(update, body)
        before = create(client, body)
        written: Body = client.ai.assistants.with_raw_response.update(
            before["id"], **update, **command
        ).http_response.json()
        # Sent fields are replaced whole, null clears.
        cleared = {key for key in ("conversation_flow",) if key in update and update[key] is None}
        said = {key: value for key, value in update.items() if key not in cleared}
        assert lacks(said, own(written)) == []
        assert unsaid(said, own(written)) == []
        assert not cleared & set(written)
        # Omitted ones stay; without a name of its own, the model is that of the endpoint.
        changed = {"version_id", "version_created_at", *update, *({"model"} if "external_llm" in update else ())}
        assert {key: value for key, value in own(written).items() if key not in changed} == {
            key: value for key, value in own(before).items() if key not in changed
        }
        # Every update is a version, and main only if it is to be.
        assert written["version_id"] != before["version_id"]
        version = client.ai.assistants.versions.with_raw_response.retrieve(
            written["version_id"], assistant_id=before["id"]
        )
        assert version.http_response.json() == written
        main = written if command.get("promote_to_main", True) else before
        # Tags belong to the assistant, whatever version it shows.
        assert retrieve(client, before["id"]) == {**main, "tags": written["tags"]}
        client.ai.assistants.delete(before["id"], hard_delete=True)

    there_and_over()
