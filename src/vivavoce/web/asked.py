"""What an address asks for: places in lists and filters."""

from collections.abc import Mapping

from starlette.requests import Request

from vivavoce.core.status import Status
from vivavoce.storage.page import Window

STATES: Mapping[str, frozenset[Status]] = {
    "passed": frozenset({Status.PASSED}),
    "failed": frozenset({Status.FAILED}),
    "error": frozenset({Status.ERROR}),
    "running": frozenset({Status.STARTING, Status.RUNNING}),
    "pending": frozenset({Status.PENDING}),
}
"""How people ask for runs that stand like this. Those that were cancelled are among those in error."""
_FAR = 2**31 - 1


def window(request: Request, size: int = 25) -> Window:
    """The page that is asked for; the first where that is no number."""
    given = request.query_params.get("page", "")
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= 10 else 1
    return Window(min(max(number, 1), _FAR), size)


def text(request: Request, name: str) -> str | None:
    """A filter; None where it is empty."""
    return request.query_params.get(name) or None


def states(request: Request) -> frozenset[Status] | None:
    """The statuses that ``status`` asks for; None, which is all of them, where it is no known one."""
    return STATES.get(request.query_params.get("status", ""))
