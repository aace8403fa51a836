"""What the log tells of calls: those that fail as a warning, the others for whoever looks for something (debug)."""

from contextlib import AbstractContextManager, nullcontext

import structlog

from vivavoce.core.telemetry import OK, DutyWork, ModelCall, RequestWork, RunWork, ToolUse

log = structlog.get_logger(__name__)
_block = nullcontext()


class Logged:
    """Implements ``vivavoce.core.telemetry.Telemetry``. Runs, duties and requests tell of themselves where they are
    done. ``detailed`` says whether anybody hears of what went well."""

    def __init__(self, *, detailed: bool) -> None:
        self._detailed = detailed

    def run(self, work: RunWork) -> AbstractContextManager[object]:
        """Nothing: who examines tells more."""
        del work
        return _block

    def duty(self, work: DutyWork) -> AbstractContextManager[object]:
        """Nothing: failures are told where duties are done."""
        del work
        return _block

    def request(self, work: RequestWork) -> AbstractContextManager[object]:
        """Nothing: there is an access log."""
        del work
        return _block

    def model_called(self, call: ModelCall) -> None:
        """A model call is over."""
        if call.outcome == OK and not self._detailed:
            return
        tell = log.debug if call.outcome == OK else log.warning
        tell(
            "model called" if call.outcome == OK else "a model call failed",
            provider=call.provider,
            model=call.model,
            role=call.role,
            outcome=call.outcome,
            ms=round(call.seconds * 1000),
            attempts=call.attempts,
        )

    def tool_called(self, use: ToolUse) -> None:
        """A tool call is over."""
        if self._detailed:
            log.debug("tool called", tool=use.name, kind=use.kind, outcome=use.outcome, ms=round(use.seconds * 1000))

    def waited(self, provider: str, seconds: float) -> None:
        """Somebody waited for the limits of a provider."""
        if self._detailed:
            log.debug("waited for a provider's limits", provider=provider, ms=round(seconds * 1000))

    def committed(self, seconds: float, entries: int) -> None:
        """Nothing: that would be as much as everything else together."""
        del seconds, entries
