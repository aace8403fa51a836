from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from aiohttp import web
from tests.outbound.local_server import LOCAL, Seen, Server, always, serving
from tests.support import providers
from tests.support.providers import KEY
from tests.support.store import ORG, a_version

from vivavoce.core.assistant import Assistant, Origin, Version
from vivavoce.importing.provider import Draft, Provider
from vivavoce.outbound.fetch import open_session
from vivavoce.services import assistants, imports, secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Rejected

VAPI = Provider.VAPI
KNOWN = providers.VAPI_ASSISTANT["id"]
OTHER = "org-b"


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


def stand_in(seen: Seen) -> web.Response:
    status, found = providers.answer(seen.method, seen.target, seen.headers)
    return web.json_response(found, status=status)


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving(stand_in) as found:
        yield found


@pytest.fixture
async def importing(ctx: Context, server: Server) -> AsyncGenerator[Context]:
    """The context of a server that imports from the stand-in, with two secrets."""
    async with open_session(LOCAL) as session:
        for identifier, value in (("key", KEY), ("wrong", "nonsense")):
            await ctx.database.write(
                lambda tx, i=identifier, v=value: secrets.create(ctx, tx, ORG, i, "bearer", v)
            )  # fmt: skip
        yield replace(ctx, outbound=session, import_urls=dict.fromkeys(("vapi", "retell"), server.url))


async def keep(ctx: Context, *found: tuple[str, Version], org: str = ORG) -> tuple[Assistant, ...]:
    drafts = [(Origin("vapi", id_), version) for id_, version in found]
    return await ctx.database.write(lambda tx: imports.keep(ctx, tx, org, drafts, anything))


async def test_what_is_fetched_is_asked_for_with_the_secret(importing: Context, server: Server) -> None:
    [found] = await imports.fetch(importing, ORG, VAPI, "key", [KNOWN], prefix="our_")
    assert isinstance(found, Draft)
    assert (found.id, found.version.greeting) == (KNOWN, "Hello, you called on {{our_current_date}}.")
    assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {KEY}"}


async def test_what_the_request_is_to_blame_for(importing: Context) -> None:
    for key_ref, ids, part in (
        ("none", None, "api_key_ref"),
        ("wrong", None, "api_key_ref"),
        ("key", ["none"], "import_ids"),
    ):
        with pytest.raises(Rejected) as failure:
            await imports.fetch(importing, ORG, VAPI, key_ref, ids, prefix="")
        assert failure.value.part == part
        assert KEY not in str(failure.value)
    with pytest.raises(Rejected):
        await imports.fetch(importing, OTHER, VAPI, "key", None, prefix="")


async def test_too_many_to_be_imported_at_once(importing: Context, server: Server) -> None:
    items = [{"agent_id": f"{number}"} for number in range(1001)]
    server.reply = always({"items": items, "has_more": False})
    with pytest.raises(Rejected, match="1000") as failure:
        await imports.fetch(importing, ORG, Provider.RETELL, "key", None, prefix="")
    assert failure.value.part == "import_ids"


async def test_a_provider_that_fails_is_nobody_s_fault_here(importing: Context, server: Server) -> None:
    server.reply = always({}, 500)
    with pytest.raises(Broken, match="vapi"):
        await imports.fetch(importing, ORG, VAPI, "key", None, prefix="")


async def test_what_was_imported_before_gets_a_new_version(ctx: Context) -> None:
    [a, b] = await keep(ctx, ("a", a_version(name="a")), ("b", a_version(name="b")))
    assert (a.origin, b.origin) == (Origin("vapi", "a"), Origin("vapi", "b"))
    await assistants.tag(ctx, ORG, a.id, "mine")
    [again, c] = await keep(ctx, ("a", a_version(name="a again")), ("c", a_version(name="c")))
    assert (again.id, again.main.name, again.tags) == (a.id, "a again", ("mine",))
    _, versions = await assistants.get_versions(ctx, ORG, a.id)
    assert [version.name for version in versions] == ["a again", "a"]
    found = await assistants.get_all(ctx, ORG)
    assert {one.id for one in found} == {a.id, b.id, c.id}


async def test_an_origin_is_of_one_organisation_and_one_provider(ctx: Context) -> None:
    [mine] = await keep(ctx, ("a", a_version()))
    [theirs] = await keep(ctx, ("a", a_version()), org=OTHER)
    draft = [(Origin("elevenlabs", "a"), a_version())]
    [other] = await ctx.database.write(lambda tx: imports.keep(ctx, tx, ORG, draft, anything))
    assert len({mine.id, theirs.id, other.id}) == 3


async def test_what_was_deleted_since_is_made_anew(ctx: Context) -> None:
    [before] = await keep(ctx, ("a", a_version()))
    await assistants.delete(ctx, ORG, before.id, hard=False)
    [after] = await keep(ctx, ("a", a_version()))
    assert after.id != before.id
    # Both are there now: the next import finds the newer one.
    await assistants.restore(ctx, ORG, before.id)
    [again] = await keep(ctx, ("a", a_version()))
    assert again.id == after.id


async def test_all_are_kept_or_none(ctx: Context) -> None:
    def picky(version: Version) -> None:
        if version.name == "bad":
            raise Rejected("no")

    drafts = [(Origin("vapi", name), a_version(name=name)) for name in ("good", "bad")]
    with pytest.raises(Rejected):
        await ctx.database.write(lambda tx: imports.keep(ctx, tx, ORG, drafts, picky))
    assert await assistants.get_all(ctx, ORG) == ()
