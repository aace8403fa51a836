"""A test as a form writes it: its fields, the document that they make, and what is wrong with which of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vivavoce.core.scenario import Medium, Scenario
from vivavoce.files.places import follow, said, sifted
from vivavoce.files.plain import plain
from vivavoce.files.scenarios import named_by
from vivavoce.files.schema import FREE, HANG_UP, OneTest
from vivavoce.files.trees import Fault, parse
from vivavoce.files.writing import to_yaml
from vivavoce.web.gate import Form

TEXTS = ("name", "suite", "destination", "description", "persona", "scenario", "tester_model")
NUMBERS = ("max_duration_seconds", "turn_limit", "utterance_limit", "repeats")
AREAS = ("scenario", "persona", "turns", "variables", "mocks")
FIELDS = (*TEXTS, *NUMBERS, "assistant", "medium", "turns", "variables", "mocks")
JUDGED, COMPUTED = "judge", "computed"
ROWS = 3
"""How many empty criteria a new test begins with."""
MOST_ROWS = 2_000
NO_BRIEF = "Say what the caller wants, unless all they do is read their turns and hang up."
_SAY = "say: "
_MORE = "  "


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion: its name, which may be empty, what must hold, and who decides it."""

    name: str = ""
    text: str = ""
    kind: str = JUDGED

    @property
    def empty(self) -> bool:
        """Whether nothing was written there."""
        return not (self.name.strip() or self.text.strip())


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the form."""

    fields: Mapping[str, str]
    rows: tuple[Row, ...]

    def plus(self) -> "Written":
        """With one more empty criterion."""
        return Written(self.fields, (*self.rows, Row())[:MOST_ROWS])


@dataclass(frozen=True, slots=True)
class Read:
    """What the form says: a document, or what is wrong, by the names of the fields; ``row-N`` is a criterion, and an
    empty name stands for all of it. ``order`` are the places of its criteria and then its checks, as the rows stand."""

    document: OneTest | None
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    order: tuple[int, ...] = ()


def blank(**given: str | None) -> Written:
    """The form of a new test."""
    fields = dict.fromkeys(FIELDS, "") | {"medium": Medium.WEB_CHAT.value, "repeats": "1"}
    return Written(fields | {name: value for name, value in given.items() if value}, (Row(),) * ROWS)


def of_form(given: Form) -> Written:
    """What was sent."""
    names, texts, kinds = (given.getlist(f"criterion_{part}") for part in ("name", "text", "kind"))
    rows = [Row(*one) for one in zip(names, texts, kinds, strict=False)]
    return Written({name: given.get(name, "") for name in FIELDS}, tuple(rows[:MOST_ROWS]))


def of_scenario(scenario: Scenario, *, here: bool) -> Written:
    """A test as it stands; ``here`` says that it goes to an assistant of this server."""
    fields = {
        "name": scenario.name,
        "suite": scenario.suite or "",
        "assistant": scenario.target if here else "",
        "destination": "" if here else scenario.target,
        "description": scenario.description or "",
        "persona": scenario.persona or "",
        "scenario": scenario.brief,
        "medium": scenario.medium.value,
        "turns": turns_text(scenario.lines, hangs_up=scenario.hangs_up),
        "variables": to_yaml(scenario.variables) if scenario.variables else "",
        "mocks": json.dumps(plain(scenario.mocks), indent=2, ensure_ascii=False) if scenario.mocks else "",
        "tester_model": scenario.tester_model or "",
        "max_duration_seconds": _figure(scenario.max_duration_s),
        "turn_limit": _figure(scenario.turn_limit),
        "utterance_limit": _figure(scenario.utterance_limit),
        "repeats": str(scenario.repeats),
    }
    rows: list[Row] = []
    taken: set[str] = set()
    for one in scenario.criteria:
        name = "" if one.name == named_by(one.text, taken) else one.name
        rows.append(Row(name, one.text, COMPUTED if one.computed else JUDGED))
        taken.add(one.name)
    return Written(fields, tuple(rows) or (Row(),) * ROWS)


def same(sent: Written, shown: Written) -> bool:
    """Whether a form was sent as it was shown: browsers have one line break only, and none in a field of one line."""
    return _plain(sent) == _plain(shown)


def _plain(written: Written) -> tuple[dict[str, str], list[Row]]:
    def line(text: str) -> str:
        return text.replace("\r", "").replace("\n", "")

    def lines(text: str) -> str:
        return text.replace("\r\n", "\n").replace("\r", "\n")

    fields = {name: lines(text) if name in AREAS else line(text) for name, text in written.fields.items()}
    return fields, [Row(line(row.name), lines(row.text), row.kind) for row in written.rows]


def _figure(value: int | None) -> str:
    return "" if value is None else str(value)


def turns_text(lines: Sequence[str | None], *, hangs_up: bool) -> str:
    """The caller's turns, one on each line. A line that begins with two spaces goes on with the one above."""
    told = [FREE if line is None else _spelled(line) for line in lines]
    return "\n".join([*told, *([HANG_UP] if hangs_up else [])])


