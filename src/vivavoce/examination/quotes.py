"""Evidence: a quote counts only if its words stand in the transcript."""

import json
import re

from vivavoce.core.event import Event, HandedOver, Message, Moved, Recalled, ToolCalled, ToolReturned
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Quote

_APOSTROPHES, _QUOTATION = "'’‘ʼ`", '"“”„«»'
_DASHES = "-–—‐‑"


def text_of(event: Event) -> str:
    """What can be quoted of an event: words, a call with its arguments, a result, the node or the assistant that a flow
    or a handover led to.

    Why somebody left is a note for the story: the caller's comes from its brief and was never said.
    """
    match event:
        case Message(text=text):
            return text
        case ToolCalled(call=call):
            return f"{call.name}({json.dumps(dict(call.arguments), ensure_ascii=False, sort_keys=True)})"
        case ToolReturned(output=output):
            return output
        case Recalled(passages=passages):
            return "\n".join(passages)
        case Moved(node=node, name=name):
            return name or node
        case HandedOver(name=name):
            return name
        case _:
            return ""


def find(words: str, turn: int | None, transcript: Transcript) -> Quote | None:
    """The quote as it stands in the transcript, or None.

    White space, case and the kind of quotation marks and dashes may differ; the words may not, and no word or number
    is cut: "$1" does not stand in "$100". The named turn is looked at first; where the words stand elsewhere, the
    quote carries the turn they stand in. What comes back is a verbatim part of that event, so that it can be
    highlighted.
    """
    # As it was given first: quotation marks and full stops around it may belong to it, or to whoever quoted.
    patterns = [pattern for text in (words, _bare(words)) if (pattern := _pattern(text)) is not None]
    order = list(range(len(transcript.events)))
    if turn is not None and 0 <= turn < len(order):
        order.insert(0, turn)
    for place in order:
        for pattern in patterns:
            found = _search(pattern, text_of(transcript.events[place]))
            if found is not None:
                return Quote(place, found)
    return None


def _search(pattern: re.Pattern[str], text: str) -> str | None:
    start = 0
    while found := pattern.search(text, start):
        if not _cut(text, found.start()) and not _cut(text, found.end()):
            return found.group(0)
        start = found.start() + 1
    return None


def _cut(text: str, at: int) -> bool:
    return 0 < at < len(text) and _joined(text[at - 1]) and _joined(text[at])


def _joined(letter: str) -> bool:
    # Scripts without upper and lower case may be written without spaces, so their words cannot be told apart here.
    return letter.isdigit() or letter.lower() != letter.upper()


def _pattern(words: str) -> re.Pattern[str] | None:
    if not re.search(r"\w", words):
        return None
    return re.compile(r"\s+".join("".join(map(_letter, token)) for token in words.split()), re.IGNORECASE)


def _bare(words: str) -> str:
    return words.strip().strip(_QUOTATION + "….").strip()


def _letter(letter: str) -> str:
    for family in (_APOSTROPHES, _QUOTATION, _DASHES):
        if letter in family:
            return "[" + re.escape(family) + "]"
    return re.escape(letter)
