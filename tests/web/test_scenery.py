"""The pages that browsers look at (``tests/browser``): all that there are, and each with something to show."""

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route, Router
from tests.support.pages import logged_in
from tests.support.scenery import furnish
from tests.support.store import NOW

from vivavoce.services.context import Context
from vivavoce.storage.orgs import DEFAULT
from vivavoce.web.application import application


def pages_of(ctx: Context) -> set[str]:
    """The paths of all pages, as the router calls them; parts of pages that go on are none."""
    gate = application(ctx, 1000)
    assert isinstance(gate._app, ExceptionMiddleware)
    assert isinstance(gate._app.app, Router)
    paths = {one.path for one in gate._app.app.routes if isinstance(one, Route) and "GET" in (one.methods or ())}
    assert len(paths) > 20
    return {path for path in paths if not path.endswith("/live")} - {"/login"}


async def test_every_page_is_looked_at_and_shows_something(ctx: Context) -> None:
    scenery = await furnish(ctx.database, NOW, days=4)
    assert set(scenery.paths) == pages_of(ctx)
    async with logged_in(ctx, org=DEFAULT) as person:
        for address in (*scenery.paths.values(), *scenery.more):
            page = await person.get(address)
            assert page.status == (404 if "no%20such" in address else 200), address
        for path, address in scenery.paths.items():
            if not path.endswith(("/new", "/edit", "/delete")):
                assert not (await person.get(address)).main.all("div", class_="empty"), path
