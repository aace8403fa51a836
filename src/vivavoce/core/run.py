"""One examination of one assistant by one scenario."""

from dataclasses import dataclass
from enum import IntEnum

from vivavoce.core.event import Ending, Millis, Usage
from vivavoce.core.status import Status
from vivavoce.core.verdict import Fault, Verdict


class Priority(IntEnum):
    """Who is served first: the lower the number, the sooner."""

    INTERACTIVE = 0  # somebody waits for this one run
    BATCH = 10
    SCHEDULED = 20


@dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it. The frozen scenario and version it works on are kept beside it.

    ``story`` is the run told with times, for a person to read; ``talked_ms`` is how long the conversation took,
    ``usage`` what its models cost: the judge's part while it goes on, all of it when it is over. ``finding_id`` names
    what insights found in its conversation, where the assistant has any. ``attempts`` counts how often it was begun:
    what broke off an earlier attempt is in ``setbacks``, and each goes on from the record of the last. ``suite`` is the
    suite that the scenario was in when the run was triggered.
    """

    id: str
    scenario_id: str
    status: Status
    trigger: str
    created_at: Millis
    updated_at: Millis
    conversation_id: str
    batch_id: str | None = None
    version_id: str | None = None
    started_at: Millis | None = None
    completed_at: Millis | None = None
    ending: Ending | None = None
    fault: Fault | None = None
    reason: str = ""
    verdicts: tuple[Verdict, ...] = ()
    criteria: tuple[str, ...] = ()
    story: str = ""
    talked_ms: int = 0
    usage: Usage | None = None
    finding_id: str | None = None
    priority: Priority = Priority.INTERACTIVE
    attempts: int = 1
    setbacks: tuple[str, ...] = ()
    suite: str | None = None

    @property
    def cancelled(self) -> bool:
        """Whether somebody, or a budget, stopped it."""
        return self.ending is Ending.CANCELLED

    @property
    def state(self) -> str:
        """How it stands, as a person should read it: its status, and ``cancelled`` where it is that."""
        return "cancelled" if self.cancelled else self.status.value
