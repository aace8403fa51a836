"""The port to whoever watches this server work, and what may be told about failures.

Told is what kind of thing was done, how long it took and how it went. What was said, keys and secrets never are. Names
come along as they are; who puts them into labels sees to it that these stay few.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

OK = "ok"
GIVEN_UP = "given up"
"""Whoever asked did not wait for the end: it was cancelled, or its time was up."""
DEFECT = "defect"
_DEEPEST = 8
# Their messages name types and attributes of programs, and nothing that anybody said.
_HARMLESS = (TypeError, AttributeError, NameError, ImportError, ArithmeticError, RecursionError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A model was asked, and this became of it: ``ok``, the ``Trouble`` of its failure, ``given up`` or ``defect``.

    ``role`` is whose part it played: assistant, tester or judge, or empty. ``operation`` is ``chat`` or ``embeddings``.
    ``seconds`` are all of it, with every attempt and every wait.
    """

    provider: str
    model: str
    role: str
    seconds: float
    outcome: str = OK
    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 1
    operation: str = "chat"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool was called. ``kind`` is what it is (webhook, remote, code …), or ``mock`` where a mock answered."""

    name: str
    kind: str
    seconds: float
    outcome: str = OK


@dataclass(slots=True)
class RunWork:
    """An attempt at a run, from the moment it is taken. ``waited_s`` is how long it waited to be taken at all, None
    where it was taken before.

    Whoever does it writes down how it went before the block ends: ``outcome``, a final status or why the attempt ended
    without one, and for a final status ``fault`` and ``took_s``, the seconds since it was first taken.
    """

    run_id: str
    scenario_id: str
    conversation_id: str
    batch_id: str | None
    priority: str
    attempt: int
    waited_s: float | None = None
    outcome: str = "lost"
    settled: bool = False
    fault: str | None = None
    took_s: float = 0.0


@dataclass(slots=True)
class DutyWork:
    """An attempt at a duty; ``outcome`` is written down before the block ends."""

    kind: str
    attempt: int
    outcome: str = GIVEN_UP


@dataclass(slots=True)
class RequestWork:
    """A request to this server. ``context`` are the headers that say whose trace it belongs to.

    ``route`` is the template of its path, empty where there is none; ``status`` is 0 until there is an answer.
    """

    method: str
    scheme: str = "http"
    context: Mapping[str, str] = field(default_factory=dict[str, str])
    route: str = ""
    status: int = 0


class Telemetry(Protocol):
    """Whoever watches. Nothing here waits or raises, and everything is called on the event loop.

    The blocks are for work within which other things are observed; each reads its record when it ends.
    """

    def run(self, work: RunWork) -> AbstractContextManager[object]:
        """The block is an attempt at a run."""
        ...

    def duty(self, work: DutyWork) -> AbstractContextManager[object]:
        """The block does a duty."""
        ...

    def request(self, work: RequestWork) -> AbstractContextManager[object]:
        """The block answers a request."""
        ...

    def model_called(self, call: ModelCall) -> None:
        """A model call is over."""
        ...

    def tool_called(self, use: ToolUse) -> None:
        """A tool call is over."""
        ...

    def waited(self, provider: str, seconds: float) -> None:
        """Somebody waited for the limits of a provider."""
        ...

    def committed(self, seconds: float, entries: int) -> None:
        """The journal made so many entries durable at once."""
        ...


class _Nobody:
    """Implements ``Telemetry``: nobody watches."""

    def run(self, work: RunWork) -> AbstractContextManager[object]:
        del work
        return _block

    def duty(self, work: DutyWork) -> AbstractContextManager[object]:
        del work
        return _block

    def request(self, work: RequestWork) -> AbstractContextManager[object]:
        del work
        return _block

    def model_called(self, call: ModelCall) -> None:
        del call

    def tool_called(self, use: ToolUse) -> None:
        del use

    def waited(self, provider: str, seconds: float) -> None:
        del provider, seconds

    def committed(self, seconds: float, entries: int) -> None:
        del seconds, entries


_block = nullcontext()
NOBODY: Telemetry = _Nobody()


def plain(failure: BaseException) -> str:
    """What a log may say of this failure alone: its kind, and of its message only what surely repeats nobody's words
    and no key. A class that knows more says it in an attribute ``plain``."""
    name, told = type(failure).__name__, getattr(failure, "plain", None)
    if isinstance(told, str):
        return f"{name}: {told}"
    if isinstance(failure, _HARMLESS):
        return f"{name}: {failure}"
    if isinstance(failure, OSError) and failure.errno is not None:
        return f"{name}: {failure.strerror} (errno {failure.errno})"
    original = getattr(failure, "orig", None)
    # SQLSTATE says what a PostgreSQL server refused, and SQLite has names of its own.
    code = next((code for name in ("sqlstate", "sqlite_errorname") if (code := getattr(original, name, None))), None)
    if isinstance(original, BaseException):
        return f"{name}: {type(original).__name__}" + (f" ({code})" if isinstance(code, str) else "")
    return name


def causes(failure: BaseException) -> Iterator[BaseException]:
    """The failure, and what led to it, the last first."""
    found: list[BaseException] = []
    one: BaseException | None = failure
    while one is not None and one not in found and len(found) < _DEEPEST:
        yield one
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def plainly(failure: BaseException) -> str:
    """What a log may say in one line of this failure and of what led to it."""
    return ", because of ".join(plain(one) for one in causes(failure))
