"""The state machine of a run."""

from enum import StrEnum


class Status(StrEnum):
    """Where a run stands. The last three are final."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"

    @property
    def final(self) -> bool:
        """Whether nothing can change any more."""
        return self in FINAL

    def may_become(self, other: "Status") -> bool:
        """Whether the step from this status to the other is allowed.

        A run moves forward only, with one exception: a run whose worker died goes back to pending to be
        taken again. Any unfinished run may end as an error.
        """
        return other in _NEXT[self]


FINAL = frozenset({Status.PASSED, Status.FAILED, Status.ERROR})
_NEXT: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.STARTING, Status.ERROR}),
    Status.STARTING: frozenset({Status.RUNNING, Status.PENDING, Status.ERROR}),
    Status.RUNNING: frozenset({Status.PASSED, Status.FAILED, Status.ERROR, Status.PENDING}),
    Status.PASSED: frozenset(),
    Status.FAILED: frozenset(),
    Status.ERROR: frozenset(),
}
