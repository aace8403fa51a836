"""Reads criteria that are statements of fact. Anything that does not match to the last word is not read at all.

A criterion that is wrongly taken for a fact gets a wrong verdict; one that is not recognised only costs a
language model's time. So every form is anchored at both ends, and doubtful ones are left out.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from vivavoce.core.event import Speaker
from vivavoce.examination.checks.claims import Calls, Claim, Ends, Item, Leaves, Order, Pace, Says, ToolName
from vivavoce.examination.checks.literals import Data, LiteralError, Masked, Words, mask
from vivavoce.examination.checks.patterns import Pattern, search
from vivavoce.examination.checks.texts import folded

MAX_CRITERION = 1000
"""Characters of a criterion that is read; longer ones are prose."""
_MAX_CLAUSES = 8

_ASSISTANT = r"(?:(?:the |an? )?(?:ai |voice |virtual )?(?:assistant|agent|bot)|(?:the )?ai|it)"
_CALLER = r"(?:the |an? )?(?:caller|user|customer)"
_MODAL = r"(?:(?:must|should|shall|will|has to|needs to) )?"
_NEVER = r"(?:(?:(?:must|should|shall|will) )?never|(?:does|do|did|must|should|shall|will)(?: not|n't)|won't)"
_WORDS = r"\x00[wc]\d+\x00"
_ITEM = r"\x00[wcp]\d+\x00"
_IDENTIFIER = r"[A-Za-z_][\w.-]*"
_CONVERSATION = r"(?:the )?(?:conversation|call|chat)"

_NUMBERS = {
    "half an": 0.5, "half a": 0.5, "an": 1, "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30,
    "forty": 40, "forty-five": 45, "fifty": 50, "sixty": 60, "ninety": 90,
}  # fmt: skip
_NUMBER = rf"(?:[0-9]{{1,9}}(?:\.[0-9]{{1,3}})?|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_UNITS = {
    "ms": 1, "msec": 1, "millisecond": 1, "s": 1000, "sec": 1000, "second": 1000, "min": 60_000, "minute": 60_000,
}  # fmt: skip
_UNIT = r"(?:ms|msecs?|milliseconds?|secs?|seconds?|s|mins?|minutes?)"
_STRICT = r"(?:under|below|less than|fewer than|faster than|quicker than|shorter than|<)"
_LOOSE = (
    r"(?:at most|at maximum|(?:no|not) more than|(?:no|not) longer than|up to|<=|≤"
    r"|(?:does|do|must|should) not exceed|never exceeds?)"
)
_RELATION = rf"(?:(?:(?:in|within) )?(?:(?P<strict>{_STRICT})|{_LOOSE})|in|within)"
_MAX_COUNT = 10_000


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})\Z", re.IGNORECASE)


_PREFIX = re.compile(r"\A(?:verify|check|ensure|confirm|make sure) (?:that )?", re.IGNORECASE)
_SUBJECT = re.compile(rf"(?:(?P<assistant>{_ASSISTANT})|(?P<caller>{_CALLER}))(?:'s)? ", re.IGNORECASE)
_JOINT = re.compile(r"(,? and |; )", re.IGNORECASE)

_LIMITED = _whole(
    rf"(?P<head>.+?) {_RELATION} ?(?P<n>{_NUMBER})(?: |(?<=[0-9]))(?P<unit>{_UNIT}|turns?|messages?)"
    r"(?P<each> (?:every|each) time)?"
)
_PACES = tuple(
    _whole(form)
    for form in (
        rf"{_MODAL}(?:always )?(?:responds?|responded|repl(?:y|ies|ied)|answers?|answered)"
        r"(?: (?:to )?(?:the )?(?:caller|user|customer)"
        r"| (?:to )?(?:every|each|all|(?:the )?(?P<first>first)) (?:messages?|questions?|requests?|turns?))?",
        r"(?:(?:the|its|every|each|all) )?(?:(?P<first>first|initial) )?(?:response|reply|answer|replie)s? "
        rf"{_MODAL}(?:always )?(?:takes?|took|comes?|came|arrives?|arrived)",
        r"(?:(?:the|its|every|each|maximum|max) )?(?:(?P<first>first|initial) )?(?:response|reply|answer) times?:?"
        rf"(?: {_MODAL}(?:always )?(?:is|are|be|stays?|remains?))?",
    )
)
_ENDS = _whole(rf"{_CONVERSATION} {_MODAL}(?:ends?|ended|is over|finish|finishes|finished|lasts?|lasted|takes?|took)")
_LEAVES = _whole(
    rf"(?:(?P<never>{_NEVER}) |{_MODAL})"
    rf"(?:(?:hangs?|hung) up|(?:ends?|ended|leaves?|left) {_CONVERSATION})"
)

_TOOL = (
    rf"(?:(?:the |a )?(?:tool|function) (?P<after>{_IDENTIFIER}|{_WORDS})"
    rf"|(?:the )?(?P<before>{_IDENTIFIER}|{_WORDS}) (?:tool|function)"
    rf"|(?P<bare>{_IDENTIFIER}|{_WORDS}))(?= |\Z)"
)
_CALLS = re.compile(
    rf"(?:(?P<never>{_NEVER}) |{_MODAL})(?P<verb>calls?|called|invokes?|invoked|uses?|used) {_TOOL}", re.IGNORECASE
)
_CALLING = re.compile(rf"(?P<verb>calling|invoking|using) {_TOOL}\Z", re.IGNORECASE)
_BARE_TOOL = re.compile(rf"(?P<verb>){_TOOL}\Z", re.IGNORECASE)
_NO_NAME = re.compile(
    r".*(?:ly|ed)\Z|(?:once|twice|thrice|again|first|before|after|when|if|for|that|which|with|available|below|above)\Z",
    re.IGNORECASE,
)
_QUOTED_NAME = re.compile(r"[\w.:/-]{1,100}\Z")
_COUNT = (
    r"(?:(?P<bound>exactly|only|just|at most|at least|(?:no|not) more than|more than) )?"
    rf"(?:(?P<word>once|twice|thrice)|(?P<n>{_NUMBER}) times?)"
)
_COUNT_FIRST = re.compile(rf"{_COUNT}(?: |\Z)", re.IGNORECASE)
_COUNT_LAST = re.compile(rf"(?:\A| ){_COUNT}\Z", re.IGNORECASE)
_WITH = _whole(r"with (?:(?:the|these) )?(?:(?:arguments?|parameters?) )?(?:(?P<data>\x00d\d+\x00)|(?P<pairs>.+))")
_PAIR = re.compile(
    rf"(?P<key>{_IDENTIFIER}|{_WORDS})"
    rf"(?: ?[=:] ?(?P<loose>{_WORDS}|[^\s,;\x00]+)"
    rf"| (?:(?:of|as|set to|equal to) )?(?P<tight>{_WORDS}|-?[0-9]+(?:\.[0-9]+)?|true|false|null))"
    r"(?:,? and |, ?|\Z)",
    re.IGNORECASE,
)

_SAY = r"(?:says?|said|mentions?|mentioned|asks? for|asked for)"
_SAYS = _whole(rf"(?:(?P<never>{_NEVER}) |{_MODAL}){_SAY} (?P<items>{_ITEM}(?:(?:,? (?:or|and) |, ){_ITEM})*)")
_SAYING = _whole(rf"(?:saying|mentioning|asking for) (?P<items>{_ITEM})")
_BARE_ITEM = _whole(rf"(?P<items>{_ITEM})")


@lru_cache(maxsize=1024)
def read_fact(text: str) -> Claim | None:
    """The claim that the whole text makes about times, tools or the ending, or None."""
    masked = _prepared(text)
    clause = masked and _clause(masked, masked.text, Speaker.ASSISTANT)
    if not clause:
        return None
    claim, _ = clause
    return claim if _is_fact(claim) else None


@lru_cache(maxsize=1024)
def read_claims(text: str) -> tuple[Claim, ...] | None:
    """The claims about facts and words that the whole text makes, joined by *and*, or None."""
    masked = _prepared(text)
    if masked is None:
        return None
    pieces = _JOINT.split(masked.text)
    if len(pieces) > 2 * _MAX_CLAUSES:
        return None
    return _clauses(masked, pieces, Speaker.ASSISTANT)


def _is_fact(claim: Claim) -> bool:
    return not isinstance(claim.first if isinstance(claim, Order) else claim, Says)


def _prepared(text: str) -> Masked | None:
    if len(text) > MAX_CRITERION:
        return None
    try:
        masked = mask(text)
    except LiteralError:
        return None
    prose = unicodedata.normalize("NFKC", masked.text).replace("’", "'")
    prose = " ".join(prose.split()).removesuffix(".").rstrip()
    return Masked(_PREFIX.sub("", prose), masked.literals)


def _clauses(masked: Masked, pieces: Sequence[str], speaker: Speaker) -> tuple[Claim, ...] | None:
    # 'and' joins clauses, but also arguments and quotations, so the longest clause that can be read goes first.
    # A clause without a subject goes on with that of the clause before it.
    for end in range(len(pieces), 0, -2):
        clause = _clause(masked, "".join(pieces[:end]), speaker)
        if clause is None:
            continue
        if end == len(pieces):
            return (clause[0],)
        others = _clauses(masked, pieces[end + 1 :], clause[1])
        if others is not None:
            return (clause[0], *others)
    return None


def _clause(masked: Masked, text: str, speaker: Speaker) -> tuple[Claim, Speaker] | None:
    subject = _SUBJECT.match(text)
    if subject is None:
        ends = _ends(text)
        if ends is not None:
            return ends, speaker
        rest = text
    else:
        speaker = Speaker.CALLER if subject["caller"] else Speaker.ASSISTANT
        rest = text[subject.end() :]
    claim = _order(masked, rest, speaker) if " before " in rest else _single(masked, rest, speaker)
    return None if claim is None else (claim, speaker)


def _single(masked: Masked, text: str, speaker: Speaker) -> Claim | None:
    leaves = _LEAVES.match(text)
    if leaves:
        return Leaves(speaker, never=bool(leaves["never"]))
    says = _says(masked, text, speaker)
    if says is not None or speaker is Speaker.CALLER:
        return says
    return _pace(text) or _calls(masked, text)


# --- times ----------------------------------------------------------------------------------------------------------


def _number(text: str) -> float:
    text = text.lower()
    return float(_NUMBERS.get(text, text))


def _milliseconds(number: str, unit: str) -> float:
    unit = unit.lower()
    return _number(number) * (_UNITS[unit] if unit in _UNITS else _UNITS[unit[:-1]])


def _pace(text: str) -> Pace | None:
    limited = _LIMITED.match(text)
    if limited is None or limited["unit"].lower().startswith(("turn", "mess")):
        return None
    for form in _PACES:
        head = form.match(limited["head"])
        if head:
            limit = _milliseconds(limited["n"], limited["unit"])
            return Pace(limit, strict=bool(limited["strict"]), first=bool(head["first"]))
    return None


def _ends(text: str) -> Ends | None:
    limited = _LIMITED.match(text)
    if limited is None or limited["each"] or not _ENDS.match(limited["head"]):
        return None
    unit, strict = limited["unit"].lower(), bool(limited["strict"])
    if unit.startswith("turn"):
        return Ends(_number(limited["n"]), "turns", strict)
    if unit.startswith("mess"):
        return Ends(_number(limited["n"]), "messages", strict)
    return Ends(_milliseconds(limited["n"], unit), "ms", strict)


# --- tools ----------------------------------------------------------------------------------------------------------


def _tool(masked: Masked, found: re.Match[str]) -> ToolName | None:
    written = found["after"] or found["before"] or found["bare"]
    using = found["verb"].lower().startswith("us")
    if written.startswith("\x00"):
        words = masked.literal(written)
        assert isinstance(words, Words)
        named = _QUOTED_NAME.match(words.text) and (words.code or not using or not found["bare"])
        return ToolName(words.text, certain=True) if named else None
    if "_" in written or (not using and re.search(r"[0-9-]", written)):
        return ToolName(written, certain=True)
    if found["bare"] or _NO_NAME.match(written):
        return None
    # "the weather tool" may describe a tool whose name is get_weather.
    return ToolName(written, certain=bool(found["after"]))


def _calls(masked: Masked, text: str) -> Calls | None:
    found = _CALLS.match(text)
    tool = found and _tool(masked, found)
    if not found or not tool:
        return None
    rest = text[found.end() :].strip()
    count = _COUNT_FIRST.match(rest)
    if count:
        rest = rest[count.end() :]
    else:
        count = _COUNT_LAST.search(rest)
        rest = rest[: count.start()] if count else rest
    arguments = _arguments(masked, rest) if rest else ()
    bounds = _bounds(count, never=bool(found["never"]))
    if arguments is None or bounds is None:
        return None
    return Calls(tool, *bounds, arguments)


def _bounds(count: re.Match[str] | None, *, never: bool) -> tuple[int, int | None] | None:
    if count is None:
        return (0, 0) if never else (1, None)
    bound = (count["bound"] or "exactly").lower()
    words = {"once": 1.0, "twice": 2.0, "thrice": 3.0}
    times = words[count["word"].lower()] if count["word"] else _number(count["n"])
    if not times.is_integer() or times > _MAX_COUNT:
        return None
    number = int(times)
    if bound == "more than":
        return (0, number) if never else (number + 1, None)
    if never:
        return None  # "does not call it twice" can be meant in more than one way
    if bound == "at least":
        return number, None
    return (0 if bound in ("at most", "no more than", "not more than") else number), number


def _arguments(masked: Masked, text: str) -> tuple[tuple[str, Any], ...] | None:
    found = _WITH.match(text)
    if found is None:
        return None
    if found["data"]:
        data = masked.literal(found["data"])
        assert isinstance(data, Data)
        return tuple(data.value.items())
    pairs: list[tuple[str, Any]] = []
    at = 0
    while at < len(found["pairs"]):
        pair = _PAIR.match(found["pairs"], at)
        if pair is None:
            return None
        pairs.append((str(_value(masked, pair["key"])), _value(masked, pair["loose"] or pair["tight"])))
        at = pair.end()
    return tuple(pairs)


def _value(masked: Masked, written: str) -> str:
    if not written.startswith("\x00"):
        return written
    words = masked.literal(written)
    assert isinstance(words, Words)
    return words.text


# --- words ----------------------------------------------------------------------------------------------------------


def _says(masked: Masked, text: str, speaker: Speaker, form: re.Pattern[str] = _SAYS) -> Says | None:
    found = form.match(text)
    if found is None:
        return None
    joints = re.sub(_ITEM, " ", found["items"]).lower().split()
    every, either, never = "and" in joints, "or" in joints, "never" in form.groupindex and bool(found["never"])
    marks = re.findall(_ITEM, found["items"])
    if (every and (either or never)) or (len(marks) > 1 and not every and not either):
        return None  # a mixture, or a negation, that can be meant in more than one way
    items: list[Item] = []
    for mark in marks:
        item = masked.literal(mark)
        assert not isinstance(item, Data)
        if not _usable(item):
            return None
        items.append(item)
    return Says(speaker, tuple(items), every, never)


def _usable(item: Item) -> bool:
    # What is found in silence is found everywhere.
    return search(item, "") is None if isinstance(item, Pattern) else bool(folded(item.text))


# --- order ----------------------------------------------------------------------------------------------------------


def _order(masked: Masked, text: str, speaker: Speaker) -> Order | None:
    left, _, right = text.partition(" before ")
    first = _single(masked, left, speaker)
    if not isinstance(first, Calls | Says):
        return None
    if isinstance(first, Calls) and (first.low, first.high) != (1, None):
        return None
    if isinstance(first, Says) and (first.never or first.every):
        return None
    second = _second(masked, right, first)
    return None if second is None else Order(first, second)


def _second(masked: Masked, text: str, first: Calls | Says) -> Calls | Says | None:
    subject = _SUBJECT.match(text)
    if subject:
        speaker = Speaker.CALLER if subject["caller"] else Speaker.ASSISTANT
        claim = _single(masked, text[subject.end() :], speaker)
        plain = isinstance(claim, Calls) and claim == Calls(claim.tool)
        said = isinstance(claim, Says) and len(claim.items) == 1 and not claim.never
        return claim if isinstance(claim, Calls | Says) and (plain or said) else None
    speaker = first.speaker if isinstance(first, Says) else Speaker.ASSISTANT
    says = _says(masked, text, speaker, _SAYING)
    if says is not None:
        return says
    if isinstance(first, Says) and not _CALLING.match(text):
        return _says(masked, text, speaker, _BARE_ITEM)
    found = _CALLING.match(text) or _BARE_TOOL.match(text)
    tool = found and _tool(masked, found)
    return Calls(tool) if tool else None
