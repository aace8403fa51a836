"""Reads scripts: rules that stand line by line inside free text. Lines that are no rule are prose and stay so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from vivavoce.examination.checks.claims import Item
from vivavoce.examination.checks.literals import Data, LiteralError, Words, opens_literal, read_literal


@dataclass(frozen=True, slots=True)
class Start:
    """The opening."""


@dataclass(frozen=True, slots=True)
class Hear:
    """The other side said any of these."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A tool answered; ``tool`` None means any."""

    tool: str | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Enter:
    """The first time that the model of a flow's node is asked since the node was entered."""


@dataclass(frozen=True, slots=True)
class Told:
    """The assistant was told to say something that holds any of these."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Else:
    """Anything that was heard, or the opening, when no other rule fits."""


@dataclass(frozen=True, slots=True)
class Say:
    """Words, with references such as ``$1`` and ``${path}``."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; strings among the arguments hold references."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HangUp:
    """The end."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a script; ``line`` counts from 1."""

    line: int
    once: bool
    trigger: Start | Enter | Hear | Told | Result | Else
    actions: tuple[Say | Call | HangUp, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """What a tool is called with that a flow calls, not the script; ``items`` None is whatever the caller said."""

    line: int
    tool: str
    items: tuple[Item, ...] | None
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Script:
    """What a text holds: rules, complaints about lines that were meant as rules, the lines of prose, and what tools are
    called with."""

    rules: tuple[Rule, ...]
    problems: tuple[tuple[int, str], ...]
    prose: tuple[str, ...]
    fills: tuple[Fill, ...] = ()


class _MalformedError(Exception):
    """The line is no rule; the message says why."""


_RULE = re.compile(
    r"\s*(?:[-*•]\s+)?(?P<once>once\s+)?(?:on\s+(?P<kind>start|enter|hear|told|result)\b|(?P<other>else)\s*(?=:))",
    re.IGNORECASE,
)
_FILL = re.compile(
    r"\s*(?:[-*•]\s+)?fill\s+(?P<tool>[\w.-]+|`[^`]+`)\s*(?:(?P<hear>on\s+hear\b)\s*|:\s*(?=\{))", re.IGNORECASE
)
# Such a line has the look of a rule and is none: somebody would search long for a misspelt trigger.
_MEANT = re.compile(
    r"\s*(?:[-*•]\s+)?(?:once\s+)?(?:on\s+)?(?P<trigger>\w+)\b.*:\s*(?:say\s*[\"“]|call\s+\S+\s*\{|hang up\s*(?:;|$))",
    re.IGNORECASE,
)
_NAME = re.compile(r"[\w.-]+|`[^`]+`")
_RESULT = re.compile(r"(?:(?P<code>`[^`]+`)|(?P<tool>(?!failed\s*:)[\w.-]+))?\s*(?P<failed>failed\b)?", re.IGNORECASE)
_UP = re.compile(r"up\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=512)
def read_script(text: str) -> Script:
    """The script inside the text. Never raises."""
    rules: list[Rule] = []
    fills: list[Fill] = []
    complaints: list[tuple[int, str]] = []
    prose: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        head, filling = _RULE.match(line), _FILL.match(line)
        if head is None and filling is None:
            meant = _MEANT.match(line)
            if meant is None:
                prose.append(line)
            else:
                complaints.append((number, f"unknown trigger '{meant['trigger']}'"))
            continue
        try:
            if filling is not None:
                fills.append(_fill(line, number, filling))
            elif head is not None:
                rules.append(_rule(line, number, head))
        except (_MalformedError, LiteralError) as error:
            complaints.append((number, str(error)))
    return Script(tuple(rules), tuple(complaints), tuple(prose), tuple(fills))


def problems(text: str, *, side: Literal["assistant", "tester"] = "assistant") -> tuple[str, ...]:
    """What is wrong with the script in the text, for example ``line 4: unknown action 'sya'``.

    A tester's script has no tools: with ``side="tester"`` calls and results in it are complained about too.
    """
    script = read_script(text)
    found = list(script.problems)
    if side == "tester":
        for rule in script.rules:
            if isinstance(rule.trigger, Result):
                found.append((rule.line, "a tester hears no tool results, so this rule never fires"))
            elif isinstance(rule.trigger, Enter | Told):
                found.append((rule.line, "a tester is in no flow, so this rule never fires"))
            elif any(isinstance(action, Call) for action in rule.actions):
                found.append((rule.line, "a tester cannot call tools, so the call is left out"))
        found += [(one.line, "a tester cannot call tools, so this line does nothing") for one in script.fills]
    return tuple(f"line {line}: {what}" for line, what in sorted(found))


def _rule(line: str, number: int, head: re.Match[str]) -> Rule:
    at = _past_spaces(line, head.end())
    kind = (head["kind"] or head["other"]).lower()
    trigger: Start | Enter | Hear | Told | Result | Else
    match kind:
        case "hear":
            items, at = _items(line, at, kind)
            trigger = Hear(items)
        case "told":
            items, at = _items(line, at, kind)
            trigger = Told(items)
        case "enter":
            trigger = Enter()
        case "result":
            trigger, at = _result(line, at)
        case "start":
            trigger = Start()
        case _:
            trigger = Else()
    at = _past_spaces(line, at)
    if line[at : at + 1] != ":":
        raise _MalformedError(f"a ':' is missing after 'on {kind}'")
    return Rule(number, bool(head["once"]), trigger, _actions(line, at + 1))


def _past_spaces(line: str, at: int) -> int:
    while at < len(line) and line[at].isspace():
        at += 1
    return at


def _fill(line: str, number: int, head: re.Match[str]) -> Fill:
    items, at = None, head.end()
    if head["hear"]:
        items, at = _items(line, at, "hear")
        at = _past_spaces(line, at)
        if line[at : at + 1] != ":":
            raise _MalformedError("a ':' is missing after 'on hear'")
        at = _past_spaces(line, at + 1)
    if line[at : at + 1] != "{":
        raise _MalformedError("fill needs a JSON object")
    data, at = read_literal(line, at)
    assert isinstance(data, Data)
    if line[at:].strip():
        raise _MalformedError(f"nothing can stand behind the object: '{line[at:].strip()}'")
    return Fill(number, head["tool"].strip("`"), items, data.value)


def _items(line: str, at: int, kind: str) -> tuple[tuple[Item, ...], int]:
    items: list[Item] = []
    while True:
        if at >= len(line) or not opens_literal(line, at):
            raise _MalformedError(f"{kind} needs words in quotes or a /pattern/")
        item, at = read_literal(line, at)
        if isinstance(item, Data):
            raise _MalformedError(f"{kind} needs words in quotes or a /pattern/")
        if isinstance(item, Words) and not item.text.strip():
            raise _MalformedError(f"{kind} needs words, and these quotes are empty")
        items.append(item)
        after = _past_spaces(line, at)
        if line[after : after + 3].lower() != "or ":
            return tuple(items), at
        at = _past_spaces(line, after + 3)


def _result(line: str, at: int) -> tuple[Result, int]:
    found = _RESULT.match(line, at)
    assert found is not None  # every part of it may be absent
    tool = found["tool"] or (found["code"] or "").strip("`")
    return Result(tool or None, bool(found["failed"])), found.end()


def _name(line: str, at: int) -> tuple[str, int]:
    found = _NAME.match(line, at)
    if found is None:
        raise _MalformedError("call needs the name of a tool")
    return found[0].strip("`"), found.end()


def _actions(line: str, at: int) -> tuple[Say | Call | HangUp, ...]:
    actions: list[Say | Call | HangUp] = []
    while True:
        at = _past_spaces(line, at)
        if at >= len(line):
            break
        action, at = _action(line, at)
        actions.append(action)
        at = _past_spaces(line, at)
        if at < len(line) and line[at] != ";":
            raise _MalformedError(f"a ';' is missing before '{line[at:].strip()}'")
        at += 1
    if not actions:
        raise _MalformedError("there is no action after the ':'")
    return tuple(actions)


def _action(line: str, at: int) -> tuple[Say | Call | HangUp, int]:
    found = _WORD.match(line, at)
    word = found[0].lower() if found else ""
    after = _past_spaces(line, found.end()) if found else at
    if word == "say":
        if line[after : after + 1] not in ('"', "“", "„", "«"):
            raise _MalformedError("say needs words in double quotes")
        words, after = read_literal(line, after)
        assert isinstance(words, Words)
        return Say(words.text), after
    if word == "call":
        tool, after = _name(line, after)
        braces = _past_spaces(line, after)
        if line[braces : braces + 1] != "{":
            return Call(tool, {}), after
        data, after = read_literal(line, braces)
        assert isinstance(data, Data)
        return Call(tool, data.value), after
    if word == "hangup" or (word == "hang" and _UP.match(line, after)):
        return HangUp(), after if word == "hangup" else after + 2
    raise _MalformedError(f"unknown action '{word or line[at:].split(maxsplit=1)[0]}'")
