"""Conversations: found, and read with all that happened in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.conversation import Conversation
from vivavoce.core.filter import AnyOf, Comparison, Field, Filter, Op
from vivavoce.core.scenario import Medium
from vivavoce.services import chatting, conversations, findings, profiles
from vivavoce.services.context import Context
from vivavoce.services.threads import ASSISTANT, VERSION
from vivavoce.storage.page import Window
from vivavoce.storage.talk_pages import Place
from vivavoce.web import asked
from vivavoce.web.assistants import options
from vivavoce.web.pages import Pages
from vivavoce.web.places import DAY_MS, at_place, day, place
from vivavoce.web.visitor import visitor

SIZE = 25
MEDIA: Mapping[Medium, str] = {
    Medium.PHONE_CALL: "phone call",
    Medium.WEB_CALL: "web call",
    Medium.WEB_CHAT: "chat",
    Medium.SMS_CHAT: "text messages",
    Medium.WHATSAPP_CHAT: "WhatsApp",
}
_CHANNEL = "conversation_channel"
_MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversations are asked for, as it was typed."""

    assistant: str
    medium: str
    key: str
    value: str
    since: str
    until: str
    tests: str


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The list, a conversation, and the button that deletes it."""

    async def show_all(request: Request) -> Response:
        org = visitor(request).org
        wanted = Wanted(*((asked.text(request, name) or "").strip() for name in Wanted.__slots__))
        chosen = await options(ctx, org, wanted.assistant)
        prefixes = await profiles.prefixes(ctx, org)
        errors = _wrong(wanted)
        behind = place(asked.text(request, "behind") or "")
        found = await conversations.look_back(
            ctx, org, _filter(wanted, prefixes), SIZE, Place(*behind) if behind else None
        )
        names = await profiles.names(ctx, org, {one.metadata.get(ASSISTANT, "") for one in found.items})
        return pages.render(
            request,
            "conversations.html",
            422 if errors else 200,
            rows=[(one, medium_of(one)) for one in found.items],
            found=found,
            rest=at_place(found.rest.at, found.rest.id) if found.rest else "",
            names=names,
            wanted=wanted,
            errors=errors,
            assistants=(("", "any"), *chosen),
            media=(("", "any"), *((one.value, name) for one, name in MEDIA.items())),
            first=behind is None,
        )

    async def show(request: Request) -> Response:
        org, id_ = visitor(request).org, request.path_params["id"]
        conversation = await conversations.retrieve(ctx, org, id_)
        transcript = await conversations.get_transcript(ctx, org, id_)
        assistant_id = conversation.metadata.get(ASSISTANT, "")
        names = await profiles.names(ctx, org, [assistant_id])
        results = await findings.get_page(ctx, org, id_, Window(1, _MOST_FINDINGS))
        tried = chatting.is_tried(conversation)
        return pages.render(
            request,
            "conversation.html",
            conversation=conversation,
            transcript=transcript,
            medium=medium_of(conversation),
            assistant_id=assistant_id,
            assistant=names.get(assistant_id, ""),
            version_id=conversation.metadata.get(VERSION, ""),
            run_id=conversation.metadata.get("run_id", ""),
            tried=tried,
            usage=transcript.usage,
            ending_=transcript.end,
            results=results.items,
        )

    async def delete(request: Request) -> Response:
        await conversations.delete(ctx, visitor(request).org, request.path_params["id"])
        return RedirectResponse("/ui/conversations?said=deleted", 303)

    return [
        Route("/ui/conversations", show_all, methods=["GET"]),
        Route("/ui/conversations/{id}", show, methods=["GET"]),
        Route("/ui/conversations/{id}/delete", delete, methods=["POST"]),
    ]


def medium_of(conversation: Conversation) -> str:
    """How it was led, as people read it; empty where nothing says so."""
    # Its key has the prefix of whoever wrote the version.
    named = next((value for name, value in conversation.metadata.items() if name.endswith(_CHANNEL)), "")
    return MEDIA[Medium(named)] if named in set(Medium) else named


def _wrong(wanted: Wanted) -> dict[str, str]:
    errors = {
        name: "A day such as 2026-03-31."
        for name, value in (("since", wanted.since), ("until", wanted.until))
        if value and day(value) is None
    }
    if wanted.value and not wanted.key:
        errors["key"] = "Name the key whose value this is."
    return errors


def _filter(wanted: Wanted, prefixes: Sequence[str]) -> Filter:
    found: list[Comparison | AnyOf] = []
    if wanted.assistant:
        found.append(Comparison(Field(ASSISTANT, metadata=True), Op.EQ, wanted.assistant))
    if wanted.medium:
        channels = (Field(f"{prefix}{_CHANNEL}", metadata=True) for prefix in prefixes)
        found.append(AnyOf(tuple(Comparison(one, Op.EQ, wanted.medium) for one in channels)))
    if wanted.key:
        found.append(Comparison(Field(wanted.key, metadata=True), Op.EQ, wanted.value))
    if wanted.tests == "without":
        found.append(Comparison(Field("run_id", metadata=True), Op.IS, None))
    since, until = day(wanted.since), day(wanted.until)
    if since is not None:
        found.append(Comparison(Field("created_at"), Op.GTE, since))
    if until is not None:
        found.append(Comparison(Field("created_at"), Op.LT, until + DAY_MS))
    return Filter(tuple(found))
