"""One question to an assistant behind HTTP, asked again where asking again is safe and of use."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from vivavoce.core.verdict import Fault
from vivavoce.examination.channel import LineBroken
from vivavoce.outbound.answer import json_of
from vivavoce.outbound.fetch import Fetched, Session, Unreachable, fetch, shown
from vivavoce.outbound.guard import Refused

Sleep = Callable[[float], Awaitable[None]]

RETRIES = 2
"""How often a question is asked again, with the same idempotency key."""

MAX_BYTES = 1024 * 1024

_PASSING = frozenset({502, 503, 504})
_FIRST_WAIT_S = 0.5


async def ask(
    session: Session,
    url: str,
    question: Mapping[str, Any],
    *,
    key: str,
    headers: Mapping[str, str],
    timeout_s: float,
    sleep: Sleep,
) -> Any:
    """The JSON that answers this JSON. ``timeout_s`` holds for each attempt.

    Only a connection that failed and 502, 503 and 504 are tried again. Raises ``LineBroken``: an address that
    may not be called is the infrastructure's fault (a setting), everything else the assistant's. Where no connection
    came about at all it is ``passing``: nothing was learnt about what the assistant says.
    """
    body = json.dumps(question, ensure_ascii=False).encode(errors="replace")
    ours = {"accept": "application/json", "content-type": "application/json", "idempotency-key": key}
    every = ours | {name.lower(): value for name, value in headers.items()}
    attempt = 0
    while True:
        try:
            fetched = await fetch(
                session, "POST", url, headers=every, body=body, timeout_s=timeout_s, max_bytes=MAX_BYTES
            )
        except Refused as error:
            raise LineBroken(Fault.INFRASTRUCTURE, str(error)) from error
        except Unreachable as error:
            if error.kind != "connect" or attempt == RETRIES:
                raise LineBroken(Fault.ASSISTANT, str(error), passing=error.kind == "connect") from error
        else:
            if fetched.status not in _PASSING or attempt == RETRIES:
                return _read(fetched, url)
        await sleep(_FIRST_WAIT_S * 2**attempt)
        attempt += 1


def garbled(url: str, wanted: str) -> LineBroken:
    """The failure of an assistant that answers in another shape than the one described."""
    return LineBroken(Fault.ASSISTANT, f"{shown(url)} did not answer with {wanted}")


def _read(fetched: Fetched, url: str) -> Any:
    if not 200 <= fetched.status < 300:
        raise LineBroken(Fault.ASSISTANT, f"{shown(url)} answered with HTTP status {fetched.status}")
    try:
        return json_of(fetched)
    except ValueError:
        raise garbled(url, "JSON") from None
