"""Test case definitions, batches and runs (contract, section 2)."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.batches import BatchCreate, dump_batch, dump_standing
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.paging import Key, Limit, paged, span
from vivavoce.api.retell.wire.runs import dump_run
from vivavoce.api.retell.wire.scenarios import (
    DefinitionCreate,
    DefinitionUpdate,
    EngineType,
    FlowShape,
    LlmShape,
    change_scenario,
    dump_definition,
    engine_id,
    engine_of,
    named_id,
    to_scenario,
    type_of,
    wanted_number,
)
from vivavoce.core.batch import Batch
from vivavoce.core.scenario import Medium
from vivavoce.services import batches, engines, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.scenarios import Aimed
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span

router = APIRouter(tags=["tests"])

MOST_LISTED = 10_000
"""The most items of a list that has no pages."""

_DEFINITIONS, _BATCHES, _RUNS = "definitions", "batches", "runs"
_MOST_NAMED = 20

Id256 = Annotated[str | None, Query(max_length=256)]
Version = Annotated[int | None, Query(ge=0, le=2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The engine that a list is of; ``id`` is the server's."""

    type: EngineType
    id: str


def _wanted(type: EngineType, llm_id: Id256 = None, conversation_flow_id: Id256 = None) -> Wanted:  # noqa: A002  # the query's own name
    named = llm_id if type == "retell-llm" else conversation_flow_id
    if not named:
        field = "llm_id" if type == "retell-llm" else "conversation_flow_id"
        raise Refused(400, f"{field} is required when type is {type}.")
    return Wanted(type, engine_id(type, named))


Engine = Annotated[Wanted, Depends(_wanted)]


@contextmanager
def _named(noun: str, text: str) -> Generator[None]:
    """What is not found is named as the client named it."""
    try:
        yield
    except NotFound as failure:
        raise Refused(404, f"There is no {noun} {text!r}.") from failure


# --- definitions ----------------------------------------------------------------------------------------------------


@router.post("/create-test-case-definition", status_code=201)
async def create(ctx: Ctx, org: Org, body: DefinitionCreate) -> JSONResponse:
    """Create a test case definition."""

    def work(tx: Tx) -> Aimed:
        medium = _known(tx, org, body.response_engine)
        draft = to_scenario(body, medium, ctx.clock.now())
        return scenarios.aimed(ctx, tx, org, [scenarios.create(ctx, tx, org, draft)])[0]

    return JSONResponse(_dump(await ctx.database.write(work)), 201)


@router.get("/get-test-case-definition/{test_case_definition_id}")
async def retrieve(ctx: Ctx, org: Org, test_case_definition_id: Id) -> JSONResponse:
    """One definition."""
    with _named("test case definition", test_case_definition_id):
        return JSONResponse(_dump(await scenarios.retrieve_aimed(ctx, org, read("test_case", test_case_definition_id))))


@router.put("/update-test-case-definition/{test_case_definition_id}")
async def update(ctx: Ctx, org: Org, test_case_definition_id: Id, body: DefinitionUpdate) -> JSONResponse:
    """Change some fields of a definition; runs that were triggered are not affected."""
    id_ = read("test_case", test_case_definition_id)
    # Left out is not null: only what was sent is looked at.
    engine = body.response_engine if "response_engine" in body.model_fields_set else None

    def work(tx: Tx) -> Aimed:
        before = scenarios.aimed(ctx, tx, org, [scenarios.get(tx, org, id_, lock=True)])[0]
        _dump(before)  # what cannot be read here is not there
        medium = _known(tx, org, engine) if engine is not None else None
        changed = scenarios.changed(ctx, tx, org, id_, lambda scenario: change_scenario(scenario, body, medium))
        return scenarios.aimed(ctx, tx, org, [changed])[0]

    with _named("test case definition", test_case_definition_id):
        return JSONResponse(_dump(await ctx.database.write(work)))


