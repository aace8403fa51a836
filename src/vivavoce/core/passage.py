"""What a search in documents finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. ``source`` is what people call the document; a higher ``score`` fits better."""

    text: str
    source: str
    score: float


@dataclass(frozen=True, slots=True)
class Recall:
    """Documents that are searched with the conversation before each answer: what is found is told to the model without
    its asking. ``most`` is how many passages at most; None is the server's default."""

    buckets: tuple[str, ...]
    most: int | None = None
