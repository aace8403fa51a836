"""Files → documents. Everything that is wrong in all of them is told at once, with its line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from vivavoce.files import places, schema
from vivavoce.files.assistants import problems, to_version
from vivavoce.files.trees import Fault, Loc, Place, Tree, carried, parse

_INSTEAD = "what could not be read"
"""Stands for a file that could not be read, so that nobody complains of what is missing as well."""
MOST_BYTES = 16 * 1024 * 1024
_SUFFIXES = (".yaml", ".yml", ".json")
_TEXTS = ("instructions", "scenario", "persona")
"""Keys whose text may stand in a file of its own."""


class Unreadable(Exception):
    """Something is wrong in the files; ``faults`` are in the order of the files and their lines."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))  # two suites may name one assistant's file
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite as a file says it. ``document`` is what the server's API takes: files that it named stand in it."""

    path: Path
    suite: schema.Suite
    document: Mapping[str, Any]
    tree: Tree

    def place(self, *loc: str | int) -> Place:
        """Where a part of the document stands: ``place("tests", 0)``; the part around it where there is none."""
        return self.tree.place(places.follow(self.tree.value, loc))

    def pointed(self, pointer: str) -> Place:
        """The same for a JSON pointer, as the server's API gives it for what it refuses: ``/body/tests/0/name``."""
        return _pointed(self.tree, pointer)


@dataclass(frozen=True, slots=True)
class AssistantFile:
    """An assistant as a file says it; ``document`` as in ``SuiteFile``."""

    path: Path
    assistant: schema.Assistant
    document: Mapping[str, Any]
    tree: Tree

    def pointed(self, pointer: str) -> Place:
        """As ``SuiteFile.pointed``."""
        return _pointed(self.tree, pointer)


def _pointed(tree: Tree, pointer: str) -> Place:
    steps = [int(one) if one.isdigit() else one for one in pointer.split("/") if one and one != "body"]
    return tree.place(places.follow(tree.value, steps))


def read(paths: Sequence[Path]) -> tuple[SuiteFile | AssistantFile, ...]:
    """The suites and assistants of these files, in their order; a file of YAML may hold several.

    Raises ``Unreadable`` with all that is wrong in all of them.
    """
    faults: list[Fault] = []
    found: list[SuiteFile | AssistantFile] = []
    for path in paths:
        before = len(faults)
        found += _file(path, faults)
        # Its own first, then those of files that it names.
        faults[before:] = sorted(faults[before:], key=lambda one: (one.place.path != path, one.place))
    if faults:
        raise Unreadable(faults)
    return tuple(found)


def read_suites(paths: Sequence[Path]) -> tuple[SuiteFile, ...]:
    """The same for files that should hold suites only."""
    found = read(paths)
    others = [Fault(one.tree.place(()), "this is no suite: it has no 'tests'") for one in found if not _is_suite(one)]
    if others:
        raise Unreadable(others)
    return tuple(one for one in found if isinstance(one, SuiteFile))


def read_trees(paths: Sequence[Path]) -> tuple[Tree, ...]:
    """What these files hold, of whatever shape. Raises ``Unreadable``."""
    faults: list[Fault] = []
    found: list[Tree] = []
    for path in paths:
        text = _text(path, Place(path), faults)
        found += [] if text is None else parse(path, text, faults)
    if faults:
        raise Unreadable(faults)
    return tuple(found)


def inside(path: Path) -> tuple[Path, ...]:
    """The file itself, or all files of YAML and JSON in a directory and those below it, in their order."""
    if not path.is_dir():
        return (path,)
    return tuple(sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file()))


def _is_suite(one: SuiteFile | AssistantFile) -> bool:
    return isinstance(one, SuiteFile)


def _file(path: Path, faults: list[Fault]) -> Iterator[SuiteFile | AssistantFile]:
    text = _text(path, Place(path), faults)
    if text is None:
        return
    before = len(faults)
    trees = parse(path, text, faults)
    if not trees and len(faults) == before:
        faults.append(Fault(Place(path), "there is nothing in this file"))
    for tree in trees:
        one = _document(path, tree, faults)
        if one is not None:
            yield one


def _text(path: Path, named: Place, faults: list[Fault]) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            faults.append(Fault(named, f"{path} is larger than {MOST_BYTES} bytes"))
            return None
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        faults.append(Fault(named, f"{path} is no text in UTF-8 (byte {failure.start})"))
    except OSError as failure:
        faults.append(Fault(named, f"{path} cannot be read: {failure.strerror or failure}"))
    return None


