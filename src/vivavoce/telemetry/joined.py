"""Several that watch, as one."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from vivavoce.core.telemetry import DutyWork, ModelCall, RequestWork, RunWork, Telemetry, ToolUse


@dataclass(frozen=True, slots=True)
class Joined:
    """Implements ``vivavoce.core.telemetry.Telemetry``: all of them are told everything."""

    each: Sequence[Telemetry]

    def run(self, work: RunWork) -> AbstractContextManager[object]:
        """The block is an attempt at a run."""
        return self._all(lambda one: one.run(work))

    def duty(self, work: DutyWork) -> AbstractContextManager[object]:
        """The block does a duty."""
        return self._all(lambda one: one.duty(work))

    def request(self, work: RequestWork) -> AbstractContextManager[object]:
        """The block answers a request."""
        return self._all(lambda one: one.request(work))

    def model_called(self, call: ModelCall) -> None:
        """A model call is over."""
        for one in self.each:
            one.model_called(call)

    def tool_called(self, use: ToolUse) -> None:
        """A tool call is over."""
        for one in self.each:
            one.tool_called(use)

    def waited(self, provider: str, seconds: float) -> None:
        """Somebody waited for the limits of a provider."""
        for one in self.each:
            one.waited(provider, seconds)

    def committed(self, seconds: float, entries: int) -> None:
        """The journal made entries durable."""
        for one in self.each:
            one.committed(seconds, entries)

    @contextmanager
    def _all(self, block: Callable[[Telemetry], AbstractContextManager[object]]) -> Generator[None]:
        with ExitStack() as stack:
            for one in self.each:
                stack.enter_context(block(one))
            yield
