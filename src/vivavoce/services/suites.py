"""Suites, tests and assistants as documents: applied in one transaction, and given as they stand."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.core.scenario import Scenario
from vivavoce.files import assistants as written
from vivavoce.files import schema
from vivavoce.files.scenarios import blank, laid_over, of_scenario, of_suite
from vivavoce.services import assistants, scenarios
from vivavoce.services.context import Context
from vivavoce.services.engines import EXAMINABLE
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.maker import Maker
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import locks
from vivavoce.storage import scenarios as kept_scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.scenarios import ScenarioFilter


class Change(StrEnum):
    """What applying a document did to a thing."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class AssistantChange:
    """An assistant that a document names or describes, with its main version as it is now."""

    assistant: Assistant
    change: Change


@dataclass(frozen=True, slots=True)
class TestChange:
    """A test of a suite, as it is now."""

    __test__ = False  # its name makes pytest look at it

    scenario: Scenario
    change: Change


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a suite's document: the assistants that it names, and its tests in the order of the document;
    those that were retired come last."""

    suite: str
    assistants: tuple[AssistantChange, ...]
    tests: tuple[TestChange, ...]


# --- suites ---------------------------------------------------------------------------------------------------------


def put(ctx: Maker, tx: Tx, org: str, document: schema.Suite, *, prune: bool = False) -> Applied:
    """Make the suite what the document says. The same document again changes nothing.

    Tests are matched by their names within the suite, the first of a name with the first. A test that the document does
    not name stays, or is retired where ``prune`` says so; its runs stay. Assistants that the document describes are
    created, or get a new version that is main, unless they are so already. Raises ``Rejected`` where it names what
    there is not, or what there is several of.
    """
    locks.hold(tx, "suite", org, document.suite)
    targets = _Targets(ctx, tx, org)
    common = None if document.assistant is None else targets.find(document.assistant, "assistant")
    waiting: defaultdict[str, list[Scenario]] = defaultdict(list)
    for one in kept_scenarios.get_suite(tx, org, document.suite):
        waiting[one.name].append(one)
    made: list[TestChange] = []
    for place, test in enumerate(document.tests):
        target = targets.of(test, f"tests/{place}/assistant") or common or document.destination
        assert target is not None, "a suite's document says of every test where it goes"
        before = waiting[test.name].pop(0) if waiting[test.name] else None
        made.append(_laid(ctx, tx, org, before, test, target, document.suite, document))
    if prune:
        for one in sorted((one for rest in waiting.values() for one in rest), key=lambda one: one.id):
            kept_scenarios.retire(tx, org, one.id, ctx.clock.now())
            made.append(TestChange(one, Change.RETIRED))
    return Applied(document.suite, targets.changes, tuple(made))


def _laid(
    ctx: Maker,
    tx: Tx,
    org: str,
    before: Scenario | None,
    test: schema.Test,
    target: str,
    suite: str | None,
    common: schema.Common | None = None,
    order: Sequence[int] = (),
) -> TestChange:
    after = laid_over(before or blank(ctx.clock.now()), test, target, suite, common)
    if order:
        after = replace(after, criteria=tuple(after.criteria[place] for place in order))
    if before is None:
        return TestChange(scenarios.create(ctx, tx, org, after), Change.CREATED)
    if after == before:
        return TestChange(before, Change.UNCHANGED)
    after = replace(after, changed_at=ctx.clock.now())
    kept_scenarios.put(tx, org, after)
    return TestChange(after, Change.CHANGED)


async def retrieve(ctx: Context, org: str, name: str) -> dict[str, Any]:
    """The document of a suite as it stands; putting it changes nothing. Raises ``NotFound``."""

    def work(tx: Tx) -> dict[str, Any]:
        found = kept_scenarios.get_suite(tx, org, name, keep=False)
        if not found:
            raise NotFound("test suite", name)
        return of_suite(name, found, _aims(tx, org, found))

    return await ctx.database.read(work)


def exported(
    tx: Tx, org: str, found: Sequence[Scenario], whom: Sequence[Assistant]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The documents of the suites that these tests are in, as far as they are of these tests, and by their ids those of
    the assistants."""
    aim = _aims(tx, org, found)
    suites: defaultdict[str, list[Scenario]] = defaultdict(list)
    for one in found:
        if one.suite is not None:
            suites[one.suite].append(one)
    documents = {one.id: assistant_document(tx, org, one.id) for one in whom}
    return [of_suite(name, tests, aim) for name, tests in suites.items()], documents


