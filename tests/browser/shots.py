"""Pictures of every page, to look at: ``python -m tests.browser.shots DIRECTORY [WORD …]``.

Two servers are shown: one with six weeks of results, and an empty one. Each page on a desk and on a phone, in light and
in dark.
"""

import re
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext
from tests.support.browsing import SETTINGS, browsing, furnished, log_in, opened
from tests.support.server import Server, serving

WEEKS = 6
_EMPTY = (
    "/",
    "/ui/suites",
    "/ui/runs",
    "/ui/tests",
    "/ui/tests/new",
    "/ui/batches",
    "/ui/assistants",
    "/ui/conversations",
    "/ui/insights",
    "/ui/schedules",
    "/ui/scheduled",
    "/ui/inbox",
    "/ui/settings",
)


def main(target: Path, wanted: list[str]) -> None:
    """Take the pictures of all pages, or of those in whose names one of these words stands."""
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        full, scenery = stack.enter_context(furnished(scratch / "full", round(time.time() * 1000), WEEKS * 7))
        empty = stack.enter_context(serving(scratch / "empty", SETTINGS))
        browser = stack.enter_context(browsing())
        addresses = {_name(path): address for path, address in scenery.paths.items()}
        addresses |= {
            "login": "/login",
            "run-errored": f"/ui/runs/{scenery.errored}",
            "run-running": f"/ui/runs/{scenery.running}",
            "run-passed": f"/ui/runs/{scenery.passed}",
            "run-turn": f"/ui/runs/{scenery.failed}#turn-8",
            "compare-runs": f"/ui/compare?left={scenery.passed}&right={scenery.failed}",
            "flow": f"/ui/assistants/{scenery.flow}",
            "trouble": "/ui/runs/no-such-run",
        }
        _take(browser, full, target, addresses, wanted)
        _take(browser, empty, target, {f"empty-{_name(path)}": path for path in _EMPTY}, wanted)


def _name(path: str) -> str:
    return re.sub(r"\W+", "-", path.removeprefix("/ui/")).strip("-") or "home"


def _take(browser: Browser, server: Server, target: Path, addresses: dict[str, str], wanted: list[str]) -> None:
    chosen = {name: path for name, path in addresses.items() if not wanted or any(one in name for one in wanted)}
    for phone in (False, True):
        with opened(browser, server, phone=phone) as context:
            _shoot(context, target, chosen, "phone" if phone else "desk")


def _shoot(context: BrowserContext, target: Path, addresses: dict[str, str], size: str) -> None:
    page = context.new_page()
    if "login" in addresses:
        page.goto("/login")
        page.screenshot(path=target / f"login-{size}-light.png")
    log_in(page)
    for name, address in addresses.items():
        if name == "login":
            continue
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(address)
            page.wait_for_function("document.fonts.ready.then(() => true)")
            page.screenshot(
                path=target / f"{name}-{size}-{scheme}.png", full_page=size == "desk" and "#" not in address
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
