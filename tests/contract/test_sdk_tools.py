"""Shared tools, tools of assistants, and integrations (contract, sections 3, 5.6, 5.12, 5.14) by the vendor's SDK."""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from uuid import uuid4

import pytest
import telnyx
from telnyx import Telnyx
from telnyx.types.ai import InferenceEmbedding, SharedToolResponse
from tests.support.server import MAIN, Server, environment

TOKEN = "t0ken-of-the-shop"
PARAMETERS = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key,
        base_url=f"{live_server.url}/v2",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


class Shop(ThreadingHTTPServer):
    """A webhook that says what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen: list[dict[str, str]] = []


class Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        cast("Shop", self.server).seen.append(headers)
        answer = json.dumps(
            {"path": self.path, "auth": headers.get("authorization"), "body": json.loads(body)}
        ).encode()
        self.send_response(500 if "fail" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Shop() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def unique(word: str) -> str:
    return f"{word}-{uuid4().hex[:12]}"


def webhook(url: str = "https://shop.example.com/orders", **more: Any) -> dict[str, Any]:
    return {"name": "find_order", "description": "Finds an order.", "url": url, "body_parameters": PARAMETERS, **more}


@pytest.fixture
def tool(client: Telnyx) -> SharedToolResponse:
    return client.ai.tools.create(
        type="webhook", display_name=unique("Order finder"), timeout_ms=4000, webhook=webhook()
    )


@pytest.fixture
def assistant(client: Telnyx) -> InferenceEmbedding:
    return client.ai.assistants.create(name=unique("clerk"), instructions="Help.", model="scripted")


def hangup(client: Telnyx) -> SharedToolResponse:
    config = {"hangup": {"description": "Ends."}}
    return client.ai.tools.create(type="hangup", display_name="Hang up", extra_body=config)


def shown(assistant: InferenceEmbedding) -> list[Any]:
    return [one.to_dict() for one in assistant.tools or []]


def refusal(caught: pytest.ExceptionInfo[telnyx.BadRequestError]) -> Any:
    [error] = cast("Any", caught.value.body)["errors"]
    assert error["code"] == "10015"
    return error


# the library


@pytest.mark.operation("ai.tools.create", "ai.tools.retrieve")
def test_a_shared_tool_is_given_back_as_it_was_made(client: Telnyx, tool: SharedToolResponse) -> None:
    assert (tool.type, tool.timeout_ms, tool.tool_definition) == ("webhook", 4000, {**webhook(), "method": "POST"})
    assert client.ai.tools.retrieve(tool.id) == tool


@pytest.mark.operation("ai.tools.create", "ai.tools.retrieve")
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("function", {"name": "f", "parameters": PARAMETERS}),
        ("client_side_tool", {"name": "f", "description": "d", "parameters": PARAMETERS}),
        ("handoff", {"ai_assistants": [{"id": "assistant-x", "name": "X"}]}),
        ("retrieval", {"bucket_ids": ["docs"], "max_num_results": 3}),
        ("invite", {"from": "+15550001", "targets": [{"to": "+15550002"}]}),
        ("pay", {"connector_name": "bank"}),
        ("skip_turn", {"description": "Waits."}),
        ("send_message", {"message_template": "Hi {{name}}"}),
        ("vision", {"max_frame_age_secs": 3}),
        ("tea_kettle", {"whistles": True}),
    ],
)
def test_every_type_is_kept_also_one_that_is_unknown(client: Telnyx, kind: str, config: dict[str, Any]) -> None:
    made = client.ai.tools.create(type=kind, display_name="x", extra_body={kind: config, "note": [1]})
    again = client.ai.tools.retrieve(made.id)
    assert again == made
    assert (again.type, again.display_name, again.tool_definition) == (kind, "x", config)
    assert again.to_dict()["note"] == [1]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"type": "webhook", "display_name": "x"}, ["body", "webhook"]),
        ({"type": "webhook", "display_name": "x", "webhook": {"name": "a"}}, ["body", "webhook", "description"]),
        ({"type": "webhook", "display_name": "x", "webhook": webhook(), "timeout_ms": 0}, ["body", "timeout_ms"]),
        ({"type": "pay", "display_name": "x", "pay": {}}, ["body", "pay", "connector_name"]),
    ],
)
def test_what_a_type_needs_is_asked_for(client: Telnyx, body: dict[str, Any], place: list[str]) -> None:
    with pytest.raises(telnyx.UnprocessableEntityError) as caught:
        client.ai.tools.create(**body)
    assert place in [one["loc"] for one in cast("Any", caught.value.body)["detail"]]


@pytest.mark.operation("ai.tools.update")
def test_an_update_keeps_what_it_leaves_out(client: Telnyx, tool: SharedToolResponse) -> None:
    renamed = client.ai.tools.update(tool.id, display_name="New name")
    assert renamed.to_dict() == {**tool.to_dict(), "display_name": "New name"}
    moved = client.ai.tools.update(tool.id, webhook=webhook("https://b.example"), timeout_ms=900)
    assert (moved.tool_definition["url"], moved.timeout_ms) == ("https://b.example", 900)
    other = client.ai.tools.update(tool.id, type="function", function={"name": "f"})
    assert (other.type, other.tool_definition, other.display_name) == ("function", {"name": "f"}, "New name")
    assert client.ai.tools.retrieve(tool.id) == other
    with pytest.raises(telnyx.UnprocessableEntityError):  # the whole must be good, not only what is sent
        client.ai.tools.update(tool.id, type="webhook")
    assert client.ai.tools.retrieve(tool.id) == other


@pytest.mark.operation("ai.tools.list")
def test_lists_are_filtered_and_paged(client: Telnyx) -> None:
    name = unique("Finder")
    made = [client.ai.tools.create(type="function", display_name=name, function={"name": "f"}) for _ in range(3)]
    made.append(client.ai.tools.create(type="webhook", display_name=name, webhook=webhook()))
    newest_first = [one.id for one in reversed(made)]
    assert [one.id for one in client.ai.tools.list(filter_name=name, page_size=2)] == newest_first
    assert [one.id for one in client.ai.tools.list(filter_name=name, filter_type="function")] == newest_first[1:]
    assert list(client.ai.tools.list(filter_name=name[:-1])) == []


@pytest.mark.operation("ai.tools.delete")
def test_a_deleted_tool_is_gone(client: Telnyx, tool: SharedToolResponse) -> None:
    client.ai.tools.delete(tool.id)
    for act in (client.ai.tools.retrieve, client.ai.tools.delete):
        with pytest.raises(telnyx.NotFoundError):
            act(tool.id)


# tools of assistants


@pytest.mark.operation("ai.assistants.tools.add", "ai.assistants.tools.remove")
def test_shared_tools_are_merged_into_the_assistant(
    client: Telnyx, tool: SharedToolResponse, assistant: InferenceEmbedding
) -> None:
    added = client.ai.assistants.tools.add(tool.id, assistant_id=assistant.id)
    after = client.ai.assistants.retrieve(assistant.id)
    assert InferenceEmbedding.model_validate(added) == after
    [one] = shown(after)
    assert (one["type"], one["shared"], one["webhook"]["name"]) == ("webhook", True, "find_order")
    assert after.to_dict()["tool_ids"] == [tool.id]
    # Section 6.1: no version is written for it.
    assert after.version_id == assistant.version_id
    assert len(client.ai.assistants.versions.list(assistant.id).data) == 1
    client.ai.assistants.tools.remove(tool.id, assistant_id=assistant.id)
    without = client.ai.assistants.retrieve(assistant.id)
    assert (shown(without), without.to_dict()["tool_ids"]) == ([], [])


@pytest.mark.operation("ai.tools.create")
def test_tool_ids_are_replaced_by_an_update_and_inline_tools_are_not_shared(client: Telnyx) -> None:
    first = client.ai.tools.create(type="function", display_name="a", function={"name": "a"})
    second = client.ai.tools.create(type="function", display_name="b", function={"name": "b"})
    made = client.ai.assistants.create(
        name="x",
        instructions="x",
        model="scripted",
        tool_ids=[first.id],
        tools=[{"type": "hangup", "hangup": {"description": "Ends."}}],
    )
    assert [(one["type"], one["shared"]) for one in shown(made)] == [("hangup", False), ("function", True)]
    changed = client.ai.assistants.update(made.id, tool_ids=[second.id])
    assert [one["function"]["name"] for one in shown(changed) if one["shared"]] == ["b"]


@pytest.mark.operation("ai.tools.create", "ai.assistants.tools.add")
def test_rule_3_one_instance_over_inline_and_shared_tools(client: Telnyx, tool: SharedToolResponse) -> None:
    end, other = hangup(client), hangup(client)
    inline: Any = [{"type": "hangup", "hangup": {}}]
    with pytest.raises(telnyx.BadRequestError) as caught:
        client.ai.assistants.create(name="x", instructions="x", model="scripted", tools=inline, tool_ids=[end.id])
    assert "only one tool of type hangup" in refusal(caught)["detail"]
    made = client.ai.assistants.create(name="x", instructions="x", model="scripted", tool_ids=[end.id])
    for attempt in (
        lambda: client.ai.assistants.update(made.id, tools=inline),
        lambda: client.ai.assistants.update(made.id, tool_ids=[end.id, other.id]),
        lambda: client.ai.assistants.tools.add(other.id, assistant_id=made.id),
    ):
        with pytest.raises(telnyx.BadRequestError) as caught:
            attempt()
        refusal(caught)
    # A change of a tool must not break those who use it either; the answer names them.
    client.ai.assistants.tools.add(tool.id, assistant_id=made.id)
    with pytest.raises(telnyx.BadRequestError) as caught:
        client.ai.tools.update(tool.id, type="hangup")
    assert made.id in refusal(caught)["detail"]
    assert client.ai.tools.retrieve(tool.id) == tool


@pytest.mark.operation("ai.tools.delete")
def test_a_tool_that_is_used_is_not_deleted(
    client: Telnyx, tool: SharedToolResponse, assistant: InferenceEmbedding
) -> None:
    client.ai.assistants.tools.add(tool.id, assistant_id=assistant.id)
    with pytest.raises(telnyx.BadRequestError) as caught:
        client.ai.tools.delete(tool.id)
    assert assistant.id in refusal(caught)["detail"]
    client.ai.assistants.tools.remove(tool.id, assistant_id=assistant.id)
    client.ai.tools.delete(tool.id)


# trying a tool


@pytest.mark.operation("ai.assistants.tools.test")
def test_a_tool_is_tried_for_real_and_its_secret_is_not_shown(client: Telnyx, shop: Shop) -> None:
    secret = unique("shop")
    client.integration_secrets.create(identifier=secret, type="bearer", token=TOKEN)
    header = f"Bearer {{{{#integration_secret}}}}{secret}{{{{/integration_secret}}}}"
    tool = client.ai.tools.create(
        type="webhook",
        display_name="x",
        webhook=webhook(
            shop.url + "/{{branch}}/{{floor}}",
            headers=[{"name": "Authorization", "value": header}],
            preset_body_fields={"who": "{{telnyx_agent_target}}"},
        ),
    )
    assistant = client.ai.assistants.create(
        name="x", instructions="x", model="scripted", dynamic_variables={"branch": "north", "floor": 1}
    )
    data = client.ai.assistants.tools.test(
        tool.id, assistant_id=assistant.id, arguments={"number": "A-1"}, dynamic_variables={"floor": 2}
    ).data
    assert (data.success, data.status_code, data.content_type) == (True, 200, "application/json")
    body = {"number": "A-1", "who": assistant.id}
    assert json.loads(data.response) == {"path": "/north/2", "auth": "Bearer REDACTED", "body": body}
    assert (data.request["method"], data.request["url"], data.request["body"]) == ("POST", f"{shop.url}/north/2", body)
    sent = shop.seen[-1]
    assert sent["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in json.dumps(data.to_dict())
    # Section 6.3, Signing: the two headers; the request that is shown has them too.
    headers = cast("dict[str, str]", data.request["headers"])
    assert headers["authorization"] == "Bearer REDACTED"
    assert len(base64.b64decode(sent["telnyx-signature-ed25519"])) == 64
    for name in ("telnyx-timestamp", "telnyx-signature-ed25519"):
        assert headers[name] == sent[name]


@pytest.mark.operation("ai.assistants.tools.test")
def test_what_goes_wrong_in_a_trial_is_told(client: Telnyx, shop: Shop, assistant: InferenceEmbedding) -> None:
    def tried(**given: Any) -> Any:
        tool = client.ai.tools.create(type="webhook", display_name="x", webhook=webhook(**given))
        answer = client.ai.assistants.tools.test(tool.id, assistant_id=assistant.id, arguments={"number": "A-1"})
        return answer.data

    failed = tried(url=shop.url + "/fail")
    assert (failed.success, failed.status_code) == (False, 500)
    assert json.loads(failed.response)["path"] == "/fail"
    refused = tried(url="http://10.0.0.1/")
    assert (refused.success, refused.status_code, refused.content_type) == (False, 0, "")
    assert "may not be called from here" in refused.response
    assert refused.request["url"] == "http://10.0.0.1/"
    gone = tried(url="http://127.0.0.1:9/")
    assert "cannot be reached" in gone.response
    unfit = tried(url=shop.url, body_parameters={"type": "object", "properties": {"number": {"type": "integer"}}})
    assert "do not fit" in unfit.response
    assert unfit.request == {}
    unknown = "{{#integration_secret}}nobody's{{/integration_secret}}"
    secretless = tried(url=shop.url, preset_body_fields={"key": unknown})
    assert "there is no secret" in secretless.response


def test_only_webhooks_can_be_tried(client: Telnyx, tool: SharedToolResponse, assistant: InferenceEmbedding) -> None:
    with pytest.raises(telnyx.BadRequestError) as caught:
        client.ai.assistants.tools.test(hangup(client).id, assistant_id=assistant.id)
    refusal(caught)
    for tool_id, assistant_id in ((tool.id, "x"), ("x", assistant.id)):
        with pytest.raises(telnyx.NotFoundError):
            client.ai.assistants.tools.test(tool_id, assistant_id=assistant_id)


# integrations


def connect(server: Server, *options: str) -> subprocess.CompletedProcess[str]:
    """``viva connect`` beside the running server."""
    command = [sys.executable, "-c", MAIN, "connect", "github", *options]
    return subprocess.run(
        command, env=environment(server.beside), capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.operation(
    "ai.integrations.list",
    "ai.integrations.retrieve",
    "ai.integrations.connections.list",
    "ai.integrations.connections.retrieve",
    "ai.integrations.connections.delete",
)
def test_an_integration_is_connected_and_disconnected(client: Telnyx, live_server: Server) -> None:
    catalog = {one.id: one for one in client.ai.integrations.list().data}
    assert len(catalog) == 9
    assert {one.status for one in catalog.values()} == {"disconnected"}
    assert client.ai.integrations.connections.list().data == []
    assert "github_get_issue" in catalog["github"].available_tools
    assert catalog["jira"].available_tools == []

    unknown = connect(live_server, "--secret", unique("none"))
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "There is no integration secret" in unknown.stderr

    secret = unique("github")
    client.integration_secrets.create(identifier=secret, type="bearer", token="x")
    made = connect(live_server, "--secret", secret, "--allow", "github_get_issue, github_create_issue")
    assert made.returncode == 0, made.stderr
    assert client.ai.integrations.retrieve("github").status == "connected"
    [connection] = client.ai.integrations.connections.list().data
    assert (connection.integration_id, connection.allowed_tools) == (
        "github",
        ["github_get_issue", "github_create_issue"],
    )
    assert client.ai.integrations.connections.retrieve(connection.id).data == connection
    assert connection.id in made.stdout

    client.ai.integrations.connections.delete(connection.id)
    assert client.ai.integrations.retrieve("github").status == "disconnected"
    with pytest.raises(telnyx.NotFoundError):
        client.ai.integrations.connections.retrieve(connection.id)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.integrations.connections.delete(connection.id)
    with pytest.raises(telnyx.NotFoundError):
        client.ai.integrations.retrieve("abacus")
