"""What a search in documents finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. ``source`` is what people call the document; a higher ``score`` fits better."""

    text: str
    source: str
    score: float
