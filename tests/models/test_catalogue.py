"""What models are listed: the names of the settings, and what providers tell of theirs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from tests.models.conftest import KEY

from vivavoce.models.catalogue import KEPT_S, Listed
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.pace import Pace
from vivavoce.models.resolve import Models

NOWHERE = Provider("away", "http://127.0.0.1:9/v1")
GPT = {"id": "gpt-x", "object": "model", "created": 1715367049, "owned_by": "openai"}


@dataclass
class Shelf:
    """Answers ``GET /v1/models`` with ``told``, or with a status."""

    told: Any = None
    status: int = 200
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    url: str = ""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append((f"{request.method} {request.path_qs}", request.headers.get("Authorization", "")))
        return web.json_response(self.told, status=self.status)


@asynccontextmanager
async def shelved(told: Any) -> AsyncGenerator[Shelf]:
    shelf = Shelf(told)
    runner = web.ServerRunner(web.Server(shelf.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        shelf.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield shelf
    finally:
        await runner.cleanup()


@pytest.fixture
async def shelf() -> AsyncGenerator[Shelf]:
    async with shelved({"object": "list", "data": [GPT]}) as made:
        yield made


@dataclass
class Watch:
    now: float = 1000.0

    @property
    def pace(self) -> Pace:
        return Pace(now=lambda: self.now)


def names(found: tuple[Listed, ...]) -> list[str]:
    return [one.name for one in found]


async def listed(pace: Pace | None = None, **given: Any) -> tuple[Listed, ...]:
    models = Models(ModelSettings(**given), pace)
    try:
        return await models.listed()
    finally:
        await models.close()


async def test_with_nothing_set_there_is_the_scripted_model() -> None:
    [scripted] = await listed()
    assert (scripted.name, scripted.owner, scripted.preferred) == ("scripted", "vivavoce", True)


async def test_names_of_the_settings_are_listed_where_they_are_served() -> None:
    found = await listed(
        providers={"away": NOWHERE},
        default_model="away/a",
        judge_model="away/j",
        tester_model="nobody/serves-this",
        aliases={"short": "away/long", "lost": "nobody/knows", "a": "b", "b": "a"},
    )
    assert names(found) == ["away/a", "away/j", "short", "scripted"]
    assert [one.preferred for one in found] == [True, False, False, False]
    assert found[2].note == "Served by away/long."


async def test_providers_tell_of_theirs_and_one_that_is_down_does_no_harm(shelf: Shelf) -> None:
    found = await listed(
        providers={
            "away": NOWHERE,
            "odd": Provider("odd", "localhost:1"),
            "local": Provider("local", f"{shelf.url}?v=1", KEY),
        },
        default_model="local/gpt-x",
    )
    assert found == (
        Listed("local/gpt-x", "openai", 1715367049, preferred=True),
        Listed("scripted", "vivavoce", note="Follows the script in its instructions; no language model."),
    )
    assert shelf.asked == [("GET /v1/models?v=1", f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"id": "a", "context_length": 8192}, Listed("local/a", context=8192)),
        ({"id": "a", "max_model_len": 4096, "context_length": None}, Listed("local/a", context=4096)),
        ({"id": "a", "created": 1.5e9, "owned_by": "me"}, Listed("local/a", "me", 1_500_000_000)),
        ({"id": "a", "created": 1e300, "owned_by": 7, "context_length": "many"}, Listed("local/a")),
        ({"id": "a\x00b"}, Listed("local/ab")),
        ({"id": ""}, None),
        ({"id": 7}, None),
        ({"id": "x" * 257}, None),
        ("a", None),
    ],
)
async def test_what_is_told_is_taken_where_it_makes_sense(shelf: Shelf, item: Any, expected: Listed | None) -> None:
    shelf.told = {"data": [item]}
    found = await listed(providers={"local": Provider("local", shelf.url)})
    assert found[1:] == (() if expected is None else (expected,))


@pytest.mark.parametrize("told", [{"data": "none"}, [], {}, "x"])
async def test_an_answer_that_is_none_lists_nothing(shelf: Shelf, told: Any) -> None:
    shelf.told = told
    assert names(await listed(providers={"local": Provider("local", shelf.url)})) == ["scripted"]


async def test_an_answer_and_the_lack_of_one_hold_for_a_minute(shelf: Shelf) -> None:
    watch = Watch()
    models = Models(ModelSettings(providers={"local": Provider("local", shelf.url)}), watch.pace)
    shelf.status = 500
    assert names(await models.listed()) == ["scripted"]
    shelf.status = 200
    watch.now += KEPT_S - 1
    assert names(await models.listed()) == ["scripted"]
    watch.now += 1
    assert names(await models.listed()) == ["scripted", "local/gpt-x"]
    assert names(await models.listed()) == ["scripted", "local/gpt-x"]
    assert len(shelf.asked) == 2
    await models.close()


async def test_openai_is_listed_under_its_name(shelf: Shelf) -> None:
    found = await listed(environment={"OPENAI_BASE_URL": shelf.url})
    assert names(found) == ["openai/gpt-4o-mini", "scripted", "openai/gpt-x"]
