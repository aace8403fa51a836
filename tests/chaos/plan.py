"""What is done to whom, and when: all of it follows from the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["kill", "freeze", "long freeze", "stop", "cut"]
"""``kill`` and ``stop`` end a process (SIGKILL, SIGTERM) and start it again; ``freeze`` is SIGSTOP and SIGCONT, a long
one lasts longer than a lease; ``cut`` ends the database's connections again and again."""
KINDS: Sequence[Kind] = get_args(Kind)
SERVER = 0
"""Who comes first in the crew."""
EVERYBODY = -1

_LASTS_S: dict[Kind, tuple[float, float]] = {
    "kill": (0.2, 4.0),
    "freeze": (0.5, 9.0),
    "long freeze": (17.0, 24.0),
    "stop": (0.2, 2.0),
    "cut": (0.0, 4.0),
}
_REST_S = (1.5, 5.0)
"""Between two strikes at one process, so that it gets something done."""
_BACK_S: dict[Kind, float] = {"kill": 2.0, "stop": 6.0}
"""How long it takes to end it, where that is not at once, and to start it again."""
_PAUSE_S = (0.3, 3.0)
"""Between two strikes."""


@dataclass(frozen=True, slots=True)
class Strike:
    """``at_s`` counts from the beginning, ``lasts_s`` is how long the victim is away."""

    at_s: float
    kind: Kind
    victim: int
    lasts_s: float


@dataclass(frozen=True)
class Faults:
    """How often the provider fails. ``rate`` is of all requests; in an outage every request is refused."""

    seed: int
    rate: float = 0.12
    outages: Sequence[tuple[float, float]] = field(default_factory=tuple[tuple[float, float], ...])

    def of(self, tag: str, place: int, nth: int, at_s: float) -> dict[str, Any] | None:
        """What happens to the ``nth`` request (from 1) of a conversation for one place; None where it is answered."""
        if any(begin <= at_s < end for begin, end in self.outages):
            return {"kind": "status", "status": 503}
        draw = random.Random(f"{self.seed}/{tag}/{place}/{nth}")
        if draw.random() >= self.rate:
            return None
        # What cannot be read is asked for twice only, and then it is the model's fault and no chance for chaos.
        garbage = ["garbage"] if nth == 1 else []
        kind = draw.choice([*garbage, "wait", "limit", "500", "502", "hang", "half", "reset", "trickle"])
        match kind:
            case "wait":
                return {"kind": "status", "status": 429, "headers": {"Retry-After": str(draw.randint(1, 3))}}
            case "limit":
                return {"kind": "status", "status": 429}
            case "500" | "502":
                return {"kind": "status", "status": int(kind)}
            case _:
                return {"kind": kind}


def outages(seed: int, seconds: float) -> tuple[tuple[float, float], ...]:
    """Now and then the provider is away for longer than requests are tried again."""
    draw = random.Random(f"{seed}/outages")
    found: list[tuple[float, float]] = []
    at = draw.uniform(8, 20)
    while at < seconds - 5:
        end = at + draw.uniform(4, 10)
        found.append((at, end))
        at = end + draw.uniform(15, 40)
    return tuple(found)


def strikes(seed: int, seconds: float, workers: int, kinds: Sequence[Kind] = KINDS) -> tuple[Strike, ...]:
    """Every kind hits a worker at least once if there is time for it; the server is hit less often."""
    draw = random.Random(f"{seed}/strikes")
    free_at = {victim: draw.uniform(0.5, 2.0) for victim in range(workers + 1)}
    due: list[Kind] = [*kinds]
    draw.shuffle(due)
    found: list[Strike] = []
    at = 1.0
    while at < seconds:
        kind = due.pop() if due else draw.choice(kinds)
        victims = [number for number in range(1, workers + 1) if free_at[number] <= at]
        if not due and draw.random() < 0.2 and free_at[SERVER] <= at:
            victims = [SERVER]
        if kind == "cut" and draw.random() < 0.3:
            victims = [EVERYBODY]
        if not victims:
            due.append(kind)
        else:
            victim = draw.choice(victims)
            lasts = draw.uniform(*_LASTS_S[kind])
            found.append(Strike(round(at, 2), kind, victim, round(lasts, 2)))
            if victim != EVERYBODY:
                free_at[victim] = at + lasts + _BACK_S.get(kind, 0.0) + draw.uniform(*_REST_S)
        at += draw.uniform(*_PAUSE_S)
    return tuple(found)
