"""Batches on the wire (contract, section 2.4)."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from vivavoce.api.retell.wire.ids import shown
from vivavoce.api.retell.wire.scenarios import EngineShape, EngineType, dump_engine, kept_engine, type_of
from vivavoce.api.shape import storable
from vivavoce.core.batch import Batch
from vivavoce.services.batches import Standing

MOST = 1000
"""The most definitions that one batch runs."""


class BatchCreate(BaseModel, frozen=True, extra="ignore"):
    """Which definitions are run, in which order, and the engine that is examined."""

    test_case_definition_ids: Annotated[list[str], Field(min_length=1, max_length=MOST)]
    response_engine: EngineShape

    _storable = model_validator(mode="before")(storable)


def dump_standing(standing: Standing, asked: EngineType | None = None) -> dict[str, Any]:
    """The answer object of a batch; ``asked`` is the type of the engine by which it was looked for."""
    return dump_batch(standing.batch, asked or _type(standing))


def _type(standing: Standing) -> EngineType:
    if standing.target is not None:
        return type_of(standing.target.form)
    kept = kept_engine(standing.sample) if standing.sample else None
    return kept.type if kept else "retell-llm"


def dump_batch(batch: Batch, type_: EngineType) -> dict[str, Any]:
    """The answer object of a batch that examined an engine of this type."""
    return {
        "test_case_batch_job_id": shown("test_batch", batch.id),
        "status": "complete" if batch.over else "in_progress",
        "response_engine": dump_engine(type_, batch.assistant_id, batch.number),
        "pass_count": batch.passed,
        "fail_count": batch.failed,
        "error_count": batch.errors,
        "total_count": batch.total,
        "creation_timestamp": batch.created_at,
        "user_modified_timestamp": batch.updated_at,
    }
