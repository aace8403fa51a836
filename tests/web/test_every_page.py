"""What holds for every page about assistants, conversations and the server."""

import pytest
from tests.support.desk_pages import addresses, keep, wicked
from tests.support.pages import EVIL, Person, logged_in, somebody
from tests.support.store import ORG

from vivavoce.core.scope import Scope
from vivavoce.services.context import Context

OTHER = "org-b"

POSTS = {
    "/ui/assistants/{assistant}/edit": Scope.ADMIN,
    "/ui/assistants/{assistant}/promote": Scope.ADMIN,
    "/ui/assistants/{assistant}/traffic": Scope.ADMIN,
    "/ui/assistants/{assistant}/traffic/end": Scope.ADMIN,
    "/ui/chat/{assistant}": Scope.RUN,
    "/ui/chat/{assistant}/{conversation}": Scope.RUN,
    "/ui/chat/{assistant}/{conversation}/end": Scope.RUN,
    "/ui/conversations/{conversation}/delete": Scope.ADMIN,
    "/ui/schedules/new": Scope.ADMIN,
    "/ui/schedules/{schedule}/edit": Scope.ADMIN,
    "/ui/schedules/{schedule}/pause": Scope.ADMIN,
    "/ui/schedules/{schedule}/resume": Scope.ADMIN,
    "/ui/schedules/{schedule}/delete": Scope.ADMIN,
    "/ui/schedules/{schedule}/fire": Scope.RUN,
    "/ui/scheduled/x/delete": Scope.ADMIN,
    "/ui/inbox": Scope.RUN,
    "/ui/settings/models": Scope.ADMIN,
    "/ui/settings/keys": Scope.ADMIN,
    "/ui/settings/keys/x/revoke": Scope.ADMIN,
    "/ui/settings/webhooks": Scope.ADMIN,
    "/ui/settings/webhooks/x/test": Scope.ADMIN,
    "/ui/settings/webhooks/x/delete": Scope.ADMIN,
}
"""Every form, and what a key must be allowed to send it."""


async def test_nothing_that_is_kept_becomes_markup_on_any_page(ctx: Context, person: Person) -> None:
    of = await ctx.database.write(lambda tx: wicked(ctx, tx))
    for address in addresses(of):
        page = await person.get(address)
        assert page.status == 200, (address, page.text)
        assert "<script>alert" not in page.body, address
        assert "<b onclick" not in page.body, address
        assert "a secret" not in page.body, address
    assert EVIL in (await person.get(f"/ui/assistants/{of['assistant']}")).main.one("h1").words[0]


async def test_whoever_has_no_session_is_sent_to_log_in(ctx: Context) -> None:
    of = await ctx.database.write(lambda tx: wicked(ctx, tx))
    async with somebody(ctx) as stranger:
        for address in addresses(of):
            assert (await stranger.get(address)).there.startswith("/login?next="), address
        for address in POSTS:
            assert (await stranger.post(address.format(**of))).status == 401, address


async def test_another_organisation_sees_none_of_it(ctx: Context) -> None:
    of = await ctx.database.write(lambda tx: wicked(ctx, tx))
    async with logged_in(ctx, org=OTHER) as other:
        for address in addresses(of):
            page = await other.get(address)
            mine = [id_ for id_ in of.values() if id_ in address]
            assert page.status == (404 if mine else 200), address
            assert "&lt;script&gt;" not in page.body, address
        for address in POSTS:
            if "{" in address:
                sent = {"name": "x", "cron": "0 3 * * *", "words": "x", "suite": "s", "version": of["version"]}
                assert (await other.post(address.format(**of), sent)).status in (400, 404), address
    async with logged_in(ctx, org=ORG) as mine:
        assert (await mine.get(f"/ui/conversations/{of['conversation']}")).status == 200


@pytest.mark.parametrize("scope", [Scope.READ, Scope.RUN])
async def test_a_key_sends_only_what_it_may(ctx: Context, scope: Scope) -> None:
    of = await ctx.database.write(lambda tx: wicked(ctx, tx))
    async with logged_in(ctx, scope) as person:
        for address, needed in POSTS.items():
            path = address.format(**of)
            refused = (await person.post(path)).status == 403
            assert refused is not scope.allows(needed), address
            # And no page offers what it may not send.
        for address in addresses(of):
            page = await person.get(address)
            offered = {one.attributes.get("action", "") for one in page.main.all("form", method="post")}
            if "/edit" not in address and "/traffic" not in address and "/new" not in address:
                forbidden = {path.format(**of) for path, needed in POSTS.items() if not scope.allows(needed)}
                assert not offered & forbidden, (address, offered & forbidden)


async def test_a_form_without_its_token_changes_nothing(ctx: Context, person: Person) -> None:
    kept = await keep(ctx)
    for address in POSTS:
        path = address.format(assistant=kept.id, conversation="x", schedule="x")
        assert (await person.post(path, csrf="")).status == 403, address