def _document(path: Path, tree: Tree, faults: list[Fault]) -> SuiteFile | AssistantFile | None:
    if not isinstance(tree.value, dict):
        faults.append(Fault(tree.place(()), "this should be a suite: keys with values, among them 'suite' and 'tests'"))
        return None
    keys = cast("dict[str, Any]", tree.value)
    before = len(faults)
    spots = dict(tree.places)
    whole = Tree(_with_files(keys, (), path.parent, spots, faults), spots)
    if keys.keys() & {"suite", "tests"}:
        suite = _validated(schema.Suite, whole, faults)
        if suite is not None:
            faults.extend(_mistakes(suite, whole))
        return SuiteFile(path, suite, whole.value, whole) if suite is not None and len(faults) == before else None
    assistant = _validated(schema.Assistant, whole, faults)
    if assistant is not None:
        faults.extend(_ill_made(assistant, (), whole))
    return AssistantFile(path, assistant, whole.value, whole) if assistant and len(faults) == before else None


def _validated(model: type[Any], tree: Tree, faults: list[Fault]) -> Any:
    assert issubclass(model, BaseModel)
    try:
        return model.model_validate(tree.value)
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
    for error in places.sifted(tree.value, cast("list[Mapping[str, Any]]", errors)):
        place = tree.place(places.follow(tree.value, error["loc"]))
        faults.append(Fault(place, places.said(model, error)))
    return None


def _mistakes(suite: schema.Suite, tree: Tree) -> Iterator[Fault]:
    """What the server would take, and what is a mistake all the same in a file that somebody wrote."""
    lines: dict[str, int] = {}
    if isinstance(suite.assistant, schema.Assistant):
        yield from _ill_made(suite.assistant, ("assistant",), tree)
    for number, test in enumerate(suite.tests):
        place = tree.place(("tests", number, "name"))
        if test.name in lines:
            message = f"the test in line {lines[test.name]} has the name {test.name!r} too; tests are told apart by it"
            yield Fault(place, message)
        lines.setdefault(test.name, place.line)
        if not test.criteria and not test.checks:
            message = (
                f"the test {test.name!r} has neither 'criteria' nor 'checks', so nothing decides whether it passes"
            )
            yield Fault(tree.place(("tests", number)), message)
        if isinstance(test.assistant, schema.Assistant):
            yield from _ill_made(test.assistant, ("tests", number, "assistant"), tree)


def _ill_made(assistant: schema.Assistant, loc: Loc, tree: Tree) -> Iterator[Fault]:
    yield from (Fault(tree.place((*loc, key)), message) for key, message in problems(to_version(assistant)))


# --- files that files name ------------------------------------------------------------------------------------------


def _with_files(value: Any, loc: Loc, folder: Path, spots: dict[Loc, Place], faults: list[Fault]) -> Any:
    """The value with what the files hold that it names, looked for beside the file that names them."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_with_files(one, (*loc, number), folder, spots, faults) for number, one in enumerate(items)]
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, Any]", value)
    if loc and list(pairs) == ["file"] and isinstance(pairs["file"], str) and _may_be_file(loc):
        return _included(pairs["file"], loc, folder, spots, faults)
    return {key: _with_files(one, (*loc, key), folder, spots, faults) for key, one in pairs.items()}


def _may_be_file(loc: Loc) -> bool:
    """``assistant`` of a suite or a test, and texts of a suite, a test or an assistant: not maps of their users."""
    head = loc[2:] if loc[0] == "tests" and len(loc) > 2 else loc
    return head == ("assistant",) or head in [(name,) for name in _TEXTS] or head == ("assistant", "instructions")


def _included(name: str, loc: Loc, folder: Path, spots: dict[Loc, Place], faults: list[Fault]) -> Any:
    path = folder / name
    named = spots[(*loc, "file")]
    text = _text(path, named, faults)
    if text is None:
        return _INSTEAD
    if loc[-1] != "assistant":
        return carried(text, named, faults)
    before = len(faults)
    trees = parse(path, text, faults)
    held: object = trees[0].value if len(trees) == 1 else None
    if not isinstance(held, dict):
        if len(faults) == before:
            faults.append(Fault(named, f"{path} should hold one assistant: keys with values, among them 'name'"))
        return _INSTEAD
    (tree,) = trees
    spots.update({(*loc, *inner): place for inner, place in tree.places.items()})
    # What this file names in its turn is beside it.
    return _with_files(tree.value, loc, path.parent, spots, faults) if list(tree.value) != ["file"] else tree.value
