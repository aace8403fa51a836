"""One test's document: whether a server would take it, and what of a test would change by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from vivavoce.client import AsyncClient
from vivavoce.files.scenarios import blank, laid_over, of_scenario
from vivavoce.files.schema import Assistant, OneTest, Reference

_PAGE = 100
_MOST_PAGES = 50


@dataclass(frozen=True, slots=True)
class Mistake:
    """A part of a document that is wrong; ``at`` is such as ``criteria/0``."""

    at: str
    message: str


def mistakes(document: Mapping[str, Any]) -> tuple[Mistake, ...]:
    """All that is wrong with the document of one test, as far as that can be seen without a server."""
    try:
        OneTest.model_validate(dict(document))
    except ValidationError as failure:
        errors = failure.errors(include_url=False, include_context=False, include_input=False)
        return tuple(Mistake("/".join(map(str, one["loc"])), one["msg"]) for one in errors)
    return ()


async def find(client: AsyncClient, suite: str | None, name: str) -> dict[str, Any] | None:
    """The test of this name in the suite, or in none, as the server has it."""
    for page in range(1, _MOST_PAGES + 1):
        found = await client.get_tests(suite=suite, page=page, size=_PAGE)
        for one in found.items:
            if one.get("name") == name and one.get("suite") == suite:
                return one
        if page * _PAGE >= found.total:
            return None
    return None


def normal(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a test without mistakes as a server would give it back, whatever way it was written."""
    test = OneTest.model_validate(dict(document))
    scenario = laid_over(blank(0), test, "", test.suite)
    return {"name": test.name, "suite": test.suite, **of_scenario(scenario, _aim(test))}


def _aim(test: OneTest) -> Mapping[str, Any]:
    if test.destination is not None:
        return {"destination": test.destination}
    whom = test.assistant
    if isinstance(whom, Reference):
        return {"assistant": whom.name if whom.name is not None else {"id": whom.id}}
    return {"assistant": whom.name if isinstance(whom, Assistant) else whom}


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a test that would change: what they are, and what they would be."""
    names = [name for name in dict.fromkeys((*before, *after)) if name != "id"]
    return {
        name: {"is": before.get(name), "would_be": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    }
