"""An application that is made when the first request comes for it."""

import asyncio
import threading

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp
from tests.support.asgi import get

from vivavoce.api.later import Later


async def test_it_is_made_once_in_a_thread_while_all_who_came_wait() -> None:
    made: list[threading.Thread] = []
    may_go_on = threading.Event()

    def make() -> ASGIApp:
        made.append(threading.current_thread())
        assert may_go_on.wait(20)
        return PlainTextResponse("here")

    app = Later(make)
    assert made == []
    asked = [asyncio.create_task(get(app, "/")) for _ in range(3)]
    while not made:
        await asyncio.sleep(0)  # the loop is free meanwhile
    may_go_on.set()
    answers = [*await asyncio.gather(*asked), await get(app, "/")]
    assert [answer.json for answer in answers] == ["here"] * 4
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


async def test_what_could_not_be_made_is_tried_again() -> None:
    outcomes = iter([OSError("no room"), None])

    def make() -> ASGIApp:
        if failure := next(outcomes):
            raise failure
        return PlainTextResponse("here")

    app = Later(make)
    with pytest.raises(OSError, match="no room"):
        await get(app, "/")
    assert (await get(app, "/")).json == "here"
