"""Every route of the testing API with a good body, and one object of each kind to try them on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.support.raw import Answer, send, send_json
from tests.support.route import Route
from tests.support.server import Server

UNKNOWN = "0199c0de00007000800000000000beef"

LLM = {
    "start_speaker": "agent",
    "model": "gpt-4.1",
    "begin_message": "Hello, this is Birch.",
    "general_prompt": 'You work for Birch.\non hear "bye": say "Goodbye."',
    "general_tools": [{"type": "end_call", "name": "end_call"}],
    "default_dynamic_variables": {"shop": "Birch"},
}
NODES = [
    {
        "id": "start",
        "type": "conversation",
        "instruction": {"type": "static_text", "text": "Hello, this is Birch."},
        "edges": [
            {"id": "e", "destination_node_id": "end", "transition_condition": {"type": "prompt", "prompt": "bye"}}
        ],
    },
    {"id": "end", "type": "end"},
]
FLOW = {
    "start_speaker": "agent",
    "model_choice": {"type": "cascading", "model": "gpt-4.1"},
    "start_node_id": "start",
    "nodes": NODES,
}
COMPONENT = {"name": "greeting", "start_node_id": "start", "nodes": NODES}
LLM_ENGINE = {"type": "retell-llm", "llm_id": "{llm_id}"}
AGENT = {"response_engine": LLM_ENGINE, "voice_id": "platform-anna", "agent_name": "Birch"}
CHAT_AGENT = {"response_engine": LLM_ENGINE, "agent_name": "Birch in writing"}
DEFINITION = {
    "name": "says goodbye",
    "response_engine": LLM_ENGINE,
    "user_prompt": 'on start: say "bye"\non hear "goodbye": hang up',
    "metrics": ['says "goodbye"'],
    "dynamic_variables": {"name": "Ann"},
    "tool_mocks": [{"tool_name": "find", "input_match_rule": {"type": "any"}, "output": "{}"}],
    "llm_model": "scripted",
}
ONE = "type=retell-llm&llm_id={llm_id}"

ROUTES = (
    Route(
        "POST",
        "/create-test-case-definition",
        DEFINITION,
        ("name", "response_engine", "user_prompt", "metrics"),
        success=201,
    ),
    Route("GET", "/get-test-case-definition/{test_case_definition_id}"),
    Route("GET", "/v2/list-test-case-definitions"),
    Route("GET", "/list-test-case-definitions"),
    Route("PUT", "/update-test-case-definition/{test_case_definition_id}", DEFINITION),
    Route("DELETE", "/delete-test-case-definition/{test_case_definition_id}", success=204),
    Route(
        "POST",
        "/create-batch-test",
        {"test_case_definition_ids": ["{test_case_definition_id}"], "response_engine": LLM_ENGINE},
        ("test_case_definition_ids", "response_engine"),
        success=201,
    ),
    Route("GET", "/get-batch-test/{test_case_batch_job_id}"),
    Route("GET", "/v2/list-batch-tests"),
    Route("GET", "/list-batch-tests"),
    Route("GET", "/get-test-run/{test_case_job_id}"),
    Route("GET", "/v2/list-test-runs/{test_case_batch_job_id}"),
    Route("GET", "/list-test-runs/{test_case_batch_job_id}"),
    Route("POST", "/create-retell-llm", LLM, success=201),
    Route("GET", "/get-retell-llm/{llm_id}"),
    Route("GET", "/v2/list-retell-llms"),
    Route("GET", "/list-retell-llms"),
    Route("PATCH", "/update-retell-llm/{llm_id}", LLM),
    Route("DELETE", "/delete-retell-llm/{llm_id}", success=204),
    Route("POST", "/create-conversation-flow", FLOW, ("nodes", "start_speaker"), success=201),
    Route("GET", "/get-conversation-flow/{conversation_flow_id}"),
    Route("GET", "/v2/list-conversation-flows"),
    Route("GET", "/list-conversation-flows"),
    Route("PATCH", "/update-conversation-flow/{conversation_flow_id}", FLOW),
    Route("DELETE", "/delete-conversation-flow/{conversation_flow_id}", success=204),
    Route("POST", "/create-conversation-flow-component", COMPONENT, ("name", "nodes"), success=201),
    Route("GET", "/get-conversation-flow-component/{conversation_flow_component_id}"),
    Route("GET", "/v2/list-conversation-flow-components"),
    Route("GET", "/list-conversation-flow-components"),
    Route("PATCH", "/update-conversation-flow-component/{conversation_flow_component_id}", COMPONENT),
    Route("DELETE", "/delete-conversation-flow-component/{conversation_flow_component_id}", success=204),
    Route("POST", "/create-agent", AGENT, ("response_engine", "voice_id"), success=201),
    Route("GET", "/get-agent/{agent_id}"),
    Route("PATCH", "/update-agent/{agent_id}", AGENT),
    Route("DELETE", "/delete-agent/{agent_id}", success=204),
    Route(
        "POST", "/v2/list-agents", {"filter_criteria": {"channel": {"op": "eq", "type": "string", "value": "voice"}}}
    ),
    Route("GET", "/list-agents"),
    Route("POST", "/create-agent-version/{agent_id}", {"base_version": 0}, ("base_version",), success=201),
    Route("POST", "/publish-agent-version/{agent_id}", {"version": 0, "version_title": "first"}, ("version",)),
    Route("POST", "/publish-agent/{agent_id}"),
    Route("DELETE", "/delete-agent-version/{agent_id}", success=204),
    Route("GET", "/list-agent-versions/{agent_id}"),
    Route("GET", "/get-agent-versions/{agent_id}"),
    Route("POST", "/create-chat-agent", CHAT_AGENT, ("response_engine",), success=201),
    Route("GET", "/get-chat-agent/{chat_agent_id}"),
    Route("PATCH", "/update-chat-agent/{chat_agent_id}", CHAT_AGENT),
    Route("DELETE", "/delete-chat-agent/{chat_agent_id}", success=204),
    Route("GET", "/list-chat-agents"),
    Route("GET", "/get-chat-agent-versions/{chat_agent_id}"),
    Route(
        "POST",
        "/create-chat",
        {"agent_id": "{chat_agent_id}", "metadata": {"a": 1}, "retell_llm_dynamic_variables": {"name": "Ann"}},
        ("agent_id",),
        success=201,
    ),
    Route(
        "POST",
        "/create-chat-completion",
        {"chat_id": "{chat_id}", "content": "Hello"},
        ("chat_id", "content"),
        success=201,
    ),
    Route("GET", "/get-chat/{chat_id}"),
    Route("PATCH", "/update-chat/{chat_id}", {"metadata": {"b": 2}}),
    Route("PATCH", "/end-chat/{chat_id}", success=204),
    Route("POST", "/v3/list-chats", {"limit": 5}),
    Route("GET", "/list-chat"),
    Route("DELETE", "/delete-chat/{chat_id}", success=204),
    Route(
        "POST",
        "/agent-playground-completion/{agent_id}",
        {"messages": [{"role": "user", "content": "Hello"}]},
        ("messages",),
    ),
    Route("GET", "/get-mcp-tools/{agent_id}"),
    Route("POST", "/create-knowledge-base", success=201),
    Route("GET", "/get-knowledge-base/{knowledge_base_id}"),
    Route("GET", "/list-knowledge-bases"),
    Route("DELETE", "/delete-knowledge-base/{knowledge_base_id}", success=204),
    Route("POST", "/add-knowledge-base-sources/{knowledge_base_id}", success=201),
    Route("DELETE", "/delete-knowledge-base-source/{knowledge_base_id}/source/{source_id}"),
    Route("GET", "/get-concurrency"),
    Route("GET", "/list-voices"),
    Route("GET", "/get-voice/{voice_id}"),
)
BODIES = [route for route in ROUTES if route.body is not None]
QUERIES = {
    "GET /v2/list-test-case-definitions": ONE,
    "GET /list-test-case-definitions": ONE,
    "GET /v2/list-batch-tests": ONE,
    "GET /list-batch-tests": ONE,
    "DELETE /delete-agent-version/{agent_id}": "version=0",
    "GET /get-mcp-tools/{agent_id}": "mcp_id=none",
}
"""What a request needs to have in its query."""
NOT_FOUND = {
    "test_case_definition_id": 404,
    "test_case_batch_job_id": 404,
    "test_case_job_id": 404,
    "conversation_flow_id": 404,
    "conversation_flow_component_id": 404,
}
"""Which code means "no such object" (contract, section 1.1); 422 where nothing else stands here."""
OTHERWISE_NOT_FOUND = {
    "PATCH /update-conversation-flow/{conversation_flow_id}": 422,
    "POST /create-agent-version/{agent_id}": 404,
    "POST /publish-agent-version/{agent_id}": 404,
    "DELETE /delete-agent-version/{agent_id}": 404,
}


@dataclass(frozen=True)
class World:
    """A server with one object of each kind."""

    server: Server
    ids: Mapping[str, str]

    def filled(self, value: Any) -> Any:
        """The value with the ids of this world in the place of ``{names}``."""
        if isinstance(value, str):
            for name, id_ in self.ids.items():
                value = value.replace("{" + name + "}", id_)
            return value
        if isinstance(value, dict):
            return {key: self.filled(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return [self.filled(inner) for inner in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]

    def path(self, route: Route, **others: str) -> str:
        """Its path with its query; other ids than this world's where they are given."""
        query = QUERIES.get(route.name, "")
        other = replace(self, ids={**self.ids, **others})
        return other.filled(route.path) + ("?" + self.filled(query) if query else "")

    def send(self, route: Route, raw: bytes, *headers: tuple[str, str]) -> Answer:
        """The request with this body."""
        return send(self.server, route.method, self.path(route), raw, headers)

    def count(self) -> int:
        """How many things there are that can be listed."""
        lists = [f"/list-test-case-definitions?{ONE}", f"/list-batch-tests?{ONE}", "/list-retell-llms"]
        lists += ["/list-conversation-flows", "/list-conversation-flow-components", "/list-agents", "/list-chat-agents"]
        lists += ["/list-chat?limit=1000", "/list-knowledge-bases"]
        return sum(len(send(self.server, "GET", self.filled(path)).json) for path in lists)


