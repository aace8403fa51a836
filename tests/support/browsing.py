"""A real browser that looks at a real server: Playwright on the Chromium of the machine.

``VIVA_TEST_CHROMIUM`` names the program where it is called otherwise; ``VIVA_TEST_BROWSER=required`` fails where there
is none instead of skipping, and where npm has not brought axe.
"""

import asyncio
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, ViewportSize, sync_playwright

from tests.support import npm
from tests.support.scenery import Scenery, furnish
from tests.support.server import KEY, Server, serving
from vivavoce.storage.database import connect

REQUIRED = os.environ.get("VIVA_TEST_BROWSER") == "required"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE_MS = 15_000
"""How long a test waits for what must happen on a page."""
SETTINGS: Mapping[str, str] = {"VIVA_ALLOW_NETWORKS": "127.0.0.0/8"}
_AXE = npm.PROJECT / "node_modules" / "axe-core" / "axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def missing(reason: str) -> NoReturn:
    """Skip, and say why; where it is required, fail."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def chromium() -> str:
    """The program."""
    named = os.environ.get("VIVA_TEST_CHROMIUM", "")
    found = shutil.which(named) if named else shutil.which("chromium") or shutil.which("chromium-browser")
    return found or missing("there is no Chromium on this machine, so no browser looks at the dashboard")


@contextmanager
def browsing() -> Generator[Browser]:
    """A browser without a window."""
    program = chromium()
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=[*sandbox, "--disable-gpu"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def furnished(directory: Path, now: int, days: int) -> Generator[tuple[Server, Scenery]]:
    """A server with something to look at."""
    with serving(directory, SETTINGS) as server:

        async def work() -> Scenery:
            database = connect(server.database_url)
            try:
                return await furnish(database, now, days)
            finally:
                database.close()

        yield server, asyncio.run(work())


def opened(browser: Browser, server: Server, *, phone: bool = False, **given: Any) -> BrowserContext:
    """A window of somebody who is nobody yet; addresses are the server's."""
    size = PHONE if phone else DESKTOP
    made = browser.new_context(
        base_url=server.url, viewport=size, locale="en-GB", timezone_id="Europe/London", has_touch=phone, **given
    )
    made.set_default_timeout(PATIENCE_MS)
    return made


def log_in(page: Page, key: str = KEY) -> None:
    """With a key."""
    page.goto("/login")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", level=1, name="Home").wait_for()


@dataclass
class Ears:
    """What a page complained about: on the console, by an exception, and by what it loaded from elsewhere."""

    url: str
    heard: list[str] = field(default_factory=list[str])

    def listen(self, page: Page) -> None:
        """To this page from now on."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.heard.append(f"{page.url}: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        # What a browser says of a page that was not found, or of a form that was not accepted, is no complaint.
        answered = "the server responded with a status of 4" in message.text
        if message.type in ("error", "warning") and not answered:
            self.heard.append(f"{message.page.url if message.page else ''}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url + "/", "data:")):
            self.heard.append(f"loaded from elsewhere: {request.url}")


@cache
def _axe() -> str:
    if not npm.install():
        missing("npm is not installed, so axe cannot look at the pages")
    return _AXE.read_text("utf-8")


def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds that is serious or critical: by all its rules for WCAG 2.2 AA, or by these only."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        # The debugger puts it there: pages themselves let no script in.
        page.evaluate(_axe())
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": _TAGS}
    found: dict[str, Any] = page.evaluate(
        "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only
    )
    return [
        f"{one['id']} ({one['impact']}): {'; '.join(str(node['html'])[:160] for node in one['nodes'][:3])}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def too_wide(page: Page) -> str:
    """What stands out at the side of the page, or nothing."""
    return page.evaluate(
        """() => {
          if (document.documentElement.scrollWidth <= innerWidth) return "";
          const wide = [...document.querySelectorAll("main *")].filter(
            one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, .hidden, thead"));
          const told = wide.slice(0, 3).map(one => one.outerHTML.slice(0, 120));
          return `${document.documentElement.scrollWidth} > ${innerWidth}: ${told.join(" ; ")}`;
        }"""
    )
