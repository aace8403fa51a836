"""One examination of one assistant by one scenario."""

from dataclasses import dataclass

from vivavoce.core.event import Ending, Millis, Usage
from vivavoce.core.status import Status
from vivavoce.core.verdict import Fault, Verdict


@dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it. The frozen scenario and version it works on are kept beside it.

    ``story`` is the run told with times, for a person to read; ``talked_ms`` is how long the conversation took,
    ``usage`` what its models cost: the judge's part while it goes on, all of it when it is over. ``finding_id`` names
    what insights found in its conversation, where the assistant has any.
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
