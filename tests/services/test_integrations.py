"""Integrations (contract, section 5.14), against a stand-in of the one that works."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import LOCAL, Seen, serving
from tests.support.store import ORG, Hand

from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Attached
from vivavoce.core.integration import Connection
from vivavoce.outbound.fetch import open_session
from vivavoce.services import integrations, secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.tooling import ToolsOf
from vivavoce.tools.catalog import CATALOG, GITHUB

OTHER = "org-b"
NAMES = tuple(tool.name for tool in GITHUB.tools)


@pytest.fixture
async def near(ctx: Context, hand: Hand) -> AsyncGenerator[Context]:
    """A context that may call this machine, with a secret for GitHub."""
    await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, "github", "bearer", "ghp_1"))
    async with open_session(LOCAL, ticks=hand.ticks) as session:
        yield replace(ctx, outbound=session)


async def connect(
    ctx: Context,
    id_: str = "github",
    *,
    secret: str = "github",
    base_url: str | None = None,
    allowed: tuple[str, ...] | None = None,
) -> Connection:
    return await integrations.connect(
        ctx.database, ctx.clock, ctx.new_id, ORG, id_, secret=secret, base_url=base_url, allowed=allowed
    )


def test_the_catalog_is_the_documented_one_and_says_what_does_not_work() -> None:
    named = "Salesforce, ServiceNow, Jira, HubSpot, Zendesk, Intercom, GitHub, Greenhouse, Coval"
    assert ", ".join(one.title for one in CATALOG) == named
    assert len({one.id for one in CATALOG}) == len(CATALOG)
    for one in CATALOG:
        assert bool(one.tools) is ("no tools on this server yet" not in one.description)
    assert len(set(NAMES)) == len(NAMES)


async def test_an_integration_is_connected_when_there_is_a_connection(near: Context) -> None:
    assert not any(used for _, used in await integrations.get_all(near, ORG))
    made = await connect(near)
    assert [one.id for one, used in await integrations.get_all(near, ORG) if used] == ["github"]
    assert await integrations.retrieve(near, ORG, "github") == (GITHUB, True)
    assert await integrations.get_connections(near, ORG) == (made,)
    assert await integrations.get_connection(near, ORG, made.id) == made
    assert integrations.tool_names(made) == NAMES
    await integrations.disconnect(near, ORG, made.id)
    assert await integrations.retrieve(near, ORG, "github") == (GITHUB, False)


async def test_connections_belong_to_their_organisation(near: Context) -> None:
    made = await connect(near)
    assert await integrations.get_connections(near, OTHER) == ()
    assert await integrations.retrieve(near, OTHER, "github") == (GITHUB, False)
    for act in (integrations.get_connection, integrations.disconnect):
        with pytest.raises(NotFound):
            await act(near, OTHER, made.id)
    with pytest.raises(NotFound):
        await integrations.retrieve(near, ORG, "abacus")


async def test_connecting_again_changes_the_connection(near: Context) -> None:
    first = await connect(near)
    again = await connect(near, base_url="https://github.example/api/v3", allowed=NAMES[:1])
    assert again == replace(first, base_url="https://github.example/api/v3", allowed=NAMES[:1])
    assert await integrations.get_connections(near, ORG) == (again,)
    assert integrations.tool_names(again) == NAMES[:1]


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "github.example",
        "ftp://a.example",
        "https://",
        "https://u:p@a.example",
        "https://{x}",
        "https://a.b?c",
        "https://[a",
    ],
)
async def test_addresses_that_are_none(near: Context, base_url: str) -> None:
    with pytest.raises(Rejected):
        await connect(near, base_url=base_url)


async def test_what_cannot_be_connected(near: Context) -> None:
    with pytest.raises(NotFound):
        await connect(near, "abacus")
    with pytest.raises(Rejected, match="no tools on this server yet"):
        await connect(near, "jira")
    with pytest.raises(Rejected, match="has no tool 'delete_everything'"):
        await connect(near, allowed=("delete_everything",))
    with pytest.raises(Rejected, match="no integration secret 'gone'"):
        await connect(near, secret="gone")
    assert await integrations.get_connections(near, ORG) == ()


async def test_an_assistant_gets_what_both_sides_allow(near: Context) -> None:
    assert await integrations.offered(near, ORG, ()) == ((), ())
    both = (Attached("github"), Attached("jira"), Attached("abacus"))
    tools, notes = await integrations.offered(near, ORG, both)
    assert tools == ()
    assert notes == (
        "GitHub is not connected: its tools are not offered.",
        "Jira has no tools on this server yet.",
        "There is no integration 'abacus'.",
    )
    await connect(near, allowed=NAMES[:2])
    tools, notes = await integrations.offered(near, ORG, (Attached("github"),))
    assert (tuple(tool.name for tool in tools), notes) == (NAMES[:2], ())
    tools, notes = await integrations.offered(near, ORG, (Attached("github", NAMES[1:]), Attached("github")))
    assert (tuple(tool.name for tool in tools), notes) == ((NAMES[1], NAMES[0]), ())
    tools, notes = await integrations.offered(near, ORG, (Attached("github", NAMES[3:]),))
    assert (tools, notes) == ((), ("GitHub offers none of the tools that are allowed.",))


class Hub:
    """As much of GitHub's API as the tools use."""

    def __init__(self) -> None:
        self.issues: dict[int, dict[str, object]] = {}
        self.comments: list[str] = []

    def reply(self, seen: Seen) -> web.StreamResponse:
        if seen.headers.get("Authorization") != "Bearer ghp_1":
            return web.json_response({"message": "Bad credentials"}, status=401)
        assert seen.headers["Accept"] == "application/vnd.github+json"
        path, _, query = seen.target.partition("?")
        body: dict[str, Any] = json.loads(seen.body or b"{}")
        match seen.method, path.split("/")[1:]:
            case "GET", ["v3", "search", "issues"]:
                assert query == "q=repo:octo/hello%20printer&per_page=5"
                return web.json_response({"items": list(self.issues.values())})
            case "POST", ["v3", "repos", "octo", "hello", "issues"]:
                number = len(self.issues) + 1
                self.issues[number] = {"number": number, "state": "open", **body}
                return web.json_response(self.issues[number], status=201)
            case "GET", ["v3", "repos", "octo", "hello", "issues", number]:
                return web.json_response(self.issues[int(number)])
            case "PATCH", ["v3", "repos", "octo", "hello", "issues", number]:
                self.issues[int(number)] |= body
                return web.json_response(self.issues[int(number)])
            case "POST", ["v3", "repos", "octo", "hello", "issues", _, "comments"]:
                self.comments.append(body["body"])
                return web.json_response({"body": body["body"]}, status=201)
            case "GET", ["v3", "repos", "octo", "hello", "issues", _, "comments"]:
                return web.json_response([{"body": one} for one in self.comments])
            case _:
                return web.json_response({"message": "Not Found"}, status=404)


