"""Contract, section 3: an asynchronous webhook is waited for a while, and then goes on by itself."""

import asyncio
import logging

import pytest
from aiohttp import web
from tests.outbound.local_server import Seen, serving

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import WebhookTool
from vivavoce.outbound.fetch import Session
from vivavoce.tools.answers import SUBMITTED
from vivavoce.tools.background import Background
from vivavoce.tools.reach import Reach
from vivavoce.tools.webhook import call_webhook


async def call(session: Session, url: str, background: Background | None, *, waits_ms: int) -> ToolOutput:
    tool = WebhookTool("book", "", url, waits_ms=waits_ms, timeout_ms=10_000)
    return await call_webhook(session, tool, {}, key="k", filling=Filling(), reach=Reach(background=background))


async def test_a_quick_answer_of_an_asynchronous_webhook_is_given(session: Session) -> None:
    async with serving(lambda _: web.Response(text="booked")) as server:
        output = await call(session, server.url, Background(), waits_ms=10_000)
    assert output == ToolOutput("booked", ok=True, status_code=200)


async def test_a_slow_asynchronous_webhook_is_submitted_and_goes_on(session: Session) -> None:
    may, done = asyncio.Event(), asyncio.Event()

    async def slow(_: Seen) -> web.Response:
        await may.wait()
        done.set()
        return web.Response(text="booked")

    background = Background()
    async with serving(slow) as server:
        output = await call(session, server.url, background, waits_ms=1)
        assert output == ToolOutput(SUBMITTED, ok=True)
        may.set()
        await asyncio.wait_for(done.wait(), 10)
        await background.close()


async def test_closing_cancels_what_is_still_going_on(session: Session) -> None:
    gone = asyncio.Event()

    async def never(_: Seen) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    background = Background()
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    task = background.start(work())
    await started.wait()
    async with serving(never) as server:
        assert (await call(session, server.url, background, waits_ms=1)).text == SUBMITTED
        await background.close()
    assert task.cancelled()


async def test_without_a_background_it_is_waited_for(session: Session) -> None:
    async def slow(_: Seen) -> web.Response:
        await asyncio.sleep(0.01)
        return web.Response(text="booked")

    async with serving(slow) as server:
        output = await call(session, server.url, None, waits_ms=1)
    assert output == ToolOutput("booked", ok=True, status_code=200)


async def test_a_surprise_in_the_background_is_logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails() -> None:
        raise ZeroDivisionError("odd")

    background = Background()
    with caplog.at_level(logging.ERROR):
        await asyncio.wait({background.start(fails())})
        await asyncio.sleep(0)
    assert "work in the background failed" in caplog.text + capsys.readouterr().out
