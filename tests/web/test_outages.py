"""Where the database goes away in the middle of a page, the page says so, and it is no defect of ours."""

import pytest
from structlog.testing import capture_logs
from tests.support.desk_pages import wicked
from tests.support.outages import FORGIVEN, MOST, WHENS, Outage, weaken
from tests.support.pages import Page, Person, logged_in
from tests.support.scenery import furnish
from tests.support.store import NOW
from tests.web.test_every_page import POSTS

from vivavoce.services.context import Context
from vivavoce.storage.orgs import DEFAULT

SENT = {"name": "x", "cron": "0 3 * * *", "words": "x", "suite": "s", "url": "https://example.com", "scope": "read"}


def is_away(page: Page) -> None:
    assert page.status == 503
    assert "Not now" in page.body
    assert "The database does not answer" in page.body


async def test_every_page_says_so(ctx: Context) -> None:
    scenery, outage = await furnish(ctx.database, NOW, days=2), Outage()
    weaken(ctx.database, outage)
    async with logged_in(ctx, org=DEFAULT) as person:
        with capture_logs() as logs:
            for address in (*scenery.paths.values(), *scenery.more):
                for at in range(1, MOST):
                    outage.begins(at, "before")
                    page = await person.get(address)
                    if not outage.ends():
                        assert page.status in (200, 404)
                        assert at > 1, address  # the session, at least
                        break
                    is_away(page)
    assert {one["event"] for one in logs} == {"the database is away"}


async def test_a_defect_inside_a_page_is_told_on_a_page_too(ctx: Context, person: Person) -> None:
    outage = Outage(failure=ValueError("the secret reason"))
    weaken(ctx.database, outage)
    outage.begins(2, "before")  # the first is for the session
    with capture_logs() as logs:
        page = await person.get("/ui/runs")
    assert outage.ends()
    assert (page.status, page.main.one("h1").text) == (500, "Something went wrong here")
    assert "secret reason" not in page.body
    assert [(one["event"], one["exc_info"]) for one in logs] == [("a page failed", True)]


@pytest.mark.parametrize("address", POSTS)
async def test_every_form_says_so(ctx: Context, person: Person, address: str) -> None:
    of, outage = await ctx.database.write(lambda tx: wicked(ctx, tx)), Outage()
    weaken(ctx.database, outage)
    sent = {**SENT, "version": of["version"]}
    forgiven = 0
    with capture_logs() as logs:
        for when in WHENS:
            for at in range(1, MOST):
                outage.begins(at, when)
                page = await person.post(address.format(**of), sent)
                if not outage.ends():
                    assert page.status < 500, page.text
                    break
                if page.status < 400:
                    forgiven += 1
                else:
                    is_away(page)
    assert sum(one["event"] in FORGIVEN for one in logs) == forgiven
    assert not [one for one in logs if one["log_level"] == "error"]