@router.delete("/delete-test-case-definition/{test_case_definition_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, test_case_definition_id: Id) -> Response:
    """Delete a definition; its runs stay."""
    id_ = read("test_case", test_case_definition_id)
    with _named("test case definition", test_case_definition_id):
        _dump(await scenarios.retrieve_aimed(ctx, org, id_))
        await scenarios.retire(ctx, org, id_)
    return Response(status_code=204)


@router.get("/v2/list-test-case-definitions")
async def get_slice(ctx: Ctx, org: Org, engine: Engine, limit: Limit = 50, pagination_key: Key = None) -> JSONResponse:
    """Definitions of an engine, newest first, whichever of its versions they name."""
    found = await _definitions(ctx, org, engine, span(_DEFINITIONS, limit, pagination_key))
    last = found.items[-1].scenario.id if found.items else None
    return JSONResponse(paged(_DEFINITIONS, [_dump(one) for one in found.items], last, more=found.more))


@router.get("/list-test-case-definitions", deprecated=True)
async def get_all(ctx: Ctx, org: Org, engine: Engine, version: Version = None) -> JSONResponse:
    """Definitions of one version of an engine, newest first; without a number, of its newest."""
    found = await _definitions(ctx, org, engine, Span(MOST_LISTED))
    return JSONResponse([_dump(one) for one in found.items if _names(one, version)])


async def _definitions(ctx: Context, org: str, engine: Wanted, span_: Span) -> Slice[Aimed]:
    found = await scenarios.get_slice(ctx, org, engine.id, span_)
    # An id can be written as that of an engine of the other kind.
    fits = tuple(one for one in found.items if one.target is None or type_of(one.target.form) == engine.type)
    return Slice(fits, found.more and bool(fits))


def _names(aimed: Aimed, version: int | None) -> bool:
    """Whether it is a definition of this version; one that names none is of the newest."""
    if aimed.target is None:
        return version in (None, wanted_number(aimed))
    newest = aimed.target.number
    named = wanted_number(aimed)
    return (newest if named is None else named) == (newest if version is None else version)


def _known(tx: Tx, org: str, engine: LlmShape | FlowShape) -> Medium:
    """How callers reach the engine. Raises ``Refused`` where there is none, or not that version."""
    id_ = engine_id(engine.type, named_id(engine))
    found = engines.find(tx, org, id_, engine.version)
    if found is None or type_of(found[0].form) != engine.type:
        raise _no_engine(engine)
    return scenarios.medium_of(tx, org, id_)


def _no_engine(engine: LlmShape | FlowShape) -> Refused:
    which = "" if engine.version is None else f" with a version {engine.version}"
    return Refused(400, f"There is no {engine.type} response engine {named_id(engine)!r}{which}.")


def _dump(aimed: Aimed) -> dict[str, Any]:
    """Raises ``NotFound`` for a scenario of another API that goes to no assistant of this server."""
    engine = engine_of(aimed.scenario, aimed.target)
    if engine is None:
        raise NotFound("test", aimed.scenario.id)
    return dump_definition(aimed.scenario, engine)


# --- batches --------------------------------------------------------------------------------------------------------


@router.post("/create-batch-test", status_code=201)
async def create_batch(ctx: Ctx, org: Org, body: BatchCreate) -> JSONResponse:
    """Run definitions against one version of an engine; answers at once."""
    engine = body.response_engine
    ids = [read("test_case", text) for text in body.test_case_definition_ids]
    names = dict(zip(ids, body.test_case_definition_ids, strict=True))

    def work(tx: Tx) -> Batch:
        _known(tx, org, engine)
        return batches.trigger(ctx, tx, org, engine_id(engine.type, named_id(engine)), engine.version, ids)[0]

    try:
        batch = await ctx.database.write(work)
    except NotFound as failure:
        raise _no_engine(engine) from failure
    except batches.Unknown as failure:
        named = ", ".join(names[id_] for id_ in failure.ids[:_MOST_NAMED])
        more = f" and {len(failure.ids) - _MOST_NAMED} more" if len(failure.ids) > _MOST_NAMED else ""
        raise Refused(400, f"There is no test case definition {named}{more}.") from failure
    except batches.Elsewhere as failure:
        said = f"Test case definition {names[failure.id]} is of another response engine than {named_id(engine)!r}."
        raise Refused(400, said) from failure
    ctx.wake()
    return JSONResponse(dump_batch(batch, engine.type), 201)


@router.get("/get-batch-test/{test_case_batch_job_id}")
async def retrieve_batch(ctx: Ctx, org: Org, test_case_batch_job_id: Id) -> JSONResponse:
    """How a batch stands."""
    with _named("batch test", test_case_batch_job_id):
        return JSONResponse(dump_standing(await batches.retrieve(ctx, org, read("test_batch", test_case_batch_job_id))))


@router.get("/v2/list-batch-tests")
async def get_batches(
    ctx: Ctx, org: Org, engine: Engine, version: Version = None, limit: Limit = 50, pagination_key: Key = None
) -> JSONResponse:
    """Batches of one version of an engine, newest first; without a number, of its newest."""
    found = await _batches(ctx, org, engine, version, span(_BATCHES, limit, pagination_key))
    last = found.items[-1].batch.id if found.items else None
    items = [dump_standing(one, engine.type) for one in found.items]
    return JSONResponse(paged(_BATCHES, items, last, more=found.more))


@router.get("/list-batch-tests", deprecated=True)
async def get_all_batches(ctx: Ctx, org: Org, engine: Engine, version: Version = None) -> JSONResponse:
    """The same as one array."""
    found = await _batches(ctx, org, engine, version, Span(MOST_LISTED))
    return JSONResponse([dump_standing(one, engine.type) for one in found.items])


async def _batches(ctx: Context, org: str, engine: Wanted, version: int | None, span_: Span) -> Slice[batches.Standing]:
    found = await batches.get_slice(ctx, org, engine.id, version, span_)
    fits = tuple(one for one in found.items if one.target is None or type_of(one.target.form) == engine.type)
    return Slice(fits, found.more and bool(fits))


# --- runs -----------------------------------------------------------------------------------------------------------


@router.get("/get-test-run/{test_case_job_id}")
async def retrieve_run(ctx: Ctx, org: Org, test_case_job_id: Id) -> JSONResponse:
    """One run, also one that was triggered through another API."""
    with _named("test run", test_case_job_id):
        return JSONResponse(dump_run(await runs.recall(ctx, org, read("test_job", test_case_job_id))))


@router.get("/v2/list-test-runs/{test_case_batch_job_id}")
async def get_runs(
    ctx: Ctx, org: Org, test_case_batch_job_id: Id, limit: Limit = 50, pagination_key: Key = None
) -> JSONResponse:
    """A batch's runs, in the order in which their definitions were listed."""
    wanted = span(_RUNS, limit, pagination_key, "ascending")
    with _named("batch test", test_case_batch_job_id):
        found = await batches.get_runs(ctx, org, read("test_batch", test_case_batch_job_id), wanted)
    last = found.items[-1].frozen.run.id if found.items else None
    return JSONResponse(paged(_RUNS, [dump_run(one) for one in found.items], last, more=found.more))


@router.get("/list-test-runs/{test_case_batch_job_id}", deprecated=True)
async def get_all_runs(ctx: Ctx, org: Org, test_case_batch_job_id: Id) -> JSONResponse:
    """The same as one array."""
    id_ = read("test_batch", test_case_batch_job_id)
    with _named("batch test", test_case_batch_job_id):
        found = await batches.get_runs(ctx, org, id_, Span(MOST_LISTED, ascending=True))
    return JSONResponse([dump_run(one) for one in found.items])
