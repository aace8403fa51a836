"""What tests with the vendor's Python SDK have in common, in its newest release and in an older one."""

import time
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import retell
from retell import Retell

from tests.support.server import Server

PATIENCE_S = 60.0
FINAL = {"pass", "fail", "error"}
NEWEST = int(retell.__version__.partition(".")[0]) >= 6
"""Whether this is the newest release, and not the older one that the same tests are run with."""
FORCED: Mapping[str, Any] = {"force_delete": True} if NEWEST else {"extra_query": {"force_delete": True}}
"""To delete an engine that an agent plays: the older release has no word for it."""


def connected(server: Server) -> Any:
    """A client that checks every response against its own models and never tries twice. ``Any``, because the two
    releases have different types."""
    return Retell(api_key=server.key, base_url=server.url, max_retries=0, _strict_response_validation=True)


def has(client: Any, operation: str) -> bool:
    """Whether this release of the SDK has a method for the operation."""
    try:
        reduce(getattr, operation.split("."), client)
    except AttributeError:
        return False
    return True


def newer(**fields: Any) -> dict[str, Any]:
    """Fields of a body that only the newest release has words for."""
    return fields if NEWEST else {"extra_body": fields}


def raw(client: Any, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
    """An operation that the release has no method for, asked for by its path."""
    options: dict[str, Any] = {"params": dict(query)} if query else {}
    if method == "GET":
        return client.get(path, cast_to=object, options=options)
    return client.post(path, cast_to=object, body=body, options=options)


def engine_of(made: Any, version: int | None = None) -> dict[str, Any]:
    """The response engine that was just created."""
    flow = getattr(made, "conversation_flow_id", None)
    engine = {"type": "conversation-flow", "conversation_flow_id": flow} if flow else {"type": "retell-llm"}
    if not flow:
        engine["llm_id"] = made.llm_id
    return engine if version is None else {**engine, "version": version}


def define(client: Any, engine: Mapping[str, Any], prompt: str, metrics: Sequence[str], **fields: Any) -> Any:
    """A test of the engine."""
    return client.tests.create_test_case_definition(
        name="a test", response_engine=dict(engine), user_prompt=prompt, metrics=list(metrics), **fields
    )


def examine(client: Any, engine: Mapping[str, Any], prompt: str, metrics: Sequence[str], **fields: Any) -> Any:
    """Define, run and wait: the run when it is over."""
    definition = define(client, engine, prompt, metrics, **fields)
    return run_all(client, engine, [definition.test_case_definition_id])[0]


def run_all(client: Any, engine: Mapping[str, Any], ids: Sequence[str]) -> list[Any]:
    """Run these in a batch: the runs when all are over, in order."""
    batch = client.tests.create_batch_test(test_case_definition_ids=list(ids), response_engine=dict(engine))
    complete(client, batch)
    return list(client.tests.list_test_runs(batch.test_case_batch_job_id, limit=1000).items)


def complete(client: Any, batch: Any) -> Any:
    """The batch when it is over; its counts never fall."""
    deadline = time.monotonic() + PATIENCE_S
    while batch.status != "complete":
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
        now = client.tests.get_batch_test(batch.test_case_batch_job_id)
        assert all(getattr(now, name) >= getattr(batch, name) for name in ("pass_count", "fail_count", "error_count"))
        batch = now
    assert batch.pass_count + batch.fail_count + batch.error_count == batch.total_count
    return batch


def said(run: Any, role: str = "agent") -> list[str]:
    """What this side said in a run."""
    return [one["content"] for one in run.transcript_snapshot["transcript"] if one["role"] == role]


def results(run: Any) -> list[str]:
    """What tools answered in a run."""
    return said(run, "tool_call_result")