async def test_the_tools_of_github_work(near: Context) -> None:
    hub, where = Hub(), {"owner": "octo", "repo": "hello"}
    async with serving(hub.reply) as server:
        await connect(near, base_url=server.url + "/v3/")
        tools, _ = await integrations.offered(near, ORG, (Attached("github"),))
        known = {tool.name: tool for tool in tools}
        box = ToolsOf(near, ORG, "acme_", conversation_id="c")

        async def call(name: str, **arguments: object) -> object:
            output = await box.call(known[name], arguments, key="k", filling=Filling({}))
            assert output.ok, output.text
            return json.loads(output.text)

        issue = {"number": 1, "state": "open", "title": "Jam", "body": "Paper.", "labels": ["printer"]}
        made = await call("github_create_issue", **where, title="Jam", body="Paper.", labels=["printer"])
        assert made == issue
        assert await call("github_search_issues", q="repo:octo/hello printer") == {"items": [issue]}
        await call("github_comment_on_issue", **where, number=1, body="On it.")
        assert await call("github_list_comments", **where, number=1) == [{"body": "On it."}]
        await call("github_update_issue", **where, number=1, state="closed")
        assert await call("github_get_issue", **where, number=1) == {**issue, "state": "closed"}
        unfit = await box.call(known["github_get_issue"], {**where, "number": "one"}, key="k", filling=Filling({}))
        assert not unfit.ok


async def test_a_wrong_secret_is_told_and_not_shown(near: Context) -> None:
    await near.database.write(lambda tx: secrets.create(near, tx, ORG, "old", "bearer", "ghp_0"))
    async with serving(Hub().reply) as server:
        await connect(near, secret="old", base_url=server.url + "/v3")
        tools, _ = await integrations.offered(near, ORG, (Attached("github"),))
        box = ToolsOf(near, ORG, "", conversation_id="c")
        output = await box.call(tools[0], {"q": "x"}, key="k", filling=Filling({}))
    assert (output.ok, output.status_code) == (False, 401)
    assert "Bad credentials" in output.text
    assert "ghp_0" not in output.text