def _spelled(line: str) -> str:
    mistaken = line in (FREE, HANG_UP) or line.startswith((_SAY, " ")) or line != line.strip()
    return (_SAY if mistaken else "") + line.replace("\n", "\n" + _MORE)


def turns(text: str) -> list[Any]:
    """The turns that are written like this, as a document has them."""
    found: list[str] = []
    for line in text.split("\n"):
        if line.startswith(_MORE) and found:
            found[-1] += "\n" + line.removeprefix(_MORE)
        elif line.strip():
            found.append(line)
    return [_turn(line) for line in found]


def _turn(line: str) -> Any:
    if line.startswith(_SAY):
        return {"say": line.removeprefix(_SAY)}
    return line.strip()


def read(written: Written) -> Read:
    """The document that the form says."""
    errors: dict[str, str] = {}
    fields = written.fields
    document: dict[str, Any] = {name: fields[name].strip() for name in TEXTS if fields[name].strip()}
    for name in ("scenario", "persona", "description"):
        if name in document:
            document[name] = fields[name]
    for name in NUMBERS:
        given = fields[name].strip()
        if given:
            document[name] = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else given
    document["medium"] = fields["medium"] or Medium.WEB_CHAT.value
    document["turns"] = turns(fields["turns"])
    for name, empty in (("variables", dict[str, Any]()), ("mocks", list[Any]())):
        faults: list[Fault] = []
        trees = parse(Path(f"{name}.yaml"), fields[name], faults)
        if faults:
            errors[name] = f"Line {faults[0].place.line}: {faults[0].message}."
        elif len(trees) > 1:
            errors[name] = "This should be one document."
        document[name] = trees[0].value if trees and not faults and trees[0].value is not None else empty
    if fields["assistant"]:
        document["assistant"] = {"id": fields["assistant"]}
        if document.pop("destination", None):
            errors["destination"] = "Leave this empty, or choose “Elsewhere” in the list of assistants."
    elif "destination" not in document:
        errors["assistant"] = "Choose an assistant, or write the address of one that is elsewhere."
        document["destination"] = "-"
    places: dict[tuple[str, int], int] = {}
    named = _named(written.rows)
    for kind, name in ((JUDGED, "criteria"), (COMPUTED, "checks")):
        mine = [place for place in named if written.rows[place].kind == kind]
        document[name] = [named[place] for place in mine]
        places |= {(name, number): place for number, place in enumerate(mine)}
    rows = list(places.values())
    if not document["criteria"] and not document["checks"]:
        errors.setdefault("criteria", "Without a criterion there is nothing to decide. Write one at least.")
    made: OneTest | None = None
    try:
        made = OneTest.model_validate(document)
    except ValidationError as failure:
        for one in sifted(document, failure.errors(include_url=False)):
            errors.setdefault(*_told(document, one, places))
    return Read(None if errors else made, errors, tuple(sorted(range(len(rows)), key=lambda place: rows[place])))


def _named(rows: Sequence[Row]) -> Mapping[int, Any]:
    """The criteria as a document has them, by the places of their rows. Those without a name get it in the order of the
    rows, which the document does not know."""
    found: dict[int, Any] = {}
    taken: set[str] = set()
    for place, row in enumerate(rows):
        if row.kind in (JUDGED, COMPUTED) and not row.empty:
            text = row.text.strip()
            name = row.name.strip() or named_by(text, taken)
            taken.add(name)
            found[place] = {"name": name, "text": text}
    return found


def _told(
    document: Mapping[str, Any], error: Mapping[str, Any], places: Mapping[tuple[str, int], int]
) -> tuple[str, str]:
    """The field, and what is wrong with it."""
    place, message = follow(document, error["loc"]), said(OneTest, error)
    message = message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")
    match place:
        case ("criteria" | "checks" as name, int(number), *_):
            return f"row-{places[name, number]}", message
        case ("turns", int(number), *_):
            return "turns", f"Turn {number + 1}: {message}"
        case ("variables" | "mocks" as name, *inner):
            return name, "".join(f"{step}: " for step in inner) + message
        case (str(name), *_):
            return name, message
        case _:
            if "'scenario' is missing" in message:
                return "scenario", NO_BRIEF
            return ("name", "A test needs a name.") if error["loc"] == ("name",) else ("", message)