def make_world(server: Server) -> World:
    """Make one object of each kind."""
    world = World(server, {})

    def made(path: str, body: Any, *names: str) -> None:
        nonlocal world
        answer = send_json(server, "POST", path, world.filled(body))
        assert answer.status == 201, answer.body
        world = World(server, {**world.ids, **{name: answer.json[name] for name in names}})

    made("/create-retell-llm", LLM, "llm_id")
    made("/create-conversation-flow", FLOW, "conversation_flow_id")
    made("/create-conversation-flow-component", COMPONENT, "conversation_flow_component_id")
    made("/create-chat-agent", CHAT_AGENT, "agent_id")
    world = World(server, {**world.ids, "chat_agent_id": world.ids["agent_id"]})
    made("/create-agent", AGENT, "agent_id")
    made("/create-test-case-definition", DEFINITION, "test_case_definition_id")
    batch = {"test_case_definition_ids": ["{test_case_definition_id}"], "response_engine": LLM_ENGINE}
    made("/create-batch-test", batch, "test_case_batch_job_id")
    [run] = send(server, "GET", f"/list-test-runs/{world.ids['test_case_batch_job_id']}").json
    made("/create-chat", {"agent_id": "{chat_agent_id}"}, "chat_id")
    answer = send_library(server)
    assert answer.status == 201, answer.body
    base = answer.json
    ids = {"test_case_job_id": run["test_case_job_id"], "knowledge_base_id": base["knowledge_base_id"]}
    ids["source_id"] = base["knowledge_base_sources"][0]["source_id"]
    ids["voice_id"] = send(server, "GET", "/list-voices").json[0]["voice_id"]
    return World(server, {**world.ids, **ids})


def send_library(server: Server) -> Answer:
    """Make a knowledge base, with a form as the SDKs send it."""
    parts = {"knowledge_base_name": "hours", "knowledge_base_texts": '[{"title": "hours", "text": "Open at nine."}]'}
    lines = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in parts.items()]
    raw = ("".join(lines) + "--x--\r\n").encode()
    return send(server, "POST", "/create-knowledge-base", raw, [("Content-Type", "multipart/form-data; boundary=x")])


def is_error(answer: Answer, status: int) -> None:
    """The one family of errors (contract, section 1)."""
    assert answer.status == status, answer.body
    body = answer.json
    assert set(body) == {"status", "message"}
    assert body["status"] == "error"
    assert isinstance(body["message"], str)
    assert body["message"]
