"""Secrets: made, listed, removed, and looked up by whatever names them. Their values never leave by an API or a log."""

import base64

from vivavoce.core.secret import Secret, SecretType
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound, Rejected
from vivavoce.storage import secrets
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.seal import Unreadable


class IdentifierTaken(Exception):
    """There is a secret of this name already."""


def create(ctx: Context, tx: Tx, org: str, identifier: str, type_: SecretType, value: str) -> Secret:
    """Keep a secret, sealed. ``value`` is the token, or ``user:password``. Raises ``IdentifierTaken``."""
    now = ctx.clock.now()
    secret = Secret(ctx.new_id(), identifier, type_, now, now)
    if not secrets.add(tx, org, secret, ctx.seal.close(value, _place(org, identifier))):
        raise IdentifierTaken(f"There is an integration secret {identifier!r} already.")
    return secret


async def get_page(ctx: Context, org: str, type_: SecretType | None, window: Window) -> Page[Secret]:
    """A page of secrets, without their values."""
    return await ctx.database.read(lambda tx: secrets.get_page(tx, org, type_, window))


async def delete(ctx: Context, org: str, secret_id: str) -> None:
    """Remove a secret; what names it fails from then on. Raises ``NotFound``."""
    if not await ctx.database.write(lambda tx: secrets.drop(tx, org, secret_id)):
        raise NotFound("integration secret", secret_id)


async def find(ctx: Context, org: str, identifier: str) -> str | None:
    """The value of the secret of this name, or None. Raises ``storage.seal.Unreadable``."""
    sealed = await ctx.database.read(lambda tx: secrets.find(tx, org, identifier))
    return None if sealed is None else ctx.seal.open(sealed, _place(org, identifier))


async def in_template(ctx: Context, org: str, identifier: str) -> str | None:
    """What stands for the secret of this name in a template: its token or, as HTTP's Basic scheme wants them, its user
    name and password in base64; None where there is none. Raises ``storage.seal.Unreadable``."""
    found = await ctx.database.read(lambda tx: secrets.find_typed(tx, org, identifier))
    if found is None:
        return None
    type_, sealed = found
    value = ctx.seal.open(sealed, _place(org, identifier))
    return value if type_ == "bearer" else base64.b64encode(value.encode()).decode()


async def require(ctx: Context, org: str, identifier: str, part: str) -> str:
    """The value of the secret of this name, for a request that cannot do without it.

    Raises ``Rejected``, blaming ``part`` of the request, and ``Broken`` where this server's key does not open it.
    """
    try:
        value = await find(ctx, org, identifier)
    except Unreadable as failure:
        raise Broken(f"The integration secret {identifier!r} cannot be read: {failure}.") from failure
    if value is None:
        raise Rejected(f"There is no integration secret {identifier!r}.", part)
    return value


def _place(org: str, identifier: str) -> str:
    return f"{org}/{identifier}"
