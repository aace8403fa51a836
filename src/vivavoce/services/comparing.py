"""Two runs, two batches or two versions beside each other: what changed, the worst first."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from vivavoce.core.assistant import Version
from vivavoce.core.event import Millis
from vivavoce.core.verdict import Decision
from vivavoce.services.context import Context
from vivavoce.services.differing import Difference, differences
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.measuring import Figures, figures
from vivavoce.storage import assistants, results, scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Span
from vivavoce.storage.results import Counts, Result

MOST_TESTS = 200
MOST_LOOKED_AT = 40
"""Of how many tests, and how far back in the runs of each, the last runs of a version are looked for."""


class Kind(StrEnum):
    """How a criterion came out on the right, as against the left; in the order in which they are told."""

    BROKE = "broke"  # it held, and does not any more
    FIXED = "fixed"  # it did not hold, and does now
    CHANGED = "changed"  # it came out otherwise, and neither holds on one side and fails on the other
    NEW = "new"  # only the right has it
    GONE = "gone"  # only the left has it


@dataclass(frozen=True, slots=True)
class Held:
    """In how many of the runs of one test one criterion was met, out of those that are over and were not cancelled.

    Those that are in neither ``met`` nor ``unmet`` were inconclusive. ``reason`` and ``run_id`` are of the run that
    says most: one in which it was unmet, or else inconclusive, or else any; empty where there is none.
    """

    met: int = 0
    unmet: int = 0
    of: int = 0
    reason: str = ""
    run_id: str = ""

    @property
    def holds(self) -> bool:
        """Whether it was met each time."""
        return self.of > 0 and self.met == self.of

    def same(self, other: "Held") -> bool:
        """Whether it came out the same, as a share of the runs."""
        return self._share(other.of) == other._share(self.of) and (self.of > 0) == (other.of > 0)

    def _share(self, of: int) -> tuple[int, int]:
        return self.met * of, self.unmet * of


@dataclass(frozen=True, slots=True)
class Change:
    """One criterion of one test that came out otherwise. ``test_id`` is that of the right, where it has the test."""

    kind: Kind
    test_id: str
    test: str
    criterion: str
    left: Held | None
    right: Held | None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: ``id`` is what was asked for. ``version_ids`` are those that were examined, ``at`` is when the
    first of its runs was triggered, None without any."""

    id: str
    at: Millis | None
    counts: Counts
    figures: Figures
    version_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed, and how many criteria came out the ``same``. ``fields`` are what differs between two versions."""

    left: Side
    right: Side
    changes: tuple[Change, ...]
    same: int
    fields: tuple[Difference, ...] = ()


async def of_runs(ctx: Context, org: str, left: str, right: str) -> Comparison:
    """Two runs, criterion by criterion, whatever tests they are of. Raises ``NotFound``."""

    def work(tx: Tx) -> Comparison:
        found = {one.id: one for one in results.of_runs(tx, org, [left, right])}
        for id_ in (left, right):
            if id_ not in found:
                raise NotFound("test run", id_)
        sides = _side(ctx, left, [found[left]]), _side(ctx, right, [found[right]])
        return _compared(*sides, [([found[left]], [found[right]])])

    return await ctx.database.read(work)


async def of_batches(ctx: Context, org: str, left: str, right: str) -> Comparison:
    """Two batches: tests are matched by their id, or else by their name, and repeats are counted together. Raises
    ``NotFound``."""

    def work(tx: Tx) -> Comparison:
        both = [results.of_batch(tx, org, id_) for id_ in (left, right)]
        for id_, found in zip((left, right), both, strict=True):
            if not found:
                raise NotFound("batch", id_)
        sides = _side(ctx, left, both[0]), _side(ctx, right, both[1])
        return _compared(*sides, matched(both[0], both[1]))

    return await ctx.database.read(work)


async def of_versions(ctx: Context, org: str, left: str, right: str) -> Comparison:
    """Two versions of one assistant: their documents field by field, and the last runs of each.

    The last runs are looked for among the newest of the tests that go to the assistant: of each test those of the last
    batch, or the last one. Raises ``NotFound``, and ``Rejected`` for versions of two assistants.
    """

    def work(tx: Tx) -> Comparison:
        before, after = _version(tx, org, left), _version(tx, org, right)
        if before.assistant_id != after.assistant_id:
            raise Rejected("These are versions of two assistants.", "query/right")
        ids = _last_runs(ctx, tx, org, before.assistant_id, (left, right))
        found = [results.of_runs(tx, org, ids[id_]) for id_ in (left, right)]
        sides = _side(ctx, left, found[0]), _side(ctx, right, found[1])
        return _compared(*sides, matched(found[0], found[1]), differences(before, after))

    return await ctx.database.read(work)


def _version(tx: Tx, org: str, version_id: str) -> Version:
    found = assistants.find_version(tx, org, version_id)
    if found is None:
        raise NotFound("version", version_id)
    return found


def _last_runs(
    ctx: Context, tx: Tx, org: str, assistant_id: str, version_ids: tuple[str, str]
) -> Mapping[str, Sequence[str]]:
    """The ids of the last runs of these versions, by the version's id."""
    numbers = [number for number, target in ctx.numbers.items() if target == assistant_id]
    tests = scenarios.get_slice(tx, org, [assistant_id, *numbers], Span(MOST_TESTS)).items
    found: dict[str, list[str]] = {id_: [] for id_ in version_ids}
    for test in tests:
        newest = results.last_of_test(tx, org, test.id, MOST_LOOKED_AT)
        for version_id, ids in found.items():
            mine = [one for one in newest if one.version_id == version_id]
            ids += [one.id for one in mine if one is mine[0] or (one.batch_id and one.batch_id == mine[0].batch_id)]
    return found


