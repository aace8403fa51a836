"""Regular expressions that come from users, matched in time proportional to the text.

Python's ``re`` backtracks and has no timeout, so one careless pattern in a rubric could stop a whole server.
These patterns are a subset of its language, run as a set of parallel threads (Thompson, Pike): every character
of the text is looked at once per instruction, whatever the pattern is. What cannot be matched that way
(backreferences, lookaround) is refused.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_PATTERN = 300
"""Characters of a pattern."""
MAX_PROGRAM = 600
"""Instructions of a compiled pattern: counted repetitions are written out."""
MAX_WORK = 4_000_000
"""Characters of the text times instructions: about two seconds at the very worst."""
_MAX_DEPTH = 20

_Test = Callable[[str], bool]
_Check = Callable[[str, int], bool]


class PatternError(Exception):
    """The pattern is malformed, not supported or too big; the message is for a person."""


@dataclass(frozen=True, slots=True)
class _Take:
    test: _Test


@dataclass(frozen=True, slots=True)
class _Assert:
    check: _Check


@dataclass(frozen=True, slots=True)
class _Fork:
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class _Jump:
    to: int


@dataclass(frozen=True, slots=True)
class _Save:
    slot: int


@dataclass(frozen=True, slots=True)
class _Accept:
    pass


_Instruction = _Take | _Assert | _Fork | _Jump | _Save | _Accept


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; ``groups`` counts its capturing groups, without the whole match."""

    source: str
    program: tuple[_Instruction, ...]
    groups: int


@dataclass(frozen=True, slots=True)
class Found:
    """Where a pattern matched: ``spans[0]`` is the whole match, the others its groups, None where not taken part."""

    spans: tuple[tuple[int, int] | None, ...]

    @property
    def span(self) -> tuple[int, int]:
        """The whole match."""
        whole = self.spans[0]
        assert whole is not None
        return whole


# --- the tree -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Either:
    choices: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    node: "_Node"
    low: int
    high: int | None
    greedy: bool


@dataclass(frozen=True, slots=True)
class _Group:
    node: "_Node"
    index: int


_Node = _Sequence | _Either | _Repeat | _Group | _Take | _Assert

_CLASSES: dict[str, _Test] = {
    "d": str.isdecimal,
    "w": lambda char: char.isalnum() or char == "_",
    "s": str.isspace,
}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


def _at_word_edge(text: str, at: int) -> bool:
    word = _CLASSES["w"]
    return (at > 0 and word(text[at - 1])) != (at < len(text) and word(text[at]))


def _at_end(text: str, at: int) -> bool:
    return at == len(text) or (at == len(text) - 1 and text[at] == "\n")