# --- tests ----------------------------------------------------------------------------------------------------------


def put_test(
    ctx: Maker, tx: Tx, org: str, test_id: str | None, document: schema.OneTest, order: Sequence[int] = ()
) -> TestChange:
    """Make the test with this id what the document says, or a new one where the id is None. ``order`` are the places of
    its criteria and then its checks, as they shall stand. Raises ``NotFound``, and ``Rejected`` as ``put`` does."""
    if document.id not in (None, test_id):
        raise Rejected("The id is another than that of the test.", "id")
    before = None if test_id is None else scenarios.get(tx, org, test_id, lock=True)
    target = _Targets(ctx, tx, org).of(document, "assistant")
    assert target is not None, "a test's document says where it goes"
    return _laid(ctx, tx, org, before, document, target, document.suite, order=order)


def documents(tx: Tx, org: str, found: Sequence[Scenario]) -> tuple[dict[str, Any], ...]:
    """The documents of these tests, each with its id and its suite."""
    aim = _aims(tx, org, found)

    def one(scenario: Scenario) -> dict[str, Any]:
        suite = {} if scenario.suite is None else {"suite": scenario.suite}
        return {"id": scenario.id, **suite, **of_scenario(scenario, aim(scenario))}

    return tuple(one(scenario) for scenario in found)


async def retrieve_test(ctx: Context, org: str, test_id: str) -> dict[str, Any]:
    """The document of one test. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: documents(tx, org, [scenarios.get(tx, org, test_id)])[0])


async def get_tests(ctx: Context, org: str, suite: str | None, window: Window) -> Page[dict[str, Any]]:
    """A page of the documents of tests, newest first; only of a suite where one is named."""

    def work(tx: Tx) -> Page[dict[str, Any]]:
        page = kept_scenarios.get_page(tx, org, ScenarioFilter(suite), window)
        return Page(documents(tx, org, page.items), page.total, window)

    return await ctx.database.read(work)


# --- assistants -----------------------------------------------------------------------------------------------------


def put_assistant(ctx: Maker, tx: Tx, org: str, document: schema.Assistant) -> AssistantChange:
    """Make the assistant with the document's name what the document says: it is created, or gets a new version that is
    main, unless it is so already. Tags that are left out stay. Raises ``Rejected`` where several have the name, and
    where it names what there is not."""
    locks.hold(tx, "assistant", org, document.name)
    found = kept_assistants.get_named(tx, org, document.name, (Form.ASSISTANT,))
    if len(found) > 1:
        raise Rejected(_several(document.name, found), "name")
    wanted = written.to_version(document)
    tags = document.tags if "tags" in document.model_fields_set else None
    if not found:
        return AssistantChange(assistants.create(ctx, tx, org, wanted, _check, tags=tags or ()), Change.CREATED)
    before = assistants.get(tx, org, found[0].id, lock=True)
    tagged = tags is not None and tuple(dict.fromkeys(tags)) != before.tags
    if normal(before.main) == normal(wanted):
        if not tagged:
            return AssistantChange(before, Change.UNCHANGED)
        kept_assistants.set_tags(tx, before.id, tuple(dict.fromkeys(tags or ())))
        return AssistantChange(before, Change.CHANGED)

    def change(main: Version) -> Version:
        return replace(wanted, label=main.label)

    return AssistantChange(assistants.write(ctx, tx, org, before, change, _check, tags=tags), Change.CHANGED)


def _check(version: Version) -> None:
    for part, message in written.problems(version):
        raise Rejected(f"{part}: {message}.", part)


def normal(version: Version) -> Version:
    """The version without what it was given where it is kept: two that are equal then say the same."""
    return replace(
        version,
        id="",
        assistant_id="",
        label="",
        number=0,
        base=None,
        published=False,
        created_at=0,
        changed_at=0,
        library={},
    )


async def retrieve_assistant(ctx: Context, org: str, assistant_id: str) -> dict[str, Any]:
    """The document of an assistant's main version. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: assistant_document(tx, org, assistant_id))


