"""What must hold after a drill, and the figures of it. Every violation is a sentence."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.chaos.audit import Recorded
from tests.chaos.drill import ANYBODY, Hit, Outcome
from tests.chaos.world import EVENTS, JUDGE_PLACE, TOOL_PLACE, Asked

_FINAL = ("passed", "failed", "error")
_AFTERMATH_S = 20.0
"""How long after a strike a lease can still end because of it: it runs out, and somebody has to notice."""
DEFECTS = ("Traceback", "driving a run failed", "a run failed for a reason of ours", "] request failed")
_SAID = re.compile(r"\n(?=\d{4}-\d\d-\d\dT)")
"""Before each thing that is said: a line, and where something failed the lines of where that was."""


def violations(outcome: Outcome) -> list[str]:
    """Everything that went wrong; empty when all is well."""
    asked: dict[str, list[Asked]] = defaultdict(list)
    for one in outcome.ledger:
        asked[one.tag].append(one)
    found = list(_overall(outcome))
    for record in outcome.records:
        mine = asked[record.tag]
        wrong = [*_ended(record), *_asked(record, mine, outcome.hits), *_handed_out(record, outcome.hits)]
        found += [f"{record.tag} ({record.id}): {each}" for each in wrong]
        if wrong:
            found.append(_timeline(record, mine, outcome))
    return found


def _overall(outcome: Outcome) -> Iterator[str]:
    if outcome.stuck:
        yield f"not over {outcome.ended_s:.0f} s after the chaos: {dict(outcome.stuck)}"
    if outcome.leases_left:
        yield f"{outcome.leases_left} runs are over or wait, and still belong to somebody"
    tags = Counter(record.tag for record in outcome.records)
    if len(tags) != outcome.orders.conversations or any(many > 1 for many in tags.values()):
        twice = sorted(each for each, many in tags.items() if many > 1)
        yield f"{outcome.orders.conversations} runs were asked for, {sum(tags.values())} there are; twice: {twice}"
    if any(outcome.exit_codes):
        yield f"exit codes after SIGTERM: {list(outcome.exit_codes)}"
    yield from (f"a log says: {line}" for line in defects(outcome.log))
    texts: dict[int, set[str]] = defaultdict(set)
    for one in outcome.ledger:
        texts[one.place].add(one.text)
    for place, different in sorted(texts.items()):
        if len(different) > 1:
            yield f"place {place} was not asked for in the same words: {sorted(different)[:2]}"
    told = Counter(tuple(record.told) for record in outcome.records if record.status == "passed")
    if len(told) > 1:
        yield f"{len(told)} conversations came out differently: {list(told)[:2]}"


def defects(log: str) -> list[str]:
    """What nobody wants to see in a log, however much goes wrong outside: each with all that belongs to it."""
    return [one for one in _SAID.split(log) if any(words in one for words in DEFECTS)]


def _ended(record: Recorded) -> Iterator[str]:
    if record.status != "passed":
        yield f"came out as {record.status}: {record.reason}"
    settled = sum(one.after in _FINAL and one.before not in _FINAL for one in record.changes)
    if settled != 1:
        yield f"was settled {settled} times"
    if any(one.late for one in record.changes):
        yield "changed after its end"
    decided = sum(one.decided for one in record.changes)
    if decided != 1:
        yield f"got {decided} sets of verdicts"
    turns = [turn for _, turn, _ in record.turns]
    if sorted(turns) != list(range(EVENTS)) or any(what != "INSERT" for _, _, what in record.turns):
        yield f"its events were written as {[(turn, what) for _, turn, what in record.turns]}"


def _asked(record: Recorded, asked: Sequence[Asked], hits: Sequence[Hit]) -> Iterator[str]:
    recorded = {turn: at for at, turn, _ in record.turns}
    recorded[JUDGE_PLACE] = next((one.at for one in record.changes if one.decided), float("inf"))
    for one in asked:
        if recorded.get(one.place, float("inf")) < one.at:
            late_ms = (one.at - recorded[one.place]) * 1000
            yield f"place {one.place} was asked for {late_ms:.0f} ms after its answer was recorded"
    repeats = len(asked) - len({one.place for one in asked})
    faulty = sum(bool(one.faulty) for one in asked)
    leases = _leases(record)
    # Whoever is frozen while it waits for an answer takes its own sleep for the provider's, and asks again.
    frozen = sum(
        "freeze" in hit.kind and hit.worker_id == worker_id and hit.began <= until and since <= hit.until
        for hit in hits
        for worker_id, since, until, _ in leases
    )
    if repeats > faulty + len(leases) - 1 + frozen:
        yield f"{repeats} requests too many: {faulty} failed, {len(leases)} leases, {frozen} freezes"
    keys = {one.key for one in asked if one.place == TOOL_PLACE}
    if len(keys) != 1:
        yield f"its tool was called under {len(keys)} keys: {sorted(keys)}"


def _leases(record: Recorded) -> list[tuple[str, float, float, bool]]:
    """(worker, from, until, whether it ended by the end of the run) of each lease."""
    found: list[tuple[str, float, float, bool]] = []
    token, worker_id, since = "", "", 0.0
    for one in record.changes:
        if (one.token or "") == token:
            continue
        if token:
            found.append((worker_id, since, one.at, one.after in _FINAL))
        token, worker_id, since = one.token or "", one.worker_id or "", one.at
    if token:
        found.append((worker_id, since, float("inf"), False))
    return found


def _handed_out(record: Recorded, hits: Sequence[Hit]) -> Iterator[str]:
    """Nobody takes a run from a worker that nothing happened to."""

    def explains(hit: Hit, worker_id: str, since: float, until: float) -> bool:
        concerned = hit.worker_id in (worker_id, ANYBODY)
        return concerned and hit.began <= until and since <= hit.until + _AFTERMATH_S

    unexplained = [
        (worker_id, since, until)
        for worker_id, since, until, ended in _leases(record)
        if not ended and not any(explains(hit, worker_id, since, until) for hit in hits)
    ]
    if len(unexplained) > len(record.setbacks):
        yield f"was taken from a worker for no reason, with {len(record.setbacks)} setbacks: {unexplained}"


def _timeline(record: Recorded, asked: Sequence[Asked], outcome: Outcome) -> str:
    """All that happened to one run, in order."""
    workers = {worker_id for worker_id, *_ in _leases(record)}
    lines = [(one.at, f"place {one.place} asked {one.faulty and f'(fails: {one.faulty})'}") for one in asked]
    lines += [(at, f"event {turn} written") for at, turn, _ in record.turns]
    lines += [
        (one.at, f"{one.before} -> {one.after}, lease {one.token and one.token[-4:]} of {(one.worker_id or '')[-4:]}")
        for one in record.changes
    ]
    for hit in outcome.hits:
        if hit.worker_id is not None and hit.worker_id in {*workers, ANYBODY}:
            lines += [(hit.began, f"{hit.kind} of {hit.worker_id[-4:]}"), (hit.until, f"{hit.kind} over")]
    return "\n".join(f"    {at - outcome.began:8.3f} {what}" for at, what in sorted(lines))


def report(outcome: Outcome) -> str:
    """The figures, for a person."""
    orders = outcome.orders
    strikes = Counter(hit.kind for hit in outcome.hits if hit.worker_id not in (None, ANYBODY))
    at_all = Counter(hit.kind for hit in outcome.hits if hit.worker_id == ANYBODY)
    at_server = Counter(hit.kind for hit in outcome.hits if hit.worker_id is None)
    faults = Counter(one.faulty for one in outcome.ledger if one.faulty)
    repeats = len(outcome.ledger) - len({(one.tag, one.place) for one in outcome.ledger})
    handed_out = sum(len(_leases(record)) for record in outcome.records)
    setbacks = sum(len(record.setbacks) for record in outcome.records)
    statuses = Counter(record.status for record in outcome.records)
    lines = [
        f"seed {orders.seed}, {orders.seconds:g} s of chaos, {orders.conversations} conversations, "
        f"{orders.workers} workers with {orders.concurrency} places each",
        f"strikes at workers   {_counted(strikes)}",
        f"strikes at the API   {_counted(at_server)}",
        f"strikes at everybody {_counted(at_all)}",
        f"connections cut      {outcome.connections_cut}",
        f"strikes left out     {outcome.left_out}",
        f"faults of the model  {_counted(faults)}",
        f"requests             {len(outcome.ledger)}; {repeats} repeated one, {sum(faults.values())} failed as planned",
        f"leases               {handed_out} for {len(outcome.records)} runs; {setbacks} attempts were put off",
        f"API calls repeated   {outcome.refused}",
        f"runs                 {_counted(statuses)}",
        f"all was over         {outcome.ended_s:.1f} s after the chaos",
    ]
    return "\n".join(lines)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{many} {what}" for what, many in sorted(counter.items())) or "none"