_CHECKS: dict[str, _Check] = {
    "b": _at_word_edge,
    "B": lambda text, at: not _at_word_edge(text, at),
    "A": lambda text, at: at == 0,
    "Z": lambda text, at: at == len(text),
}


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, source: str, ignore_case: bool) -> None:
        self.source = source
        self.ignore_case = ignore_case
        self.at = 0
        self.groups = 0
        self.depth = 0

    def peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def next(self) -> str:
        char = self.peek()
        if not char:
            raise PatternError("the pattern ends too early")
        self.at += 1
        return char

    def eat(self, words: str) -> bool:
        if self.source.startswith(words, self.at):
            self.at += len(words)
            return True
        return False

    def either(self) -> _Node:
        choices = [self.sequence()]
        while self.eat("|"):
            choices.append(self.sequence())
        return choices[0] if len(choices) == 1 else _Either(tuple(choices))

    def sequence(self) -> _Node:
        parts: list[_Node] = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated())
        return _Sequence(tuple(parts))

    def repeated(self) -> _Node:
        node = self.atom()
        bounds = self.bounds()
        if bounds is None:
            return node
        if isinstance(node, _Assert):
            raise PatternError("nothing to repeat")
        greedy = not self.eat("?")
        if self.peek() in ("*", "+") or self.bounds() is not None:
            raise PatternError("a repetition cannot be repeated without a group around it")
        return _Repeat(node, *bounds, greedy)

    def bounds(self) -> tuple[int, int | None] | None:
        if self.eat("*"):
            return 0, None
        if self.eat("+"):
            return 1, None
        if self.eat("?"):
            return 0, 1
        close = self.source.find("}", self.at)
        if self.peek() != "{" or close < 0:
            return None
        low, comma, high = self.source[self.at + 1 : close].partition(",")
        if not all(part == "" or _number(part) for part in (low, high)) or not (low or comma):
            return None
        self.at = close + 1
        least = int(low or "0")
        most = (int(high) if high else None) if comma else least
        if least > MAX_PROGRAM or (most is not None and not least <= most <= MAX_PROGRAM):
            raise PatternError("the numbers of a repetition are too large or in the wrong order")
        return least, most

    def atom(self) -> _Node:
        if self.bounds() is not None:
            raise PatternError("nothing to repeat")
        char = self.next()
        if char == "(":
            return self.group()
        if char == "[":
            return self.char_class()
        if char == "\\":
            return self.escape()
        if char == ".":
            return _Take(lambda found: found != "\n")
        if char == "^":
            return _Assert(_CHECKS["A"])
        if char == "$":
            return _Assert(_at_end)
        return self.take(_is(char))

    def group(self) -> _Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise PatternError("groups are nested too deeply")
        index = 0
        if not self.eat("?:"):
            if self.peek() == "?":
                raise PatternError("lookaround, named groups and inline flags are not supported")
            self.groups += 1
            index = self.groups
        node = self.either()
        if not self.eat(")"):
            raise PatternError("a group is not closed")
        self.depth -= 1
        return _Group(node, index) if index else node

    def escape(self) -> _Node:
        char = self.next()
        if char in _CHECKS:
            return _Assert(_CHECKS[char])
        return self.take(self.escaped(char))

    def escaped(self, char: str) -> _Test:
        if char.lower() in _CLASSES:
            test = _CLASSES[char.lower()]
            return test if char.islower() else lambda found: not test(found)
        if char in _CONTROL:
            return _is(_CONTROL[char])
        if char in string.ascii_letters or char in string.digits:
            raise PatternError(f"\\{char} is not supported")
        return _is(char)

    def char_class(self) -> _Node:
        negated = self.eat("^")
        tests: list[_Test] = []
        while True:
            char = self.next()
            if char == "]" and tests:  # one that stands first is an ordinary character
                return self.take(lambda found: any(test(found) for test in tests), negated=negated)
            if char == "\\":
                char = self.next()
                if char in string.ascii_letters + string.digits and char not in _CONTROL:
                    tests.append(self.escaped(char))
                    continue
                char = _CONTROL.get(char, char)
            tests.append(self.range_from(char))

    def range_from(self, low: str) -> _Test:
        if self.peek() != "-" or self.source[self.at + 1 : self.at + 2] in ("]", ""):
            return _is(low)
        self.next()
        high = self.next()
        if high == "\\":
            high = self.next()
            if high in string.ascii_letters + string.digits:
                raise PatternError("a range must end in a character")
        if high < low:
            raise PatternError(f"the range {low}-{high} is in the wrong order")
        return lambda found: low <= found <= high

    def take(self, test: _Test, *, negated: bool = False) -> _Take:
        if self.ignore_case:
            test = _in_any_case(test)
        return _Take((lambda found: not test(found)) if negated else test)


def _is(char: str) -> _Test:
    return lambda found: found == char


def _in_any_case(test: _Test) -> _Test:
    return lambda found: test(found) or test(found.lower()) or test(found.upper())


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


# --- the program ----------------------------------------------------------------------------------------------------


