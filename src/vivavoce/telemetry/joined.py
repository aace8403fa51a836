"""Several that watch, as one."""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from vivavoce.core.telemetry import DutyWork, ModelCall, RequestWork, RunWork, Telemetry, ToolUse


@dataclass(frozen=True, slots=True)
class Joined:
    """Implements ``vivavoce.core.telemetry.Telemetry``: all of them are told everything."""

    each: Sequence[Telemetry]

    def run(self, work: RunWork) -> AbstractContextManager[object]:
        """The block is an attempt at a run."""
        return _together([one.run(work) for one in self.each])

    def duty(self, work: DutyWork) -> AbstractContextManager[object]:
        """The block does a duty."""
        return _together([one.duty(work) for one in self.each])

    def request(self, work: RequestWork) -> AbstractContextManager[object]:
        """The block answers a request."""
        return _together([one.request(work) for one in self.each])

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


def _together(blocks: Sequence[AbstractContextManager[object]]) -> AbstractContextManager[object]:
    # Who only logs has none, and a single one needs no stack, which every run under way would hold on to.
    real = [block for block in blocks if not isinstance(block, nullcontext)]
    return real[0] if len(real) == 1 else _stacked(real)


@contextmanager
def _stacked(blocks: Sequence[AbstractContextManager[object]]) -> Generator[None]:
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        yield
