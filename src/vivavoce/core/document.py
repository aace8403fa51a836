"""A document that assistants search."""

from dataclasses import dataclass

from vivavoce.core.event import Millis


@dataclass(frozen=True, slots=True)
class Document:
    """``name`` is what people call it, once in each bucket; ``digest`` is the SHA-256 of the text that was kept."""

    id: str
    bucket: str
    name: str
    digest: str
    created_at: Millis
