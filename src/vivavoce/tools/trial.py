"""Trying a webhook tool without a conversation: what was sent, and what came back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vivavoce.assistant.offer import offered_parameters
from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import WebhookTool
from vivavoce.outbound.answer import text_of
from vivavoce.outbound.fetch import Session, Unreachable
from vivavoce.outbound.guard import Refused
from vivavoce.tools.arguments import mismatch
from vivavoce.tools.reach import OutOfReach, Reach
from vivavoce.tools.secrets import HIDDEN, NoSecret, hidden, opened
from vivavoce.tools.webhook import Request, Unusable, failure, misfit, prepare, send, signed, templates, uncalled


@dataclass(frozen=True, slots=True)
class Trial:
    """``status_code`` is 0 and ``content_type`` empty where nobody answered; ``response`` then says why. ``request``
    is None where none could be put together; values of secrets stand in neither."""

    success: bool
    status_code: int
    content_type: str
    response: str
    request: Request | None


async def attempt(
    session: Session,
    tool: WebhookTool,
    arguments: Mapping[str, Any],
    *,
    key: str,
    filling: Filling,
    reach: Reach,
) -> Trial:
    """Call the tool once, as a conversation would, and wait for the answer also where a conversation would not."""
    wrong = mismatch(offered_parameters(tool), arguments)
    if wrong is not None:
        return _unsent(misfit(wrong), None)
    try:
        secrets = await opened(templates(tool), reach)
        unsigned = prepare(tool, arguments, filling, secrets, key, reach.conversation)
        # Put together a second time, because a value can hide in many spellings.
        hiding = prepare(tool, arguments, filling, dict.fromkeys(secrets, HIDDEN), key, reach.conversation)
    except (Unusable, NoSecret) as error:
        return _unsent(uncalled(str(error)), None)
    except OutOfReach as error:
        return _unsent(str(error), None)
    request = signed(unsigned, tool, reach)
    signature = {name: value for name, value in request.headers.items() if unsigned.headers.get(name) != value}
    shown = replace(hiding, headers={**hiding.headers, **signature})
    try:
        answer = await send(session, request, tool.timeout_ms)
    except (Refused, Unreachable) as error:
        return _unsent(hidden(failure(error, tool.timeout_ms), secrets), shown)
    return Trial(
        200 <= answer.status < 300,
        answer.status,
        hidden(answer.headers.get("content-type", ""), secrets),
        hidden(text_of(answer), secrets),
        shown,
    )


def _unsent(why: str, shown: Request | None) -> Trial:
    return Trial(False, 0, "", why, shown)
