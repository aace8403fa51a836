from dataclasses import replace

import pytest
from sqlalchemy import select, update
from tests.support.store import NOW, ORG

from vivavoce.core.secret import Secret
from vivavoce.services import secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound, Rejected
from vivavoce.services.secrets import IdentifierTaken
from vivavoce.storage.page import Window
from vivavoce.storage.seal import Seal, Unreadable
from vivavoce.storage.tables import secrets as rows

VALUE = "sk-7f3a-not-to-be-seen"


async def kept(ctx: Context, identifier: str = "key", value: str = VALUE, org: str = ORG) -> Secret:
    return await ctx.database.write(lambda tx: secrets.create(ctx, tx, org, identifier, "bearer", value))


async def test_rule_5_17_a_secret_is_named_by_its_identifier_and_deleted_by_its_id(ctx: Context) -> None:
    secret = await kept(ctx)
    assert (secret.identifier, secret.type, secret.created_at, secret.updated_at) == ("key", "bearer", NOW, NOW)
    assert await secrets.find(ctx, ORG, "key") == VALUE
    assert await secrets.require(ctx, ORG, "key", "api_key_ref") == VALUE
    with pytest.raises(NotFound):
        await secrets.delete(ctx, ORG, "key")
    await secrets.delete(ctx, ORG, secret.id)
    assert await secrets.find(ctx, ORG, "key") is None
    with pytest.raises(NotFound):
        await secrets.delete(ctx, ORG, secret.id)


async def test_rule_6_9_references_are_identifiers_never_values_or_ids(ctx: Context) -> None:
    secret = await kept(ctx)
    for other in (VALUE, secret.id, "KEY", " key"):
        assert await secrets.find(ctx, ORG, other) is None
        with pytest.raises(Rejected) as caught:
            await secrets.require(ctx, ORG, other, "api_key_ref")
        assert caught.value.part == "api_key_ref"


async def test_rule_5_17_an_identifier_is_taken_once(ctx: Context) -> None:
    await kept(ctx)
    with pytest.raises(IdentifierTaken) as caught:
        await kept(ctx, value="other")
    assert "'key'" in str(caught.value)
    assert await secrets.find(ctx, ORG, "key") == VALUE
    await kept(ctx, value="theirs", org="org-b")
    assert await secrets.find(ctx, ORG, "key") == VALUE
    assert await secrets.find(ctx, "org-b", "key") == "theirs"


async def test_values_are_in_no_list_and_in_no_row(ctx: Context) -> None:
    secret = await kept(ctx)
    page = await secrets.get_page(ctx, ORG, None, Window())
    assert page.items == (secret,)
    assert (await secrets.get_page(ctx, ORG, "basic", Window())).items == ()
    assert VALUE not in repr(page)
    row = await ctx.database.read(lambda tx: tx.execute(select(rows)).one())
    assert VALUE.encode() not in row.sealed
    assert VALUE not in repr(row)


async def test_another_key_of_the_server_opens_nothing(ctx: Context) -> None:
    await kept(ctx)
    other = replace(ctx, seal=Seal("another key"))
    with pytest.raises(Unreadable):
        await secrets.find(other, ORG, "key")
    with pytest.raises(Broken, match="VIVA_SECRET_KEY") as caught:
        await secrets.require(other, ORG, "key", "api_key_ref")
    assert VALUE not in str(caught.value)


async def test_a_row_that_was_moved_does_not_open(ctx: Context) -> None:
    await kept(ctx)
    await ctx.database.write(lambda tx: tx.execute(update(rows).values(identifier="other")))
    with pytest.raises(Unreadable):
        await secrets.find(ctx, ORG, "other")
    await ctx.database.write(lambda tx: tx.execute(update(rows).values(identifier="key", org="org-b")))
    with pytest.raises(Unreadable):
        await secrets.find(ctx, "org-b", "key")


async def test_in_a_template_a_token_stands_for_itself_and_a_user_for_what_basic_wants(ctx: Context) -> None:
    await kept(ctx)
    await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, "user", "basic", "ann:sesame:open"))
    assert await secrets.in_template(ctx, ORG, "key") == VALUE
    assert await secrets.in_template(ctx, ORG, "user") == "YW5uOnNlc2FtZTpvcGVu"
    assert await secrets.in_template(ctx, ORG, "none") is None
    with pytest.raises(Unreadable):
        await secrets.in_template(replace(ctx, seal=Seal("another key")), ORG, "key")
