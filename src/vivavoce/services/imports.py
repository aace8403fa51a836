"""Assistants that are imported from another provider, where they stay as well."""

from collections.abc import Sequence

from vivavoce.core.assistant import Assistant, Origin, Version
from vivavoce.importing.collect import collect
from vivavoce.importing.provider import BASE_URLS, Down, Draft, KeyRefused, Provider, Unfit, Unknown, Unusable
from vivavoce.services import assistants, secrets
from vivavoce.services.assistants import Check
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Rejected
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import locks
from vivavoce.storage.database import Tx


async def fetch(
    ctx: Context, org: str, provider: Provider, key_ref: str, ids: Sequence[str] | None, *, prefix: str
) -> tuple[Draft | Unfit, ...]:
    """The assistants with these ids of the provider, or all of its account, with what cannot be had here among them.

    ``key_ref`` names the secret that opens the account; ``prefix`` stands before the names of our system variables.
    Raises ``Rejected`` where the secret, the account or an id is not known, and ``Broken`` where the provider fails.
    """
    key = await secrets.require(ctx, org, key_ref, "api_key_ref")
    base_url = ctx.import_urls.get(provider, BASE_URLS[provider])
    try:
        return await collect(ctx.outbound, provider, base_url, key, ids, prefix)
    except KeyRefused as failure:
        raise Rejected(f"{provider} does not take the key of {key_ref!r}.", "api_key_ref") from failure
    except Unknown as failure:
        raise Rejected(f"{provider} has no assistant {str(failure)!r}.", "import_ids") from failure
    except Unusable as failure:
        raise Rejected(str(failure), "import_ids") from failure
    except Down as failure:
        raise Broken(f"{provider} could not be asked: {failure}.") from failure


def keep(
    ctx: Context, tx: Tx, org: str, found: Sequence[tuple[Origin, Version]], check: Check
) -> tuple[Assistant, ...]:
    """Keep what was imported. What was imported before gets a new version, which becomes main, and keeps its tags;
    one that was deleted since is not brought back but made anew. Raises what ``assistants.create`` does."""
    # Or two first imports of an account at once would make two assistants of each.
    for provider in sorted({origin.provider for origin, _ in found}):
        locks.hold(tx, "import", org, provider)
    kept: list[Assistant] = []
    for origin, version in found:
        before = kept_assistants.find(tx, org, origin)
        if before is None:
            kept.append(assistants.create(ctx, tx, org, version, check, origin=origin))
        else:
            kept.append(assistants.write(ctx, tx, org, before, lambda _main, version=version: version, check))
    return tuple(kept)
