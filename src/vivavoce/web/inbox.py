"""The inbox: text messages as threads between two numbers, and where nobody carries them a form to send one in."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.channels.messenger import Loopback
from vivavoce.core.scenario import Medium
from vivavoce.core.text import Text
from vivavoce.services import incoming, messaging
from vivavoce.services.context import Context
from vivavoce.services.errors import Rejected
from vivavoce.services.incoming import Arrival
from vivavoce.storage.page import Window
from vivavoce.storage.texts import TextFilter
from vivavoce.web import asked
from vivavoce.web.gate import form
from vivavoce.web.pages import Pages, address
from vivavoce.web.places import Errors
from vivavoce.web.visitor import visitor

AT_ONCE = 100
"""Of how many messages one page makes threads."""
_LONGEST_NUMBER = 256
_LONGEST_TEXT = 65_536


@dataclass(frozen=True, slots=True)
class Thread:
    """Text messages between an assistant's number and somebody else's: the newest, and how many on this page."""

    ours: str
    theirs: str
    last: Text
    many: int


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The threads, one of them, and the form."""

    async def show_all(request: Request) -> Response:
        return await _threads(request, "", "", "", {})

    async def show(request: Request) -> Response:
        ours, theirs = asked.text(request, "ours"), asked.text(request, "theirs")
        if not ours or not theirs:
            return RedirectResponse("/ui/inbox", 303)
        return await _thread(request, ours, theirs, "", {})

    async def post(request: Request) -> Response:
        if not isinstance(ctx.messenger, Loopback):
            raise Rejected(f"Text messages come in by {ctx.messenger.name} here; nobody can send them from a page.")
        sent = form(request)
        ours, theirs = sent.get("to", "").strip(), sent.get("from", "").strip()
        words = sent.get("text", "")
        errors = _wrong(ours, theirs, words)
        if errors and "thread" in sent and ours and theirs:
            return await _thread(request, ours, theirs, words, errors, 422)
        if errors:
            return await _threads(request, ours, theirs, words, errors, 422)
        medium = Medium.WHATSAPP_CHAT if sent.get("medium") == Medium.WHATSAPP_CHAT.value else None
        await incoming.receive(ctx, visitor(request).org, Arrival(theirs, ours, words, None, medium))
        return RedirectResponse(address("/ui/inbox/thread", ours=ours, theirs=theirs, said="sent"), 303)

    async def _threads(
        request: Request, ours: str, theirs: str, words: str, errors: Errors, status: int = 200
    ) -> Response:
        found = await messaging.get_page(ctx, visitor(request).org, TextFilter(), asked.window(request, AT_ONCE))
        return pages.render(
            request,
            "inbox.html",
            status,
            found=found,
            threads=threads(found.items),
            loopback=isinstance(ctx.messenger, Loopback),
            carrier=ctx.messenger.name,
            numbers=sorted(ctx.numbers),
            ours=ours,
            theirs=theirs,
            words=words,
            errors=errors,
        )

    async def _thread(
        request: Request, ours: str, theirs: str, words: str, errors: Errors, status: int = 200
    ) -> Response:
        wanted = TextFilter(pair=(ours, theirs))
        newest = asked.window(request, AT_ONCE) if request.method == "GET" else Window(1, AT_ONCE)
        found = await messaging.get_page(ctx, visitor(request).org, wanted, newest)
        return pages.render(
            request,
            "inbox_thread.html",
            status,
            found=found,
            texts=tuple(reversed(found.items)),
            waits=any(one.status.value in ("received", "heard") for one in found.items),
            loopback=isinstance(ctx.messenger, Loopback),
            ours=ours,
            theirs=theirs,
            words=words,
            errors=errors,
        )

    return [
        Route("/ui/inbox", show_all, methods=["GET"]),
        Route("/ui/inbox", post, methods=["POST"]),
        Route("/ui/inbox/thread", show, methods=["GET"]),
    ]


def threads(texts: tuple[Text, ...]) -> tuple[Thread, ...]:
    """Text messages, the newest first, by the two numbers."""
    found: dict[tuple[str, str], Thread] = {}
    for one in texts:
        known = found.get((one.ours, one.theirs))
        found[one.ours, one.theirs] = Thread(
            one.ours, one.theirs, known.last if known else one, known.many + 1 if known else 1
        )
    return tuple(found.values())


def _wrong(ours: str, theirs: str, words: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    for name, number, what in (("from", theirs, "who writes"), ("to", ours, "who is written to")):
        if not number:
            errors[name] = f"Say {what}: a number such as +353861234567."
        elif len(number) > _LONGEST_NUMBER:
            errors[name] = f"At most {_LONGEST_NUMBER} characters."
    if ours and ours == theirs:
        errors["from"] = "Nobody writes to themselves."
    if not words.strip():
        errors["text"] = "Write something."
    elif len(words) > _LONGEST_TEXT:
        errors["text"] = f"At most {_LONGEST_TEXT} characters."
    return errors
