"""Which version of an agent a client means (contract, section 8)."""

import re
from collections.abc import Collection, Generator
from contextlib import contextmanager

from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.ids import read
from vivavoce.core.assistant import Form
from vivavoce.services import engines
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected

_NUMBER = re.compile(r"-?[0-9]{1,19}(\.0+)?")


async def number_of(
    ctx: Context, org: str, assistant_id: str, forms: Collection[Form], named: int | str | None
) -> int | None:
    """The number of the version: itself, ``latest`` (None), ``latest_published``, or a tag, of which there are none
    here. Raises ``NotFound``."""
    if named is None or isinstance(named, int) or named == "latest":
        return None if isinstance(named, str) else named
    if _NUMBER.fullmatch(named):
        return int(named.partition(".")[0])
    _, versions = await engines.get_versions(ctx, org, assistant_id, forms)
    found = next((one for one in versions if one.published and named == "latest_published"), None)
    if found is None:
        raise NotFound("version", named)
    return found.number


@contextmanager
def missing(agent_id: str, *, engine: str = "", status: int = 422) -> Generator[None]:
    """Says of an agent, a version of it, or the ``engine`` that it is given, that it is not there (contract, section
    1.1). ``NotFound`` becomes this status."""
    try:
        yield
    except NotFound as failure:
        if failure.noun == "version":
            message = f"There is no version {failure.id!r} of {' or '.join(filter(None, (agent_id, engine)))!r}."
        elif agent_id and failure.id == read("agent", agent_id):
            message = f"There is no such agent: {agent_id!r}."
        else:
            message = f"There is no such response engine: {engine!r}."
        raise Refused(status, message) from failure


@contextmanager
def settled() -> Generator[None]:
    """A version in the wrong state is a 422 for who publishes or deletes it (contract, section 1.1)."""
    try:
        yield
    except Rejected as failure:
        raise Refused(422, str(failure)) from failure
