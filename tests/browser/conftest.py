"""One server for all that is looked at, and one browser for each module."""

import time
from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from tests.support.browsing import Ears, browsing, chromium, furnished, log_in, opened
from tests.support.scenery import Scenery
from tests.support.server import Server


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Server, Scenery]]:
    """A server with a few days of results."""
    chromium()
    now = round(time.time() * 1000)
    with furnished(tmp_path_factory.mktemp("dashboard"), now, days=5) as found:
        yield found


@pytest.fixture(scope="session")
def server(place: tuple[Server, Scenery]) -> Server:
    return place[0]


@pytest.fixture(scope="session")
def scenery(place: tuple[Server, Scenery]) -> Scenery:
    return place[1]


# It asks for the server, which starts with a loop of its own: while the browser is there, no other loop runs.
@pytest.fixture(scope="module")
def browser(server: Server) -> Generator[Browser]:
    assert server.url
    with browsing() as found:
        yield found


@pytest.fixture
def ears(server: Server) -> Generator[Ears]:
    """Hears what pages complain about; no page of any test may."""
    heard = Ears(server.url)
    yield heard
    assert heard.heard == []


@pytest.fixture
def context(browser: Browser, server: Server) -> Generator[BrowserContext]:
    """A window of its own."""
    with opened(browser, server) as made:
        yield made


@pytest.fixture
def page(context: BrowserContext, ears: Ears) -> Page:
    """A page of somebody who has logged in."""
    made = context.new_page()
    ears.listen(made)
    log_in(made)
    return made
