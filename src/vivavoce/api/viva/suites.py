"""Suites as documents: put as they should be, given as they stand (docs/reference/files.md)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.shape import storable
from vivavoce.api.viva.assistants import dump_change
from vivavoce.files import schema
from vivavoce.services import suites
from vivavoce.services.errors import Rejected
from vivavoce.services.suites import Applied

router = APIRouter(tags=["suites"])

Name = Annotated[str, Path(max_length=256)]


SuiteBody = Annotated[schema.Suite, BeforeValidator(storable)]
"""A suite's document. Files that it names are on nobody's disk here: they stand in it."""


# A suite's name may hold a slash, which arrives decoded.
@router.put("/suites/{name:path}")
async def put(
    ctx: Ctx,
    org: Org,
    name: Name,
    body: SuiteBody,
    prune: Annotated[bool, Query(description="Retire the tests of the suite that the document does not name.")] = False,
) -> JSONResponse:
    """Make a suite what its document says, with the assistants that it describes. The same document again changes
    nothing."""
    if body.suite != name:
        raise Rejected(f"The document is of the suite {body.suite!r}, and the address of {name!r}.", "suite")
    applied = await ctx.database.write(lambda tx: suites.put(ctx, tx, org, body, prune=prune))
    return JSONResponse(dump(applied))


@router.get("/suites/{name:path}")
async def retrieve(ctx: Ctx, org: Org, name: Name) -> JSONResponse:
    """A suite's document as it stands; putting it changes nothing."""
    return JSONResponse(await suites.retrieve(ctx, org, name))


def dump(applied: Applied) -> dict[str, Any]:
    """What a document did, as it is shown."""
    return {
        "suite": applied.suite,
        "assistants": [dump_change(one) for one in applied.assistants],
        "tests": [
            {
                "id": one.scenario.id,
                "name": one.scenario.name,
                "change": one.change.value,
                "repeats": one.scenario.repeats,
            }
            for one in applied.tests
        ],
    }
