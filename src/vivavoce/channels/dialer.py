"""The port to whoever makes phone calls, and the one that makes none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from vivavoce.core.appointment import CallStatus

NO_CARRIER = "no carrier is configured here, so nobody can be called"


@dataclass(frozen=True, slots=True)
class CallOrder:
    """A call to be made: ``assistant_id`` talks, ``caller`` is shown, ``callee`` is called (a number or SIP URI).

    ``region`` is where a carrier should send it from, as its user wrote it. ``key`` is the same when the same call is
    ordered again. ``org`` is whose assistant it is.
    """

    org: str
    assistant_id: str
    caller: str
    callee: str
    key: str
    region: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended. ``duration_s`` is in seconds; ``reason`` is for a person, where there is something to say."""

    status: CallStatus
    duration_s: int | None = None
    call_id: str | None = None
    conversation_id: str | None = None
    reason: str = ""


class Dialer(Protocol):
    """Makes phone calls."""

    async def dial(self, order: CallOrder) -> CallResult:
        """Call, and return when the call is over. A call that does not come about is a result and raises nothing."""
        ...


class NoCarrier:
    """Calls nobody, and says why."""

    async def dial(self, order: CallOrder) -> CallResult:
        """Failed, always."""
        return CallResult(CallStatus.FAILED, reason=NO_CARRIER)
