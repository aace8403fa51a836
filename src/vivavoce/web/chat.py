"""A chat to try an assistant: begun, led and ended from a page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Message, Speaker
from vivavoce.core.transcript import Transcript
from vivavoce.files.trees import Fault, parse
from vivavoce.services import chatting, conversations, profiles
from vivavoce.services.chat import GOES_ON
from vivavoce.services.chatting import Start
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.profiles import Profile
from vivavoce.services.threads import ASSISTANT, VERSION
from vivavoce.web import asked
from vivavoce.web.gate import form
from vivavoce.web.pages import Pages, part
from vivavoce.web.places import Errors
from vivavoce.web.traffic import called
from vivavoce.web.visitor import visitor

LONGEST = 32_768
"""How many characters somebody may say at once."""
MOST_VARIABLES = 500


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The page to begin a chat, the chat, and what its forms send."""

    async def show(request: Request) -> Response:
        profile = await profiles.retrieve(ctx, visitor(request).org, request.path_params["assistant_id"])
        return _start(request, profile, asked.text(request, "version") or "", "", {})

    async def begin(request: Request) -> Response:
        org, id_ = visitor(request).org, request.path_params["assistant_id"]
        profile = await profiles.retrieve(ctx, org, id_)
        sent = form(request)
        version, written = sent.get("version", ""), sent.get("variables", "")
        variables = _variables(written)
        if isinstance(variables, str):
            return _start(request, profile, version, written, {"variables": variables}, 422)
        try:
            begun = await chatting.begin(ctx, org, Start(id_, version or None, variables))
        except (Rejected, Broken, Busy) as failure:
            return _start(request, profile, version, written, {"": str(failure)}, _status(failure))
        return RedirectResponse(_there(id_, begun.id), 303)

    async def go_on(request: Request) -> Response:
        return await _talk(request, "", "")

    async def say(request: Request) -> Response:
        org, id_ = visitor(request).org, request.path_params["id"]
        words = form(request).get("words", "").strip()
        if not words:
            return await _talk(request, "", "Say something.", 422)
        if len(words) > LONGEST:
            return await _talk(request, words, f"At most {LONGEST} characters at once.", 422)
        await _own(request)
        try:
            await chatting.reply(ctx, org, id_, words)
        except (Rejected, Broken, Busy) as failure:
            return await _talk(request, words, str(failure), _status(failure))
        return RedirectResponse(f"{_there(request.path_params['assistant_id'], id_)}#say", 303)

    async def end(request: Request) -> Response:
        await _own(request)
        await chatting.end(ctx, visitor(request).org, request.path_params["id"])
        return RedirectResponse(_there(request.path_params["assistant_id"], request.path_params["id"]), 303)

    async def _own(request: Request) -> Conversation:
        """The conversation, if it is with this assistant. Raises ``NotFound``."""
        id_ = request.path_params["id"]
        found = await conversations.retrieve(ctx, visitor(request).org, id_)
        if found.metadata.get(ASSISTANT) != request.path_params["assistant_id"]:
            raise NotFound("conversation", id_)
        return found

    async def _talk(request: Request, words: str, wrong: str, status: int = 200) -> Response:
        org = visitor(request).org
        conversation = await _own(request)
        transcript = await conversations.get_transcript(ctx, org, conversation.id)
        names = await profiles.names(ctx, org, [request.path_params["assistant_id"]])
        return pages.render(
            request,
            "chat.html",
            status,
            conversation=conversation,
            transcript=transcript,
            assistant_id=request.path_params["assistant_id"],
            name=names.get(request.path_params["assistant_id"], "an assistant that is gone"),
            version_id=conversation.metadata.get(VERSION, ""),
            over=transcript.ending not in GOES_ON or _forgotten(conversation, transcript),
            waits=_waits(transcript),
            words=words,
            wrong=wrong,
            longest=LONGEST,
        )

    def _start(
        request: Request, profile: Profile, version: str, variables: str, errors: Errors, status: int = 200
    ) -> Response:
        main = profile.assistant.main
        return pages.render(
            request,
            "chat_start.html",
            status,
            profile=profile,
            versions=[
                ("", "the one that a new conversation gets"),
                *((one.id, called(one)) for one in profile.versions),
            ],
            chosen=version,
            variables=variables,
            known=sorted(main.variables),
            errors=errors,
        )

    here = "/ui/chat/{assistant_id}"
    return [
        Route(here, show, methods=["GET"]),
        Route(here, begin, methods=["POST"]),
        Route(here + "/{id}", go_on, methods=["GET"]),
        Route(here + "/{id}", say, methods=["POST"]),
        Route(here + "/{id}/end", end, methods=["POST"]),
    ]


def _there(assistant_id: str, conversation_id: str) -> str:
    return f"/ui/chat/{part(assistant_id)}/{part(conversation_id)}"


def _status(failure: Exception) -> int:
    return 400 if isinstance(failure, Rejected) else 409 if isinstance(failure, Busy) else 503


def _variables(written: str) -> Mapping[str, Any] | str:
    """The variables that were typed, or what is wrong with them."""
    if not written.strip():
        return {}
    try:
        given = json.loads(written, parse_constant=_no_number)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return 'Write a JSON object, for example {"name": "Ada"}.'
    if len(cast("dict[str, Any]", given)) > MOST_VARIABLES:
        return f"At most {MOST_VARIABLES} variables."
    faults: list[Fault] = []
    trees = parse(Path("variables.json"), written, faults)
    if faults:
        return f"Line {faults[0].place.line}: {faults[0].message}."
    return trees[0].value


def _no_number(name: str) -> float:
    raise ValueError(name)


def _forgotten(conversation: Conversation, transcript: Transcript) -> bool:
    return conversation.ended_at is not None and not transcript.events


def _waits(transcript: Transcript) -> bool:
    """Whether the caller said something that was never answered."""
    last = transcript.last_act
    return isinstance(last, Message) and last.speaker is Speaker.CALLER
