"""Text in YAML or JSON → plain values, with the place of each; the only module that knows ``yaml``.

YAML is read by the core schema of its version 1.2: ``no`` and ``on`` are text, dates are text, and ``0123`` is a number
as in JSON. Keys are text. A key twice in one map is an error; so is what JSON and a database cannot carry.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vivavoce.core.depth import MAX_DEPTH

Loc = tuple[str | int, ...]

MOST_VALUES = 1_000_000
"""How many values a document may have, with those that aliases repeat."""

_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_TRUE, _FALSE = re.compile(r"(?:true|True|TRUE)\Z"), re.compile(r"(?:false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_LONGEST_NUMBER = 300
_ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands; lines and columns are counted from 1."""

    path: Path
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: its value, and where every part of it stands, by the steps that lead there."""

    value: Any
    places: Mapping[Loc, Place]

    def place(self, loc: Loc) -> Place:
        """Where this part stands, or the innermost one around it that is there."""
        while loc not in self.places:
            loc = loc[:-1]
        return self.places[loc]


class _Loader(yaml.SafeLoader):
    """Composes nodes, and gives them no meaning of their own."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # as the library has it


@dataclass(slots=True)
class _Growing:
    path: Path
    faults: list[Fault]
    places: dict[Loc, Place] = field(default_factory=dict[Loc, Place])
    count: int = 0


def parse(path: Path, text: str, faults: list[Fault]) -> list[Tree]:
    """The documents of a file; what is wrong in them is added to ``faults``. A file named ``.json`` is JSON."""
    if path.suffix == ".json":
        try:
            json.loads(text)
        except json.JSONDecodeError as failure:
            faults.append(Fault(Place(path, failure.lineno, failure.colno), f"this is no JSON: {failure.msg}"))
            return []
        except (ValueError, RecursionError) as failure:
            # Python reads no integer of more than 4,300 digits.
            deep = isinstance(failure, RecursionError)
            why = "it is nested too deeply" if deep else "a number in it has too many digits"
            faults.append(Fault(Place(path), f"this cannot be read: {why}"))
            return []
        # Where YAML is stricter: tabs stand between values only, and the others in texts.
        text = _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\t", " "))
    try:
        nodes = list(yaml.compose_all(text, _Loader))
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        faults.append(Fault(place, f"this is no YAML: {failure.problem or failure.context}"))
        return []
    except (yaml.YAMLError, RecursionError) as failure:
        reason = "it is nested too deeply" if isinstance(failure, RecursionError) else " ".join(str(failure).split())
        faults.append(Fault(Place(path), f"this is no YAML: {reason}"))
        return []
    trees: list[Tree] = []
    for node in nodes:
        growing = _Growing(path, faults)
        before = len(faults)
        value = _value(node, (), growing)
        if len(faults) == before or value is not None:
            trees.append(Tree(value, growing.places))
    return trees


def _value(node: yaml.Node, loc: Loc, growing: _Growing) -> Any:
    place = growing.places[loc] = _place(node, growing.path)
    growing.count += 1
    if growing.count > MOST_VALUES or len(loc) >= MAX_DEPTH:
        if growing.count <= MOST_VALUES + 1:
            growing.count = MOST_VALUES + 1
            growing.faults.append(Fault(place, "this document is too large or nested too deeply"))
        return None
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(node, loc, growing))
    if isinstance(node, yaml.SequenceNode):
        return [_value(one, (*loc, number), growing) for number, one in enumerate(node.value)]
    return _scalar(node, place, growing)


def _pairs(node: yaml.MappingNode, loc: Loc, growing: _Growing) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for key, inner in node.value:
        place = _place(key, growing.path)
        if not isinstance(key, yaml.ScalarNode):
            growing.faults.append(Fault(place, "a key should be text"))
            continue
        name = carried(str(key.value), place, growing.faults)
        if name in seen:
            growing.faults.append(Fault(place, f"the key {name!r} stands in line {seen[name]} already"))
            continue
        seen[name] = place.line
        value = _value(inner, (*loc, name), growing)
        # Whoever mends it looks for the key: what is wrong with a long value is told at its head.
        growing.places[*loc, name] = place
        yield name, value


def _scalar(node: yaml.Node, place: Place, growing: _Growing) -> Any:
    text = str(node.value)
    if node.tag != "tag:yaml.org,2002:str":
        growing.faults.append(Fault(place, f"the tag {node.tag} has no meaning here"))
        return None
    if getattr(node, "style", None) is not None:
        return carried(text, place, growing.faults)
    if is_text(text):
        return carried(text, place, growing.faults)
    if _NULL.match(text):
        return None
    if _TRUE.match(text) or _FALSE.match(text):
        return text[0] in "tT"
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    number = float(text)
    if not math.isfinite(number):
        growing.faults.append(Fault(place, "this should be a finite number, or text in quotation marks"))
    return number


def is_text(bare: str) -> bool:
    """Whether these characters without quotation marks are text, and neither null, a truth value nor a number."""
    if _NULL.match(bare) or _TRUE.match(bare) or _FALSE.match(bare):
        return False
    return len(bare) > _LONGEST_NUMBER or not (_INT.match(bare) or _FLOAT.match(bare))


def carried(text: str, place: Place, faults: list[Fault]) -> str:
    """The text, where a database and JSON can carry it. JSON writes characters beyond the first plane as two."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if "\x00" in text or joined.count("\ufffd") > text.count("\ufffd"):
        faults.append(Fault(place, "this text should contain neither NUL characters nor lone surrogates"))
    return joined


def _place(node: yaml.Node, path: Path) -> Place:
    mark = node.start_mark
    return Place(path, mark.line + 1, mark.column + 1)
