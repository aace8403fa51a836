"""What tools can reach beside the network: given by whoever runs a conversation, none of it needed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.passage import Passage
from vivavoce.core.tool import CodeTool, RemoteTool
from vivavoce.tools.background import Background


class OutOfReach(Exception):
    """It could not be done; the message is for the model, and for the person who reads the transcript."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What is None is not to be had in this conversation. All of them may raise ``OutOfReach``.

    ``secret`` gives the value that stands for an identifier in a template, or None where there is none. ``sign`` gives
    the signature headers of a body: the one of this name, made with a shared secret, or where the name is empty those
    made with a key pair. ``remote`` calls a tool of a server with arguments, an idempotency key and what fills the
    server's templates.
    ``search`` finds passages: bucket names, words, and how many at most (None is the server's default). ``send`` sends
    a text message to the caller (text, idempotency key) and says what became of it. ``background`` takes what is not
    waited for; without it everything is waited for. ``code`` runs a tool's code with arguments
    and variables.

    ``conversation`` is the id of the conversation, and ``pause_s`` for how many seconds a request that failed rests
    before it is made again.
    """

    secret: Callable[[str], Awaitable[str | None]] | None = None
    sign: Callable[[bytes, str], Mapping[str, str]] | None = None
    remote: Callable[[RemoteTool, Mapping[str, Any], str, Filling], Awaitable[ToolOutput]] | None = None
    search: Callable[[Sequence[str], str, int | None], Awaitable[Sequence[Passage]]] | None = None
    send: Callable[[str, str], Awaitable[str]] | None = None
    background: Background | None = None
    code: Callable[[CodeTool, Mapping[str, Any], Filling], Awaitable[ToolOutput]] | None = None
    conversation: str = ""
    pause_s: float = 0.5


ALONE = Reach()
"""Nothing but the network."""
