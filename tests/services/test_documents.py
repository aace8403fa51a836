"""Documents are taken in and found again, by words or by vectors."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs
from tests.outbound.local_server import Seen, Server, always, serving
from tests.support.store import ORG

from vivavoce.core.document import Document
from vivavoce.core.model import ModelFailure
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.embeddings import Embedder, embedder
from vivavoce.models.resolve import Models
from vivavoce.services import documents
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected

OTHER = "org-b"
RETURNS = b"You may send shoes back within thirty days."
HOURS = b"# Opening hours\n\nThe shop is open from nine to six, every day."
TOPICS = (("shoes", "boots", "footwear"), ("open", "hours", "evening"))


def topics(seen: Seen) -> web.Response:
    """Vectors by topic: what a real model would find near without a word in common."""
    data = [
        {"embedding": [0.1 + sum(word in text.lower() for word in some) for some in TOPICS]}
        for text in seen.json["input"]
    ]
    return web.json_response({"data": data})


@asynccontextmanager
async def embedding(ctx: Context, name: str = "local/e-1") -> AsyncGenerator[tuple[Context, Server, Embedder]]:
    """A context with a model that embeds, and its server."""
    async with serving(topics) as server:
        provider = Provider("local", server.url, timeout_s=5.0, max_attempts=1)
        models = Models(ModelSettings({"local": provider}))
        yield replace(ctx, models=models, embedding_model=name), server, embedder(models, name)
        await models.close()


async def add(
    ctx: Context, name: str, data: bytes, bucket: str = "manuals", embeds: Embedder | None = None, org: str = ORG
) -> Document | None:
    return await documents.add(ctx.database, ctx.clock, ctx.new_id, org, bucket, name, data, embeds)


async def find(ctx: Context, query: str, *buckets: str, most: int | None = None) -> list[str]:
    found = await documents.search(ctx, ORG, buckets or ("manuals",), query, most)
    return [one.source for one in found]


@pytest.fixture
async def filled(ctx: Context) -> Context:
    await add(ctx, "returns.txt", RETURNS)
    await add(ctx, "hours.md", HOURS)
    return ctx


# --- taking in -------------------------------------------------------------------------------------------------------


async def test_documents_are_listed_by_bucket_and_removed_by_name(filled: Context) -> None:
    await add(filled, "hours.md", HOURS, "kitchen")
    database = filled.database
    listed = await documents.get_all(database, ORG)
    shown = [(one.document.bucket, one.document.name, one.passages, one.embedded) for one in listed]
    assert shown == [("manuals", "returns.txt", 1, 0), ("manuals", "hours.md", 1, 0), ("kitchen", "hours.md", 1, 0)]
    assert [one.document.bucket for one in await documents.get_all(database, ORG, "kitchen")] == ["kitchen"]
    await documents.remove(database, ORG, "manuals", "hours.md")
    assert len(await documents.get_all(database, ORG)) == 2
    for org, bucket, name in ((ORG, "manuals", "hours.md"), (OTHER, "kitchen", "hours.md"), (ORG, "x", "returns.txt")):
        with pytest.raises(NotFound):
            await documents.remove(database, org, bucket, name)


async def test_what_is_there_already_is_left_and_what_changed_is_replaced(filled: Context) -> None:
    assert await add(filled, "returns.txt", RETURNS) is None
    assert await add(filled, "returns.txt", b"No returns.") is not None
    assert len(await documents.get_all(filled.database, ORG)) == 2
    [found] = await documents.search(filled, ORG, ["manuals"], "returns", None)
    assert found.text == "No returns."
    assert await find(filled, "thirty") == []


async def test_a_long_document_is_found_in_passages(ctx: Context) -> None:
    pages = "\n\n".join(f"Chapter {number}. " + "All about something else. " * 20 for number in range(30))
    await add(ctx, "book.txt", f"{pages}\n\nThe treasure is under the oak.".encode())
    [one] = await documents.get_all(ctx.database, ORG)
    assert one.passages > 10
    [found] = await documents.search(ctx, ORG, ["manuals"], "Where is the treasure?", 1)
    assert "under the oak" in found.text
    assert len(found.text) <= 1200


@pytest.mark.parametrize(
    ("bucket", "name", "data", "part"),
    [
        ("", "a.txt", b"x", "bucket"),
        ("b" * 256, "a.txt", b"x", "bucket"),
        ("a\x00b", "a.txt", b"x", "bucket"),
        ("b", "\udcff.txt", b"x", "file"),
        ("b", "a.pdf", b"%PDF", "file"),
        ("b", "a.txt", b"\xff", "file"),
    ],
)
async def test_what_cannot_be_taken_in_is_refused_and_nothing_is_kept(
    ctx: Context, bucket: str, name: str, data: bytes, part: str
) -> None:
    with pytest.raises(Rejected) as failure:
        await add(ctx, name, data, bucket)
    assert failure.value.part == part
    assert await documents.get_all(ctx.database, ORG) == []


# --- finding by words ------------------------------------------------------------------------------------------------


async def test_passages_are_found_by_their_words(filled: Context) -> None:
    [found] = await documents.search(filled, ORG, ["manuals"], "Can I send the shoes back?", 1)
    assert (found.text, found.source) == (RETURNS.decode(), "returns.txt")
    assert found.score > 0
    assert await find(filled, "when is it open") == ["hours.md"]
    assert await find(filled, "bicycle") == []


async def test_only_the_named_buckets_of_the_organisation_are_searched(filled: Context) -> None:
    await add(filled, "soup.txt", b"shoes and soup", "kitchen")
    await add(filled, "theirs.txt", b"shoes shoes shoes", org=OTHER)
    assert await find(filled, "shoes", "kitchen") == ["soup.txt"]
    assert set(await find(filled, "shoes", "kitchen", "manuals", "kitchen")) == {"soup.txt", "returns.txt"}
    for buckets in ((), ("nothing", "at all")):
        with pytest.raises(Rejected, match="no documents"):
            await documents.search(filled, ORG, buckets, "shoes", None)


async def test_no_more_are_given_than_wanted(ctx: Context) -> None:
    for number in range(30):
        await add(ctx, f"{number}.txt", f"shoes number {number}".encode())
    wanted = {None: documents.MOST, 1: 1, 3: 3, 1000: documents.AT_MOST, 0: 1, -5: 1}
    assert {most: len(await find(ctx, "shoes", most=most)) for most in wanted} == wanted


async def test_a_query_may_be_of_any_length(filled: Context) -> None:
    assert await find(filled, "nothing " * 100_000) == []
    assert await find(filled, "shoes " + "nothing " * 100_000) == ["returns.txt"]


async def test_many_buckets_can_be_searched_in_turn(ctx: Context) -> None:
    for turn in range(2):
        for number in range(12):
            bucket = f"bucket-{number}"
            await add(ctx, "one.txt", f"shoes {number}".encode(), bucket)
            [found] = await documents.search(ctx, ORG, [bucket], "shoes", None)
            assert found.text == f"shoes {number}", turn


# --- finding by vectors ----------------------------------------------------------------------------------------------


async def test_passages_are_found_by_what_they_mean_where_a_model_embeds(ctx: Context) -> None:
    async with embedding(ctx) as (ctx, server, embeds):
        await add(ctx, "returns.txt", RETURNS, embeds=embeds)
        await add(ctx, "hours.md", HOURS, embeds=embeds)
        assert [one.embedded for one in await documents.get_all(ctx.database, ORG, None, "local/e-1")] == [1, 1]
        assert (await find(ctx, "footwear"))[0] == "returns.txt"
        assert (await find(ctx, "this evening?"))[0] == "hours.md"
        found = await documents.search(ctx, ORG, ["manuals"], "footwear", None)
        assert found[0].score == pytest.approx(1.0, abs=0.02)
        assert server.seen[-1].json["input"] == ["footwear"]


async def test_what_was_not_embedded_yet_can_be(filled: Context) -> None:
    async with embedding(filled) as (ctx, _, embeds):
        with capture_logs() as logs:
            assert await find(ctx, "footwear") == []
            assert await find(ctx, "shoes") == ["returns.txt"]
        assert "viva documents embed" in logs[0]["event"]
        assert await documents.embed(ctx.database, ORG, embeds) == 2
        assert await documents.embed(ctx.database, ORG, embeds) == 0
        assert (await find(ctx, "footwear"))[0] == "returns.txt"
        other = replace(ctx, embedding_model="local/e-2")
        assert await find(other, "footwear") == []


async def hang(_: Any) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def test_when_the_model_fails_words_are_searched_and_the_log_says_so(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "PATIENCE_S", 0.2)
    async with embedding(ctx) as (ctx, server, embeds):
        await add(ctx, "returns.txt", RETURNS, embeds=embeds)
        for reply in (always({}, 500), always({"data": []}), hang):
            server.reply = reply
            with capture_logs() as logs:
                assert await find(ctx, "footwear") == []
                assert await find(ctx, "shoes") == ["returns.txt"]
            assert [entry["event"] for entry in logs] == ["searched by words: the query could not be embedded"] * 2
        nobody = replace(ctx, models=Models(ModelSettings()))
        assert await find(nobody, "shoes") == ["returns.txt"]


async def test_a_document_that_cannot_be_embedded_is_not_taken_in(ctx: Context) -> None:
    async with embedding(ctx) as (ctx, server, embeds):
        server.reply = always({}, 500)
        with pytest.raises(ModelFailure):
            await add(ctx, "returns.txt", RETURNS, embeds=embeds)
        assert await documents.get_all(ctx.database, ORG) == []
