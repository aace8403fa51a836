"""Libraries are made of texts, files and pages, and assistants find what is in them."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import LOCAL, Seen, Server, serving
from tests.services.test_documents import embedding
from tests.support.store import NOW, ORG, Hand

from vivavoce.core.knowledge import Library, Source, Standing
from vivavoce.core.passage import Recall
from vivavoce.outbound.fetch import open_session
from vivavoce.services import duties as doers
from vivavoce.services import libraries
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.libraries import Given, Unfinished
from vivavoce.services.tooling import ToolsOf
from vivavoce.storage import duties
from vivavoce.storage.duties import Duty

OTHER = "org-b"
DRAFT = Library("", "Manuals", 0, 0)
RETURNS = ("Returns", "You may send shoes back within thirty days.")
HOURS = ("hours.md", b"# Opening hours\n\nThe shop is open from nine to six.")
PAGE = "<!doctype html><head><title>x</title></head><body><p>Vouchers never expire.</p></body>"


@pytest.fixture
async def near(ctx: Context) -> AsyncGenerator[Context]:
    """A context whose requests may go to this machine."""
    async with open_session(LOCAL) as session:
        yield replace(ctx, outbound=session)


async def make(ctx: Context, given: Given, org: str = ORG, **fields: Any) -> Library:
    return await libraries.create(ctx, org, replace(DRAFT, **fields), given)


async def find(ctx: Context, about: str, *buckets: str) -> tuple[str, ...]:
    box = ToolsOf(ctx, ORG, "", conversation_id="talk-1")
    return await box.recalled(Recall(buckets, 2), about)


def html(text: str = PAGE, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


async def taken(ctx: Context, within_s: float = 0) -> tuple[Duty, ...]:
    """The duties that are due then, as a worker takes them."""
    due = ctx.clock.now() + round(within_s * 1000)
    return await ctx.database.write(lambda tx: duties.take(tx, due, NOW, ctx.new_id(), 1000, 10))


async def work(ctx: Context) -> None:
    """What a worker does with what is due."""
    for duty in await taken(ctx):
        await doers.perform(ctx, duty)
        await ctx.database.write(lambda tx, duty=duty: duties.finish(tx, duty))


async def only(ctx: Context, library: Library) -> Source:
    [source] = (await libraries.retrieve(ctx, ORG, library.id)).sources
    return source


# --- texts and files -------------------------------------------------------------------------------------------------


async def test_texts_and_files_are_found_at_once(ctx: Context) -> None:
    library = await make(ctx, Given((RETURNS,), (HOURS,)))
    assert library.standing is Standing.READY
    assert [(one.kind, one.name, one.size, one.taken_at) for one in library.sources] == [
        ("text", "Returns", len(RETURNS[1]), NOW),
        ("file", "hours.md", len(HOURS[1]), NOW),
    ]
    assert await libraries.retrieve(ctx, ORG, library.id) == library
    assert await find(ctx, "may I send my shoes back?", library.id) == (RETURNS[1],)
    assert await find(ctx, "when is the shop open", library.id, "gone") == (HOURS[1].decode(),)
    assert await taken(ctx) == ()


async def test_two_texts_may_have_the_same_title(ctx: Context) -> None:
    library = await make(ctx, Given((("FAQ", "Shoes are sold."), ("FAQ", "Boats are rented."))))
    assert await find(ctx, "boats", library.id) == ("Boats are rented.",)
    assert await find(ctx, "shoes", library.id) == ("Shoes are sold.",)


async def test_a_library_that_is_not_there_finds_nothing(ctx: Context) -> None:
    mine, empty = await make(ctx, Given((RETURNS,)), org=OTHER), await make(ctx, Given())
    assert empty.standing is Standing.READY
    assert await find(ctx, "shoes", mine.id) == await find(ctx, "shoes", empty.id) == await find(ctx, "shoes") == ()


async def test_passages_are_as_long_as_the_library_says(ctx: Context) -> None:
    text = " ".join(f"word{number}" for number in range(300))
    library = await make(ctx, Given((("Long", text),)), longest=200, shortest=50)
    found = await find(ctx, "word7 word290", library.id)
    assert len(found) == 2
    assert all(len(one) <= 200 for one in found)


async def test_a_file_without_a_known_name_is_text(ctx: Context) -> None:
    library = await make(ctx, Given(files=(("upload", b"Bikes are repaired."), ("prices.csv", b"bike,20\nboat,30"))))
    assert await find(ctx, "bikes", library.id) == ("Bikes are repaired.",)
    assert await find(ctx, "boat", library.id) == ("bike,20\nboat,30",)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (Given(files=(("a.pdf", b"%PDF-1.7"),)), "a.pdf: only text"),
        (Given(files=(("scan", b"\xff\xfe\x00"),)), "scan.txt: it is not UTF-8"),
        (Given(files=((" ", b"x"),)), "no name of a file"),
        (Given(texts=(("", "x"),)), "no title of a text"),
        (Given(texts=(("a\x00", "x"),)), "no title of a text"),
        (Given(texts=(("a", " \n"),)), "no text in 'a'"),
        (Given(pages=("ftp://shop.example",)), "no address of a page"),
        (Given(pages=("http://[shop",)), "no address of a page"),
        (Given(pages=("https://" + "a" * 2048,)), "no address of a page"),
        (Given(pages=("https://shop.example",) * (libraries.MOST_SOURCES + 1)), "at most 500 sources"),
    ],
)
async def test_what_cannot_be_taken_in_is_refused_and_nothing_is_kept(ctx: Context, given: Given, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        await make(ctx, replace(given, texts=(RETURNS, *given.texts)))
    assert await libraries.get_all(ctx, ORG) == ()
    library = await make(ctx, Given((RETURNS,)))
    with pytest.raises(Rejected, match=why):
        await libraries.add(ctx, ORG, library.id, given)
    assert await libraries.retrieve(ctx, ORG, library.id) == library


async def test_sources_are_added_and_removed(ctx: Context, hand: Hand) -> None:
    library = await make(ctx, Given((RETURNS,)))
    hand.turn(5)
    grown = await libraries.add(ctx, ORG, library.id, Given(files=(HOURS,)))
    assert (grown.changed_at, len(grown.sources)) == (NOW + 5000, 2)
    assert len(await find(ctx, "open from nine", library.id)) == 1
    less = await libraries.delete_source(ctx, ORG, library.id, grown.sources[1].id)
    assert less.sources == library.sources
    assert await find(ctx, "open from nine", library.id) == ()
    with pytest.raises(NotFound) as missing:
        await libraries.delete_source(ctx, ORG, library.id, grown.sources[1].id)
    assert missing.value.noun == "source"


async def test_a_library_belongs_to_its_organisation(ctx: Context) -> None:
    library = await make(ctx, Given((RETURNS,)))
    with pytest.raises(NotFound):
        await libraries.retrieve(ctx, OTHER, library.id)
    with pytest.raises(NotFound):
        await libraries.add(ctx, OTHER, library.id, Given((RETURNS,)))
    with pytest.raises(NotFound):
        await libraries.delete_source(ctx, OTHER, library.id, library.sources[0].id)
    with pytest.raises(NotFound):
        await libraries.delete(ctx, OTHER, library.id)
    assert await libraries.get_all(ctx, OTHER) == ()
    assert await libraries.get_all(ctx, ORG) == (library,)


async def test_a_library_is_forgotten_with_all_that_is_in_it(near: Context) -> None:
    library = await make(near, Given((RETURNS,), pages=("http://127.0.0.1:9/",)))
    other = await make(near, Given((RETURNS,)))
    await libraries.delete(near, ORG, library.id)
    with pytest.raises(NotFound):
        await libraries.retrieve(near, ORG, library.id)
    assert await find(near, "shoes", library.id) == ()
    assert len(await find(near, "shoes", other.id)) == 1
    assert await taken(near) == ()


# --- pages -----------------------------------------------------------------------------------------------------------


async def test_a_page_is_fetched_in_the_background(near: Context) -> None:
    async with serving(lambda _: html()) as server:
        library = await make(near, Given((RETURNS,), pages=(server.url,)))
        assert library.standing is Standing.TAKING_IN
        assert library.sources[1] == Source(library.sources[1].id, "page", server.url)
        assert await find(near, "shoes", library.id) == (RETURNS[1],)
        await work(near)
    done = await libraries.retrieve(near, ORG, library.id)
    assert done.standing is Standing.READY
    assert (done.sources[1].taken_at, done.sources[1].size, done.sources[1].fault) == (NOW, len(PAGE), "")
    assert await find(near, "do vouchers expire?", library.id) == ("Vouchers never expire.",)
    assert done.refreshed_at is None
    assert await taken(near, within_s=10**6) == ()


async def test_a_redirect_is_followed_under_the_same_guard(near: Context) -> None:
    def reply(seen: Seen) -> web.Response:
        if seen.target == "/inside":
            return web.Response(status=302, headers={"location": "http://10.0.0.1/"})
        if seen.target == "/odd":
            return web.Response(status=302, headers={"location": "http://[x"})
        if seen.target == "/round":
            return web.Response(status=301, headers={"location": "/round"})
        return html() if seen.target == "/new" else web.Response(status=308, headers={"location": "new"})

    async with serving(reply) as server:
        pages = tuple(f"{server.url}/{name}" for name in ("old", "inside", "odd", "round"))
        library = await make(near, Given(pages=pages))
        await work(near)
    done = await libraries.retrieve(near, ORG, library.id)
    assert [one.fault for one in done.sources] == [
        "",
        "The page may not be fetched from here.",
        "The page leads on to something that is no address.",
        "The page leads on more than 5 times.",
    ]
    assert done.standing is Standing.BROKEN
    assert await find(near, "vouchers", library.id) == ("Vouchers never expire.",)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda: html(status=404), "answered with HTTP status 404"),
        (lambda: html("<script>1</script>"), "has no text"),
        (lambda: web.Response(body=b"x", content_type="application/pdf"), "is no text, but application/pdf"),
        (lambda: web.Response(body=b"x" * (libraries.PAGE_BYTES + 1)), "is larger than 2 MiB"),
    ],
)
async def test_a_page_that_cannot_be_taken_in_says_why(near: Context, answer: Any, fault: str) -> None:
    async with serving(lambda _: answer()) as server:
        library = await make(near, Given(pages=(server.url,)))
        await work(near)
    source = await only(near, library)
    assert source.fault == f"The page {fault}."
    assert source.taken_at is None
    settled = await libraries.delete_source(near, ORG, library.id, source.id)
    assert settled.standing is Standing.READY


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/ld+json", "application/atom+xml"])
async def test_other_text_than_pages_is_taken_as_it_is(near: Context, kind: str) -> None:
    async with serving(lambda _: web.Response(text="a <b> voucher\r\nhere", content_type=kind)) as server:
        library = await make(near, Given(pages=(server.url,)))
        await work(near)
    assert await find(near, "voucher", library.id) == ("a <b> voucher\nhere",)


async def test_a_page_that_may_come_later_is_tried_again(near: Context) -> None:
    """Also where the worker dies in between: the duty stays."""
    async with serving(lambda _: html(status=503)) as server:
        library = await make(near, Given(pages=(server.url,)))
        [duty] = await taken(near)
        for attempt in (1, 2):
            with pytest.raises(Unfinished):
                await libraries.perform(near, replace(duty, attempts=attempt))
            assert (await only(near, library)).waits
        await libraries.perform(near, replace(duty, attempts=3))
        assert (await only(near, library)).fault == "The page answered with HTTP status 503."
        assert (await libraries.retrieve(near, ORG, library.id)).standing is Standing.BROKEN
    async with serving(lambda _: html()) as server:
        library = await make(near, Given(pages=("http://127.0.0.1:9/", server.url)))
        [duty] = await taken(near)
        with pytest.raises(Unfinished):
            await libraries.perform(near, duty)
        found = await libraries.retrieve(near, ORG, library.id)
        assert [one.waits for one in found.sources] == [True, False]
        assert found.standing is Standing.TAKING_IN
        await libraries.perform(near, replace(duty, attempts=3))
        assert len(server.seen) == 1
    assert (await libraries.retrieve(near, ORG, library.id)).sources[0].fault == "The page cannot be reached."


async def test_what_is_removed_while_it_is_fetched_stays_removed(near: Context) -> None:
    server: Server

    async def reply(_: Seen) -> web.StreamResponse:
        if drops:
            await libraries.delete_source(near, ORG, library.id, library.sources[0].id)
        else:
            await libraries.delete(near, ORG, library.id)
        return html()

    for drops in (True, False):
        async with serving(reply) as server:
            library = await make(near, Given(pages=(server.url,)))
            [duty] = await taken(near)
            await libraries.perform(near, duty)
        assert await find(near, "vouchers", library.id) == ()
        kept = [one for one in await libraries.get_all(near, ORG) if one.id == library.id]
        assert [(one.sources, one.standing) for one in kept] == ([((), Standing.READY)] if drops else [])
    await libraries.perform(near, replace(duty, subject=library.id))


async def test_what_is_added_while_pages_are_fetched_is_fetched_next(near: Context) -> None:
    added: list[Library] = []

    async def reply(seen: Seen) -> web.StreamResponse:
        if not added:
            added.append(await libraries.add(near, ORG, library.id, Given(pages=(f"{server.url}/second",))))
        return html(f"<p>page {seen.target[1:]}</p>")

    async with serving(reply) as server:
        library = await make(near, Given(pages=(f"{server.url}/first",)), refreshes=True)
        await work(near)
        between = await libraries.retrieve(near, ORG, library.id)
        assert between.standing is Standing.TAKING_IN
        assert [one.waits for one in between.sources] == [False, True]
        await work(near)
        assert [seen.target for seen in server.seen] == ["/first", "/second"]
    assert (await libraries.retrieve(near, ORG, library.id)).standing is Standing.READY
    assert await find(near, "second", library.id) == ("page second",)


async def test_pages_are_fetched_again_every_12_hours_where_the_library_refreshes(near: Context, hand: Hand) -> None:
    words = "one"
    async with serving(lambda _: html(words)) as server:
        library = await make(near, Given((RETURNS,), pages=(server.url,)), refreshes=True)
        await work(near)
        assert (await libraries.retrieve(near, ORG, library.id)).refreshed_at == NOW
        hand.turn(12 * 3600 - 1)
        assert await taken(near) == ()
        words = "two"
        hand.turn(1)
        await work(near)
        done = await libraries.retrieve(near, ORG, library.id)
        assert (done.refreshed_at, done.standing) == (hand.now(), Standing.READY)
        assert done.sources[1].taken_at == hand.now()
        assert await find(near, "two", library.id) == ("two",)
        assert await find(near, "one", library.id) == ()
        hand.turn(12 * 3600)
        await work(near)
        assert len(server.seen) == 3
        server.reply = lambda _: html(status=404)
        hand.turn(12 * 3600)
        [duty] = await taken(near)
        await libraries.perform(near, duty)
    failed = await libraries.retrieve(near, ORG, library.id)
    assert failed.standing is Standing.BROKEN
    assert failed.sources[1].fault
    assert failed.sources[1].taken_at == NOW + 24 * 3600 * 1000
    assert await find(near, "two", library.id) == ("two",)


async def test_a_library_that_is_being_refreshed_says_so(near: Context, hand: Hand) -> None:
    seen: list[Standing] = []

    async def reply(_: Seen) -> web.StreamResponse:
        seen.append((await libraries.retrieve(near, ORG, library.id)).standing)
        if len(seen) == 2:
            found = await libraries.retrieve(near, ORG, library.id)
            left = await libraries.delete_source(near, ORG, library.id, found.sources[0].id)
            seen.append(left.standing)
        return html()

    async with serving(reply) as server:
        library = await make(near, Given((RETURNS,), pages=(server.url,)), refreshes=True)
        await work(near)
        hand.turn(12 * 3600)
        await work(near)
    assert seen == [Standing.TAKING_IN, Standing.REFRESHING, Standing.REFRESHING]


# --- vectors ---------------------------------------------------------------------------------------------------------


async def test_what_is_taken_in_is_embedded_where_a_model_embeds(ctx: Context) -> None:
    async with embedding(ctx) as (ready, server, _):
        library = await make(ready, Given((RETURNS, ("Hours", HOURS[1].decode()))))
        assert library.standing is Standing.TAKING_IN
        assert (await find(ready, "shoes", library.id))[0] == RETURNS[1]
        await work(ready)
        assert (await libraries.retrieve(ready, ORG, library.id)).standing is Standing.READY
        # Nothing in common but the topic.
        assert (await find(ready, "footwear", library.id))[0] == RETURNS[1]
        assert len(server.seen) == 2


async def test_what_no_model_embeds_is_found_by_its_words(ctx: Context) -> None:
    async with embedding(ctx) as (ready, server, _):
        server.reply = lambda _: web.Response(status=500)
        library = await make(ready, Given((RETURNS,)))
        [duty] = await taken(ready)
        with pytest.raises(Unfinished):
            await libraries.perform(ready, duty)
        await libraries.perform(ready, replace(duty, attempts=3))
        assert (await libraries.retrieve(ready, ORG, library.id)).standing is Standing.READY
        assert await find(ready, "shoes", library.id) == (RETURNS[1],)