def assistant_document(tx: Tx, org: str, assistant_id: str) -> dict[str, Any]:
    """The same in a transaction."""
    found = kept_assistants.get(tx, org, assistant_id, forms=EXAMINABLE)
    if found is None:
        raise NotFound("assistant", assistant_id)
    # What an engine keeps in the form of its API means nothing to an assistant, as which it would come back.
    main = found.main if found.form is Form.ASSISTANT else replace(found.main, extra={})
    return written.of_version(main, found.tags)


async def get_assistants(ctx: Context, org: str, window: Window) -> Page[Assistant]:
    """A page of all assistants that can be examined, newest first."""
    return await ctx.database.read(lambda tx: kept_assistants.get_page(tx, org, EXAMINABLE, window))


def named(tx: Tx, org: str, name: str, part: str | None = None) -> Assistant:
    """The assistant with this name. Where several have it, one that is no engine of a vendor's API goes before. Raises
    ``Rejected``."""
    found = kept_assistants.get_named(tx, org, name)
    wanted = [one for one in found if one.form is Form.ASSISTANT] or found
    if len(wanted) > 1:
        raise Rejected(_several(name, wanted), part)
    for one in wanted:
        return one
    raise Rejected(f"There is no assistant with the name {name!r}.", part)


def _several(name: str, found: Sequence[Assistant]) -> str:
    ids = ", ".join(one.id for one in found[:5])
    return f"{len(found)} assistants have the name {name!r}; say which one by its id: {ids}."


class _Targets:
    """Where tests go, and what became of the assistants that their documents name on the way."""

    def __init__(self, ctx: Maker, tx: Tx, org: str) -> None:
        self._ctx, self._tx, self._org = ctx, tx, org
        self._described: dict[str, tuple[schema.Assistant, str]] = {}
        self._changes: dict[str, AssistantChange] = {}

    @property
    def changes(self) -> tuple[AssistantChange, ...]:
        return tuple(self._changes.values())

    def of(self, document: schema.Common, part: str) -> str | None:
        """Where this one says that it goes, or None."""
        return document.destination if document.assistant is None else self.find(document.assistant, part)

    def find(self, whom: str | schema.Reference | schema.Assistant, part: str) -> str:
        """The id of this assistant."""
        if isinstance(whom, schema.Assistant):
            return self._described_id(whom, part)
        reference = schema.Reference(name=whom) if isinstance(whom, str) else whom
        if reference.id is None:
            assert reference.name is not None
            found: Assistant | None = named(self._tx, self._org, reference.name, part)
        else:
            found = kept_assistants.get(self._tx, self._org, reference.id, forms=tuple(Form))
        if found is None:
            raise Rejected(f"There is no assistant {reference.id!r}.", part)
        self._changes.setdefault(found.id, AssistantChange(found, Change.UNCHANGED))
        return found.id

    def _described_id(self, document: schema.Assistant, part: str) -> str:
        known = self._described.get(document.name)
        if known is not None and known[0] != document:
            raise Rejected(f"{document.name!r} is described twice, and not alike.", part)
        if known is not None:
            return known[1]
        try:
            made = put_assistant(self._ctx, self._tx, self._org, document)
        except Rejected as failure:
            raise Rejected(str(failure), f"{part}/{failure.part}" if failure.part else part) from failure
        self._changes[made.assistant.id] = made
        self._described[document.name] = document, made.assistant.id
        return made.assistant.id


def _aims(tx: Tx, org: str, found: Sequence[Scenario]) -> Callable[[Scenario], Mapping[str, Any]]:
    known: dict[str, Mapping[str, Any]] = {}
    for target in {one.target for one in found}:
        known[target] = _aim(tx, org, target)
    return lambda scenario: known[scenario.target]


def _aim(tx: Tx, org: str, target: str) -> Mapping[str, Any]:
    """How a document says where this is: by the name of the assistant, where that is enough."""
    found = kept_assistants.get(tx, org, target, forms=tuple(Form))
    if found is None:
        return {"destination": target}
    try:
        alone = bool(found.main.name.strip()) and named(tx, org, found.main.name).id == found.id
    except Rejected:
        alone = False
    return {"assistant": found.main.name if alone else {"id": found.id}}
