"""Tests and assistants in the files of other APIs: taken in, and given out. How a file is written is its format's."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.core.scenario import Scenario
from vivavoce.services import assistants, components, engines, scenarios
from vivavoce.services.engines import EXAMINABLE
from vivavoce.services.errors import NotFound
from vivavoce.services.maker import Maker
from vivavoce.services.suites import Change, named
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import locks
from vivavoce.storage import scenarios as kept_scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Span

MOST = 100_000
"""How many tests are given out at most."""


@dataclass(frozen=True, slots=True)
class Held:
    """An assistant as a file holds it. ``id`` is the server's own form of the id that it has there, empty where it has
    none; tests of the same files name it by that. ``tags`` None are none of the file's business."""

    id: str
    version: Version
    form: Form = Form.ASSISTANT
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A test as a file holds it. ``id`` is as in ``Held``; ``fresh`` is it as a new one, whose target is an id as
    ``Held`` has it or an address; ``change`` makes it of one that is there, and leaves what its API does not know."""

    id: str
    fresh: Scenario
    change: Callable[[Scenario], Scenario]


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a part of a file."""

    message: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file: where it stands there, and what it is."""

    loc: tuple[str | int, ...]
    thing: Held | Told | Flaw


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is taken in or given out together. The assistants are those that the scenarios go to, and others."""

    assistants: tuple[Assistant, ...]
    scenarios: tuple[Scenario, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """Files by their names, as JSON has them; ``notes`` say what could not be written, to a person."""

    files: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """How the files of an API are read and written. ``check`` raises ``Rejected`` where that API would refuse an
    assistant; ``same`` says whether to that API one that is here is what a file says."""

    read: Callable[[object], Iterator[Piece]]
    write: Callable[[Bundle], Written]
    check: Callable[[Version], None]
    same: Callable[[Version, Version], bool]


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a part of a file."""

    what: str
    id: str
    name: str
    change: Change


# --- in -------------------------------------------------------------------------------------------------------------


def keep(by: Maker, tx: Tx, org: str, found: Sequence[Held | Told], form: Format) -> tuple[Kept, ...]:
    """Keep what files hold: assistants first, then the tests, which go to them. The same files again change nothing.

    An assistant that is here by its id is changed, or else the one of its name; an engine is known by its id, or by
    being the same. A test is known by its id, or by its name among those of its suite that go where it goes. Raises
    ``NotFound`` for a shared component, and ``Rejected`` as ``assistants.create`` does and for an engine whose newest
    version is published.
    """
    locks.hold(tx, "import", org)
    here = _Here(tx, org)
    where: dict[str, str] = {}
    made: list[Kept] = []
    for held in (one for one in found if isinstance(one, Held)):
        id_, change = _kept_assistant(by, tx, org, held, form, here)
        if held.id:
            where[held.id] = id_
        made.append(Kept("assistant", id_, held.version.name, change))
    return (*made, *(_kept_test(by, tx, org, one, where, here) for one in found if isinstance(one, Told)))


class _Here:
    """What is here already that a file may hold without its id: read once, and kept up with what becomes of it. The
    newest goes before."""

    def __init__(self, tx: Tx, org: str) -> None:
        self._tx, self._org = tx, org
        self._engines: dict[Form, dict[str, Assistant]] = {}
        self._tests: dict[str, defaultdict[tuple[str | None, str], dict[str, Scenario]]] = {}

    def engine(self, held: Held, form: Format) -> Assistant | None:
        """The engine that is the same."""
        if held.form not in self._engines:
            every = kept_assistants.get_all(self._tx, self._org, (held.form,))
            self._engines[held.form] = {one.id: one for one in reversed(every)}
        newest_first = reversed(self._engines[held.form].values())
        return next((one for one in newest_first if form.same(one.main, held.version)), None)

    def keep_engine(self, one: Assistant) -> None:
        """This engine is new, or has changed."""
        if one.form in self._engines:
            self._engines[one.form][one.id] = one

    def test(self, target: str, suite: str | None, name: str) -> Scenario | None:
        """The test of this name in the suite that goes there."""
        if target not in self._tests:
            self._tests[target] = defaultdict(dict)
            for one in kept_scenarios.get_slice(self._tx, self._org, (target,), Span(MOST)).items:
                self._tests[target][one.suite, one.name][one.id] = one
        found = self._tests[target][suite, name]
        return found[max(found)] if found else None

    def keep_test(self, one: Scenario, before: Scenario | None = None) -> None:
        """This test is new, or was ``before``."""
        if before is not None and before.target in self._tests:
            self._tests[before.target][before.suite, before.name].pop(before.id, None)
        if one.target in self._tests:
            self._tests[one.target][one.suite, one.name][one.id] = one


def _kept_assistant(by: Maker, tx: Tx, org: str, held: Held, form: Format, here: _Here) -> tuple[str, Change]:
    before = kept_assistants.get(tx, org, held.id, forms=(held.form,), lock=True) if held.id else None
    if held.form is Form.ASSISTANT:
        return _kept_plain(by, tx, org, held, before, form)
    components.check(tx, org, held.version)
    if before is None:
        before = here.engine(held, form)
    if before is None:
        made = engines.create(by, tx, org, held.form, held.version)
        here.keep_engine(made)
        return made.id, Change.CREATED
    if form.same(before.main, held.version):
        return before.id, Change.UNCHANGED
    after, _ = engines.edited(by, tx, org, before.id, (held.form,), lambda _: held.version)
    here.keep_engine(after)
    return before.id, Change.CHANGED


def _kept_plain(by: Maker, tx: Tx, org: str, held: Held, before: Assistant | None, form: Format) -> tuple[str, Change]:
    if before is None and kept_assistants.get_named(tx, org, held.version.name, (Form.ASSISTANT,)):
        before = named(tx, org, held.version.name, "name")
    if before is None:
        made = assistants.create(by, tx, org, held.version, form.check, tags=held.tags or ())
        return made.id, Change.CREATED
    before = assistants.get(tx, org, before.id, lock=True)
    if held.tags in (None, before.tags) and form.same(before.main, held.version):
        return before.id, Change.UNCHANGED
    assistants.write(by, tx, org, before, lambda _: held.version, form.check, tags=held.tags)
    return before.id, Change.CHANGED


def _kept_test(by: Maker, tx: Tx, org: str, told: Told, where: Mapping[str, str], here: _Here) -> Kept:
    target = where.get(told.fresh.target, told.fresh.target)
    before = kept_scenarios.get(tx, org, told.id, lock=True) if told.id else None
    if before is None:
        before = here.test(target, told.fresh.suite, told.fresh.name)
    if before is None:
        made = scenarios.create(by, tx, org, replace(told.fresh, target=target))
        here.keep_test(made)
        return Kept("test", made.id, made.name, Change.CREATED)
    after = replace(told.change(before), target=target)
    if after == before:
        return Kept("test", before.id, before.name, Change.UNCHANGED)
    after = replace(after, changed_at=by.clock.now())
    kept_scenarios.put(tx, org, after)
    here.keep_test(after, before)
    return Kept("test", before.id, after.name, Change.CHANGED)


# --- out ------------------------------------------------------------------------------------------------------------


def collect(tx: Tx, org: str, suites: Sequence[str], whom: Sequence[str]) -> Bundle:
    """These suites and these assistants, which are named by their ids or names, with the assistants that the suites go
    to; everything where neither is named. Raises ``NotFound`` and ``Rejected``."""
    if not suites and not whom:
        every = kept_assistants.get_all(tx, org, EXAMINABLE)
        found = [
            one
            for suite in kept_scenarios.get_suites(tx, org)
            for one in kept_scenarios.get_suite(tx, org, suite, keep=False)
        ]
        loose = [
            one
            for assistant in every
            for one in kept_scenarios.get_slice(tx, org, (assistant.id,), Span(MOST, ascending=True)).items
            if one.suite is None
        ]
        return Bundle(every, (*found, *loose))
    tests: list[Scenario] = []
    for suite in suites:
        found = list(kept_scenarios.get_suite(tx, org, suite, keep=False))
        if not found:
            raise NotFound("test suite", suite)
        tests += found
    chosen = {one.id: one for one in (_one(tx, org, id_or_name) for id_or_name in whom)}
    for target in dict.fromkeys(one.target for one in tests):
        assistant = kept_assistants.get(tx, org, target, forms=EXAMINABLE)
        if assistant is not None:
            chosen[assistant.id] = assistant
    return Bundle(tuple(chosen.values()), tuple(tests))


def _one(tx: Tx, org: str, id_or_name: str) -> Assistant:
    return kept_assistants.get(tx, org, id_or_name, forms=EXAMINABLE) or named(tx, org, id_or_name)
