"""Whatever the SDK's types can say of an engine comes back unchanged from a running server, over the SDK."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from retell.types.conversation_flow_component_create_params import ConversationFlowComponentCreateParams
from retell.types.conversation_flow_create_params import ConversationFlowCreateParams
from retell.types.llm_create_params import LlmCreateParams
from tests.support.retell_bodies import Body, typed
from tests.support.retell_sdk import connected
from tests.support.server import Server

# What fails is large, and shown all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

LIVE = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],  # shrinking an example over a server takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


def said(body: Body) -> str:
    """What it says in JSON, where 1 and 1.0 are one number, and true is none."""
    return json.dumps(json.loads(json.dumps(body), parse_int=float), sort_keys=True)


def there_and_back(resource: Any, key: str, body: Body) -> None:
    """What the SDK made of the body, the server gives back; and takes again from a client that copies it."""
    answer = resource.with_raw_response.create(**body)
    answer.parse()
    sent: Body = json.loads(answer.http_request.content)
    made: Body = answer.http_response.json()
    assert said({name: made[name] for name in sent}) == said(sent)
    found = resource.with_raw_response.retrieve(made[key])
    found.parse()
    assert found.http_response.json() == made
    again = resource.with_raw_response.update(made[key], extra_body=sent).http_response.json()
    own = {"last_modification_timestamp", "user_modified_timestamp"}
    assert {name: again[name] for name in made if name not in own} == {n: made[n] for n in made if n not in own}
    resource.delete(made[key])


@pytest.mark.operation("llm.create", "llm.retrieve", "llm.update", "llm.delete")
def test_section_4_whatever_is_said_of_an_llm_comes_back(client: Any) -> None:
    @LIVE
    @given(typed(LlmCreateParams, "states", each=["general_tools"]))
    def check(body: Body) -> None:
        there_and_back(client.llm, "llm_id", body)

    check()


@pytest.mark.operation(
    "conversation_flow.create", "conversation_flow.retrieve", "conversation_flow.update", "conversation_flow.delete"
)
def test_section_7_whatever_is_said_of_a_flow_comes_back(client: Any) -> None:
    @LIVE
    @given(typed(ConversationFlowCreateParams, "components", each=["nodes", "tools"]))
    def check(body: Body) -> None:
        there_and_back(client.conversation_flow, "conversation_flow_id", body)

    check()


@pytest.mark.operation(
    "conversation_flow_component.create",
    "conversation_flow_component.retrieve",
    "conversation_flow_component.update",
    "conversation_flow_component.delete",
)
def test_section_7_2_whatever_is_said_of_a_component_comes_back(client: Any) -> None:
    @LIVE
    @given(typed(ConversationFlowComponentCreateParams, each=["nodes", "tools"]))
    def check(body: Body) -> None:
        there_and_back(client.conversation_flow_component, "conversation_flow_component_id", body)

    check()
