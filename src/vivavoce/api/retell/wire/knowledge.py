"""Knowledge bases, as forms and as JSON (contract, section 12)."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from vivavoce.api.retell.errors import Refused, validation_message
from vivavoce.api.retell.wire.ids import shown
from vivavoce.api.shape import fault, refuse, storable
from vivavoce.core.knowledge import Library, Source, Standing
from vivavoce.services.libraries import Given

MOST_FILES = 25
"""How many files one request may bring."""

_KEY = re.compile(r"(\w+?)((?:\[\w*\])*)")
_STATUS = {
    Standing.TAKING_IN: "in_progress",
    Standing.READY: "complete",
    Standing.BROKEN: "error",
    Standing.REFRESHING: "refreshing_in_progress",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    name: str
    data: bytes


Parts = Sequence[tuple[str, str | Upload]]
"""The parts of a form, in their order."""


class TextShape(BaseModel, frozen=True):
    """A text with its title."""

    title: Annotated[str, Field(min_length=1, max_length=255)]
    text: Annotated[str, Field(min_length=1)]


class SourcesShape(BaseModel, frozen=True):
    """What is to be taken in besides files."""

    knowledge_base_texts: tuple[TextShape, ...] = ()
    knowledge_base_urls: tuple[Annotated[str, Field(min_length=1, max_length=2048)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


class KnowledgeBaseShape(SourcesShape, frozen=True):
    """A new knowledge base."""

    knowledge_base_name: Annotated[str, Field(min_length=1, max_length=39)]
    enable_auto_refresh: bool = False
    max_chunk_size: Annotated[int, Field(ge=200, le=20_000)] = 2000
    min_chunk_size: Annotated[int, Field(ge=1)] = 400

    @field_validator("knowledge_base_name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("Input should not be blank")
        return value

    @model_validator(mode="after")
    def _fits(self) -> "KnowledgeBaseShape":
        if self.min_chunk_size >= self.max_chunk_size:
            raise refuse(
                fault("chunk_sizes", "Input should be less than max_chunk_size", None, ("min_chunk_size",)),
            )
        return self


# --- forms ----------------------------------------------------------------------------------------------------------


def read_library(parts: Parts) -> tuple[Library, Given]:
    """A new library, whose ids and times are still to be set, and what is to be taken in. Raises ``Refused``."""
    try:
        shape = KnowledgeBaseShape.model_validate(_fields(parts))
    except ValidationError as failure:
        raise Refused(400, validation_message(failure.errors())) from None
    library = Library(
        "",
        shape.knowledge_base_name,
        0,
        0,
        longest=shape.max_chunk_size,
        shortest=shape.min_chunk_size,
        refreshes=shape.enable_auto_refresh,
    )
    return library, _given(shape, parts)


def read_sources(parts: Parts) -> Given:
    """What is to be taken in. Raises ``Refused``."""
    try:
        return _given(SourcesShape.model_validate(_fields(parts)), parts)
    except ValidationError as failure:
        raise Refused(400, validation_message(failure.errors())) from None


def _given(shape: SourcesShape, parts: Parts) -> Given:
    files = tuple(
        (part.name or "upload", part.data)
        for name, part in parts
        if isinstance(part, Upload) and name.partition("[")[0] == "knowledge_base_files"
    )
    texts = tuple((one.title, one.text) for one in shape.knowledge_base_texts)
    return Given(texts, files, shape.knowledge_base_urls)


def _fields(parts: Parts) -> dict[str, Any]:
    """The values by their names. Lists come in any of the ways in which clients write them: as one part of JSON, as
    repeated parts, and as parts whose names have brackets, with numbers in them or without."""
    plain = [(name, part) for name, part in parts if isinstance(part, str)]
    fields: dict[str, Any] = {name: part for name, part in plain if not name.startswith("knowledge_base_")}
    fields |= {name: part for name, part in plain if name == "knowledge_base_name"}
    fields["knowledge_base_texts"] = list(_texts(plain))
    fields["knowledge_base_urls"] = list(_urls(plain))
    return fields


def _values(parts: Sequence[tuple[str, str]], wanted: str) -> Iterator[tuple[list[str], str]]:
    """What is in the brackets of the names, and the values."""
    for name, value in parts:
        found = _KEY.fullmatch(name)
        if found is not None and found[1] == wanted:
            yield re.findall(r"\[(\w*)\]", found[2]), value


def _texts(parts: Sequence[tuple[str, str]]) -> Iterator[Any]:
    pairs: dict[str, dict[str, str]] = {}
    counts: dict[str, int] = {}
    for keys, value in _values(parts, "knowledge_base_texts"):
        if len(keys) < 2:
            yield from _listed(value)
            continue
        field = keys[-1]
        counts[field] = counts.get(field, 0) + 1
        # Without numbers the first title belongs to the first text.
        pairs.setdefault(keys[0] or f"#{counts[field]}", {})[field] = value
    yield from pairs.values()


def _urls(parts: Sequence[tuple[str, str]]) -> Iterator[Any]:
    for _, value in _values(parts, "knowledge_base_urls"):
        yield from _listed(value) if value.lstrip().startswith(("[", '"')) else (value,)


def _listed(value: str) -> Iterator[Any]:
    """The items of a part of JSON, which may be one of them; what is no JSON is one."""
    try:
        found: Any = json.loads(value)
    except (ValueError, RecursionError):
        found = value
    if isinstance(found, list):
        yield from cast("list[Any]", found)
    else:
        yield found


# --- answers --------------------------------------------------------------------------------------------------------


def dump_library(library: Library) -> dict[str, Any]:
    """The answer. Times are milliseconds since the epoch."""
    body: dict[str, Any] = {
        "knowledge_base_id": shown("knowledge_base", library.id),
        "knowledge_base_name": library.name,
        "status": _STATUS[library.standing],
        "knowledge_base_sources": [_dump_source(source) for source in library.sources],
        "max_chunk_size": library.longest,
        "min_chunk_size": library.shortest,
        "enable_auto_refresh": library.refreshes,
        "user_modified_timestamp": library.changed_at,
    }
    return body | ({} if library.refreshed_at is None else {"last_refreshed_timestamp": library.refreshed_at})


def _dump_source(source: Source) -> dict[str, Any]:
    """What was sent is not kept, only its passages: there is no address at which it could be had."""
    body: dict[str, Any] = {"source_id": shown("source", source.id)}
    match source.kind:
        case "text":
            return body | {"type": "text", "title": source.name, "content_url": ""}
        case "file":
            return body | {"type": "document", "filename": source.name, "file_url": "", "file_size": source.size}
        case "page":
            failed = {"error_message": source.fault} if source.fault else {}
            return body | {"type": "url", "url": source.name, **failed}
