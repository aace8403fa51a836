"""What tools can reach beside the network: given by whoever runs a conversation, none of it needed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.core.passage import Passage
from vivavoce.core.tool import RemoteTool
from vivavoce.tools.background import Background


class OutOfReach(Exception):
    """It could not be done; the message is for the model, and for the person who reads the transcript."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What is None is not to be had in this conversation. All of them may raise ``OutOfReach``.

    ``secret`` gives the value that stands for an identifier in a template, or None where there is none. ``sign`` gives
    the signature headers of a body. ``remote`` calls a tool of a server with arguments and an idempotency key.
    ``search`` finds passages: bucket names, words, and how many at most (None is the server's default). ``send`` sends
    a text message to the caller (text, idempotency key) and says what became of it. ``background`` takes what is not
    waited for; without it everything is waited for.
    """

    secret: Callable[[str], Awaitable[str | None]] | None = None
    sign: Callable[[bytes], Mapping[str, str]] | None = None
    remote: Callable[[RemoteTool, Mapping[str, Any], str], Awaitable[ToolOutput]] | None = None
    search: Callable[[Sequence[str], str, int | None], Awaitable[Sequence[Passage]]] | None = None
    send: Callable[[str, str], Awaitable[str]] | None = None
    background: Background | None = None


ALONE = Reach()
"""Nothing but the network."""
