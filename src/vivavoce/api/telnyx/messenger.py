"""Text messages carried by Telnyx: its public messages endpoint, ``POST {base_url}/messages``."""

import json
from typing import Any, cast

from vivavoce.api.shape import mapping
from vivavoce.channels.messenger import NotSent, Outgoing
from vivavoce.core.scenario import Medium
from vivavoce.outbound.answer import json_of
from vivavoce.outbound.fetch import Fetched, Session, Unreachable, fetch
from vivavoce.outbound.guard import Refused

BASE_URL = "https://api.telnyx.com/v2"
TIMEOUT_S = 15.0
_ANSWER_BYTES = 256 * 1024
_PASSING = frozenset({408, 409, 425, 429})


class ApiMessenger:
    """Sends SMS with an API key. ``base_url`` is without the last slash, such as ``https://api.telnyx.com/v2``."""

    name = "Telnyx messages"

    def __init__(self, session: Session, base_url: str, key: str) -> None:
        self._session, self._key = session, key
        self._url = f"{(base_url or BASE_URL).rstrip('/')}/messages"

    def carries(self, medium: Medium) -> bool:
        """SMS only."""
        return medium is Medium.SMS_CHAT

    async def send(self, message: Outgoing) -> str:
        """Hand the message over; returns the id it has there. Raises ``NotSent``.

        A message whose answer was lost counts as not sent, and goes out again under the same ``Idempotency-Key``.
        """
        body = {"from": message.sender, "to": message.recipient, "text": message.text}
        headers = {
            "accept": "application/json",
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "idempotency-key": message.key,
        }
        try:
            answer = await fetch(
                self._session,
                "POST",
                self._url,
                headers=headers,
                body=json.dumps(body, ensure_ascii=False).encode(errors="replace"),
                timeout_s=TIMEOUT_S,
                max_bytes=_ANSWER_BYTES,
            )
        except Refused as failure:
            raise NotSent(str(failure), final=True) from failure
        except Unreachable as failure:
            raise NotSent(str(failure), final=failure.kind == "protocol") from failure
        if not 200 <= answer.status < 300:
            passing = answer.status >= 500 or answer.status in _PASSING
            raise NotSent(f"the carrier answered with status {answer.status}{_detail(answer)}", final=not passing)
        id_ = mapping(mapping(_parsed(answer)).get("data")).get("id")
        return id_ if isinstance(id_, str) and 0 < len(id_) <= 255 else message.key


def _detail(answer: Fetched) -> str:
    errors = mapping(_parsed(answer)).get("errors")
    for error in cast("list[Any]", errors) if isinstance(errors, list) else []:
        told = mapping(error).get("detail") or mapping(error).get("title")
        if isinstance(told, str):
            return f": {told[:500]}"
    return ""


def _parsed(answer: Fetched) -> Any:
    try:
        return json_of(answer)
    except ValueError:
        return None
