"""Spans and metrics by the conventions."""

from collections.abc import Callable

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from tests.telemetry.seen import Memory, attributes

from vivavoce.core.telemetry import DutyWork, ModelCall, RequestWork, RunWork, ToolUse

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_a_run_is_a_trace_with_its_calls(memory: Memory) -> None:
    run = RunWork("r-1", "s-1", "c-1", "b-1", "batch", 2, waited_s=3.0)
    with memory.traces.run(run):
        memory.traces.model_called(ModelCall("google", "gemini", "tester", 0.5, "ok", 10, 4, 2))
        memory.traces.tool_called(ToolUse("look up", "webhook", 0.1, "failed"))
        run.outcome, run.settled, run.fault, run.took_s = "error", True, "judge", 9.0
    chat, tool, root = memory.one("chat gemini"), memory.one("execute_tool look up"), memory.one("examine s-1")
    assert root.context is not None
    for child in (chat, tool):
        assert child.parent is not None
        assert child.parent.span_id == root.context.span_id
    assert root.parent is None
    assert attributes(root) == {
        "viva.run.id": "r-1",
        "viva.scenario.id": "s-1",
        "viva.batch.id": "b-1",
        "viva.run.attempt": 2,
        "viva.run.priority": "batch",
        "viva.run.waited_seconds": 3.0,
        "viva.run.status": "error",
        "viva.run.fault": "judge",
        "gen_ai.conversation.id": "c-1",
        "error.type": "judge",
    }
    assert attributes(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 4,
        "viva.role": "tester",
        "viva.model.attempts": 2,
    }
    assert chat.kind is SpanKind.CLIENT
    assert chat.end_time is not None
    assert chat.start_time is not None
    assert chat.end_time - chat.start_time == 500_000_000
    assert attributes(tool)["error.type"] == "failed"
    assert tool.status.status_code is StatusCode.ERROR
    points = memory.points()
    [(told, count, total)] = points["gen_ai.client.operation.duration"]
    assert (count, total) == (1, 0.5)
    assert told["gen_ai.request.model"] == "gemini"
    assert {(told["gen_ai.token.type"], total) for told, _, total in points["gen_ai.client.token.usage"]} == {
        ("input", 10),
        ("output", 4),
    }
    assert points["viva.run.duration"] == [({"viva.run.status": "error"}, 1, 9.0)]


def test_a_call_that_failed_says_of_what_kind_the_failure_was(memory: Memory) -> None:
    memory.traces.model_called(ModelCall("endpoint", "x", "assistant", 1.0, "refused"))
    span = memory.one("chat x")
    assert attributes(span)["error.type"] == "refused"
    assert span.status.status_code is StatusCode.ERROR
    [(told, _, _)] = memory.points()["gen_ai.client.operation.duration"]
    assert (told["gen_ai.request.model"], told["error.type"]) == ("other", "refused")


@pytest.mark.parametrize(
    ("given", "parent"),
    [
        ({"traceparent": f"00-{TRACE}-{PARENT}-01"}, PARENT),
        ({"traceparent": "00-nonsense"}, None),
        ({}, None),
    ],
)
def test_a_request_goes_on_with_the_trace_it_names(memory: Memory, given: dict[str, str], parent: str | None) -> None:
    work = RequestWork("GET", "https", given)
    with memory.traces.request(work):
        memory.traces.model_called(ModelCall("p", "m", "", 0.1))
        work.route, work.status = "/v2/things/{id}", 503
    served, chat = memory.one("GET /v2/things/{id}"), memory.one("chat m")
    assert (served.parent and f"{served.parent.span_id:016x}") == parent
    assert served.context is not None
    assert chat.parent is not None
    assert chat.parent.span_id == served.context.span_id
    if parent is not None:
        assert f"{served.context.trace_id:032x}" == TRACE
    assert attributes(served) == {
        "http.request.method": "GET",
        "url.scheme": "https",
        "http.route": "/v2/things/{id}",
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert served.kind is SpanKind.SERVER
    assert memory.points()["http.server.request.duration"][0][1] == 1


def test_what_a_block_raises_is_not_repeated(memory: Memory) -> None:
    def duty() -> None:
        with memory.traces.duty(DutyWork("delivery", 1)):
            raise ValueError("marked")

    def run() -> None:
        with memory.traces.run(RunWork("r", "s", "c", None, "batch", 1)):
            raise ValueError("marked")

    def request() -> None:
        with memory.traces.request(RequestWork("POST")):
            raise ValueError("marked")

    blocks: tuple[Callable[[], None], ...] = (duty, run, request)
    for block in blocks:
        with pytest.raises(ValueError, match="marked"):
            block()
    assert [span.name for span in memory.spans] == ["duty delivery", "examine s", "POST"]
    assert "marked" not in memory.everything
