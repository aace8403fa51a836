"""A conversation flow with every type of node runs through an examination that visits every node and every edge
(contract, sections 7.3 and 7.4), with the vendor's Python SDK over a live server."""

import asyncio
import json
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text
from tests.support.mcp_server import serving_mcp
from tests.support.retell_every_case import CASES, SWAP, SWAP_FAILS, Case, sandbox
from tests.support.retell_every_node import (
    BACK,
    FIXED,
    INSURED,
    OPERATORS,
    TYPES,
    Way,
    flow,
    nodes_of,
    objects,
    ways_of,
)
from tests.support.retell_scenes import END, llm, shop
from tests.support.retell_sdk import connected, define, engine_of, run_all
from tests.support.server import Server, record, serving

Event = dict[str, Any]


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server of its own, which has a sandbox for code."""
    with sandbox() as url:
        settings = {
            "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
            "VIVA_MODEL_FALLBACK": "default",
            "VIVA_SANDBOX_URL": url,
        }
        with serving(tmp_path_factory.mktemp("server"), settings) as server:
            yield server


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


def events_of(data_dir: Path, run: Any) -> list[Event]:
    """What the server recorded of a run."""
    query = "SELECT replace(r.id, '-', ''), e.body FROM runs r JOIN events e USING (conversation_id) ORDER BY e.turn"
    with record(data_dir) as database:
        rows = database.execute(text(query)).all()
    return [json.loads(body) for id_, body in rows if f"test_job_{id_}" == run.test_case_job_id]


def examined(client: Any, data_dir: Path, engine: Mapping[str, Any], cases: Mapping[str, Case]) -> list[list[Event]]:
    """Run all of these in one batch: what was recorded of each. All passed, and ended as they should."""
    ids: list[str] = []
    for case in cases.values():
        given = {"dynamic_variables": dict(case.variables), "tool_mocks": list(case.mocks)}
        ids.append(define(client, engine, case.brief, case.metrics, **given).test_case_definition_id)
    runs = dict(zip(cases, run_all(client, engine, ids), strict=True))
    assert {name: run.result_explanation for name, run in runs.items() if run.status != "pass"} == {}
    assert {name: run.transcript_snapshot["endReason"] for name, run in runs.items()} == {
        name: case.ending for name, case in cases.items()
    }
    found: list[list[Event]] = []
    for name, run in runs.items():
        found.append(events_of(data_dir, run))
        assert [(last(place), kind_of(edge)) for place, edge in moves(found[-1])] == transitions(run), name
    return found


def transitions(run: Any) -> list[tuple[str, str]]:
    """(node, type of transition) of every movement, as a run shows them."""
    shown = (one for one in run.transcript_snapshot["transcript"] if one["role"] == "node_transition")
    return [(one["new_node_id"], one.get("transition_type", "")) for one in shown]


def kind_of(edge: str) -> str:
    """The type of the transition over an edge; that to the first node has none."""
    if edge.startswith("global:"):
        return "global"
    return ("global_go_back" if edge in BACK else "normal") if edge else ""


def last(place: str) -> str:
    """A node's id as it was written: those of a component have the node that stands for it before them."""
    return place.rpartition("/")[2]


def moves(events: list[Event]) -> list[tuple[str, str]]:
    """(node, edge) of every movement; who stays at a node does not move."""
    found: list[tuple[str, str]] = []
    for one in events:
        if one["kind"] == "moved" and (one["edge"] or not found):
            found.append((one["node"], one["edge"]))
    return found


def taken(events: list[Event]) -> Iterator[Way]:
    """The edges over which a run went, as they were written.

    Those of a component have the node that stands for it before them, the ways out of it also the node at which it
    ended; an id that another node's edge has too has its own node's before it. The way into a component has none.
    """
    former, left = "", ""
    for place, edge in moves(events):
        node = last(place)
        *path, id_ = edge.split("/")
        owner = path[0] if len(path) == 2 else former
        if id_.startswith("global:"):
            yield "", id_, node
            left = former
        elif id_ in BACK:
            assert node == left, "it goes back to where it came from"
            yield owner, id_, ""
        elif id_:
            yield owner, id_.removeprefix(f"{owner}:"), node
        former = node


async def test_section_7_3_an_examination_visits_every_node_and_every_edge(client: Any, live_server: Server) -> None:
    def examine(mcp: str, shop: str) -> None:
        colleague = llm(client, 'else: say "I am the colleague."', begin_message=None, general_tools=END)
        agent_id = client.agent.create(response_engine=engine_of(colleague), voice_id="v").agent_id
        shared = client.conversation_flow_component.create(**INSURED)
        body = flow(shop=shop, mcp=mcp, agent_id=agent_id, shared_id=shared.conversation_flow_component_id)
        nodes = [*nodes_of(body), *cast("list[Event]", INSURED["nodes"])]
        ways = ways_of(nodes)
        assert {node["type"] for node in nodes} == TYPES
        assert {one["operator"] for one in objects(nodes) if "left" in one} == OPERATORS
        assert {kind for node in nodes for kind in node if kind.endswith("edge")} == set(FIXED)
        assert len({node["id"] for node in nodes}) == len(nodes)
        assert len(set(ways)) == len(ways)
        assert {edge for _, edge, to in ways if not to} == BACK

        choice = {"type": "cascading", "model": "gpt-4.1"}
        engine = engine_of(client.conversation_flow.create(model_choice=choice, **body))
        runs = examined(client, live_server.data_dir, engine, {**CASES, "a swap": SWAP})
        assert [one["kind"] for one in runs[-1]].count("handed_over") == 1
        client.agent.delete(agent_id)
        runs += examined(client, live_server.data_dir, engine, {"nobody to swap with": SWAP_FAILS})

        assert {last(place) for events in runs for place, _ in moves(events)} == {node["id"] for node in nodes}
        assert {way for events in runs for way in taken(events)} == set(ways)

    async with serving_mcp() as mcp:
        with shop() as (url, _):
            await asyncio.to_thread(examine, mcp.url, url)