_Pair = tuple[Sequence[Result], Sequence[Result]]


def matched(left: Sequence[Result], right: Sequence[Result]) -> Sequence[_Pair]:
    """The runs of each test on both sides, in the order in which the right ran them: by the test's id, or else by its
    name where one test of each side is left that has it. What only one side has stands alone."""
    mine, theirs = _by_test(left), _by_test(right)
    alone = {id_ for id_ in mine if id_ not in theirs}
    named = {name: ids[0] for name, ids in _by_name(mine, alone).items() if len(ids) == 1}
    wanted = _by_name(theirs, {id_ for id_ in theirs if id_ not in mine})
    pairs: list[_Pair] = []
    for id_, found in theirs.items():
        partner: str | None = id_
        if id_ not in mine:
            partner = named.get(found[0].test) if len(wanted[found[0].test]) == 1 else None
        if partner is not None:
            alone.discard(partner)
        pairs.append((mine[partner] if partner is not None else (), found))
    return [*pairs, *((found, ()) for id_, found in mine.items() if id_ in alone)]


def _by_test(found: Sequence[Result]) -> Mapping[str, Sequence[Result]]:
    grouped: dict[str, list[Result]] = {}
    for one in found:
        grouped.setdefault(one.scenario_id, []).append(one)
    return grouped


def _by_name(tests: Mapping[str, Sequence[Result]], ids: set[str]) -> Mapping[str, Sequence[str]]:
    grouped: dict[str, list[str]] = {}
    for id_ in sorted(ids):
        grouped.setdefault(tests[id_][0].test, []).append(id_)
    return grouped


def _side(ctx: Context, id_: str, found: Sequence[Result]) -> Side:
    over = [one for one in found if one.status.final and not one.cancelled]
    many = [one.status.value for one in over]
    counts = Counts(
        many.count("passed"),
        many.count("failed"),
        many.count("error"),
        sum(one.cancelled for one in found),
        sum(not one.status.final for one in found),
    )
    return Side(
        id_,
        min((one.created_at for one in found), default=None),
        counts,
        figures(ctx.prices, [one.measured for one in over]),
        tuple(dict.fromkeys(one.version_id for one in found if one.version_id)),
        tuple(one.id for one in found),
    )


def _compared(left: Side, right: Side, pairs: Sequence[_Pair], fields: tuple[Difference, ...] = ()) -> Comparison:
    changes: list[Change] = []
    same = 0
    for mine, theirs in pairs:
        shown = (theirs or mine)[0]
        before, after = held(mine), held(theirs)
        for criterion in dict.fromkeys((*after, *before)):
            was, is_ = before.get(criterion), after.get(criterion)
            kind = kind_of(was, is_)
            if kind is None:
                same += 1
            else:
                changes.append(Change(kind, shown.scenario_id, shown.test, criterion, was, is_))
    order = list(Kind)
    return Comparison(left, right, tuple(sorted(changes, key=lambda one: order.index(one.kind))), same, fields)


def kind_of(left: Held | None, right: Held | None) -> Kind | None:
    """How a criterion changed; None where it came out the same."""
    if left is None:
        return Kind.NEW
    if right is None:
        return Kind.GONE
    if left.same(right):
        return None
    if left.holds and right.unmet:
        return Kind.BROKE
    if left.unmet and right.holds:
        return Kind.FIXED
    return Kind.CHANGED


def _told_apart(names: Sequence[str]) -> Iterator[str]:
    """The names, with a number behind one that stood there before."""
    seen = Counter[str]()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})"


def held(runs: Sequence[Result]) -> Mapping[str, Held]:
    """How each criterion of these runs of one test came out, by its name. What a run left undecided, because it broke
    off, is inconclusive."""
    found: dict[str, Held] = {}
    for run in runs:
        counted = run.status.final and not run.cancelled
        # Verdicts answer criteria by position: two can have one name.
        verdicts = (*run.verdicts, *[None] * len(run.criteria))
        for name, verdict in zip(_told_apart(run.criteria), verdicts, strict=False):
            before = found.get(name, Held())
            if not counted:
                found[name] = before
                continue
            met = verdict is not None and verdict.decision is Decision.MET
            unmet = verdict is not None and verdict.decision is Decision.UNMET
            told = verdict.reason if verdict is not None else run.reason
            # The first of the worst is shown.
            worse = not before.run_id or (unmet and not before.unmet) or (not met and before.met == before.of)
            found[name] = Held(
                before.met + met,
                before.unmet + unmet,
                before.of + 1,
                told if worse else before.reason,
                run.id if worse else before.run_id,
            )
    return found