def _emit(node: _Node, program: list[_Instruction]) -> None:
    if len(program) > MAX_PROGRAM:
        raise PatternError("the pattern is too big once its repetitions are written out")
    match node:
        case _Sequence(parts):
            for part in parts:
                _emit(part, program)
        case _Either(choices):
            exits: list[int] = []
            for choice in choices[:-1]:
                fork = _reserve(program)
                _emit(choice, program)
                exits.append(_reserve(program))
                program[fork] = _Fork(fork + 1, len(program))
            _emit(choices[-1], program)
            for leave in exits:
                program[leave] = _Jump(len(program))
        case _Repeat():
            _emit_repeat(node, program)
        case _Group(inner, index):
            program.append(_Save(2 * index))
            _emit(inner, program)
            program.append(_Save(2 * index + 1))
        case _:
            program.append(node)


def _emit_repeat(node: _Repeat, program: list[_Instruction]) -> None:
    for _ in range(node.low):
        before = len(program)
        _emit(node.node, program)
        if len(program) == before:
            break  # empty parts cost nothing, so the size would never stop them
    forks: list[int] = []
    if node.high is None:
        forks.append(_reserve(program))
        _emit(node.node, program)
        program.append(_Jump(forks[0]))
    else:
        for _ in range(node.high - node.low):
            forks.append(_reserve(program))
            _emit(node.node, program)
    for fork in forks:
        program[fork] = _Fork(fork + 1, len(program)) if node.greedy else _Fork(len(program), fork + 1)


def _reserve(program: list[_Instruction]) -> int:
    program.append(_Accept())
    return len(program) - 1


@lru_cache(maxsize=512)
def compile_pattern(source: str, *, ignore_case: bool = False) -> Pattern:
    """The pattern, ready to search with. Raises ``PatternError``."""
    if len(source) > MAX_PATTERN:
        raise PatternError(f"a pattern has at most {MAX_PATTERN} characters")
    reader = _Reader(source, ignore_case)
    tree = reader.either()
    if reader.peek():
        raise PatternError("a group is closed that was never opened")
    program: list[_Instruction] = []
    _emit(_Group(tree, 0), program)
    program.append(_Accept())
    return Pattern(source, tuple(program), reader.groups)


# --- the search -----------------------------------------------------------------------------------------------------

_Saved = tuple[int, ...]


def search(pattern: Pattern, text: str) -> Found | None:
    """The leftmost match, by the rules of ``re.search``. Raises ``PatternError`` where the text is too long."""
    if len(text) * len(pattern.program) > MAX_WORK:
        raise PatternError("the text is too long for this pattern")
    program = pattern.program
    nothing: _Saved = (-1,) * (2 * pattern.groups + 2)
    best: _Saved | None = None
    threads: list[tuple[int, _Saved]] = []
    seen: set[int] = set()
    for at in range(len(text) + 1):
        if best is None:
            _follow(program, (0, nothing), text, at, seen, threads)
        elif not threads:
            break
        following: list[tuple[int, _Saved]] = []
        seen = set()
        for place, saved in threads:
            instruction = program[place]
            if not isinstance(instruction, _Take):
                best = saved
                break  # the threads behind this one have a lower priority
            if at < len(text) and instruction.test(text[at]):
                _follow(program, (place + 1, saved), text, at + 1, seen, following)
        threads = following
    if best is None:
        return None
    return Found(tuple((best[i], best[i + 1]) if best[i + 1] >= 0 else None for i in range(0, len(best), 2)))


def _follow(
    program: Sequence[_Instruction],
    start: tuple[int, _Saved],
    text: str,
    at: int,
    seen: set[int],
    threads: list[tuple[int, _Saved]],
) -> None:
    # Goes on to every instruction that takes a character, in the order in which a backtracking matcher would try them.
    waiting = [start]
    while waiting:
        place, saved = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        instruction = program[place]
        match instruction:
            case _Jump(to):
                waiting.append((to, saved))
            case _Fork(first, second):
                waiting.append((second, saved))
                waiting.append((first, saved))
            case _Save(slot):
                waiting.append((place + 1, (*saved[:slot], at, *saved[slot + 1 :])))
            case _Assert(check):
                if check(text, at):
                    waiting.append((place + 1, saved))
            case _:
                threads.append((place, saved))
