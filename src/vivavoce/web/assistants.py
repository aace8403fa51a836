"""Assistants: found, looked at, changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.assistant import MODEL_OPENS, Assistant, Form, Version
from vivavoce.core.event import Millis
from vivavoce.core.filter import Comparison, Field, Filter, Op
from vivavoce.services import assistants, conversations, profiles
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.threads import ASSISTANT
from vivavoce.storage.page import Window
from vivavoce.web import asked, drawing, plainly
from vivavoce.web.gate import Form as Sent
from vivavoce.web.gate import form
from vivavoce.web.pages import Pages, part
from vivavoce.web.places import Errors
from vivavoce.web.traffic import shares
from vivavoce.web.visitor import visitor

FORMS: Mapping[Form, str] = {
    Form.ASSISTANT: "assistant",
    Form.PROMPTS: "prompts",
    Form.FLOW: "flow",
    Form.VOICE_AGENT: "voice agent",
    Form.CHAT_AGENT: "chat agent",
}
"""What an assistant is made as, as people read it."""
OPENINGS = (
    ("caller", "The caller speaks first"),
    ("model", "The model writes the first words"),
    ("words", "These words"),
)
_TALKS = 5
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Edited:
    """What a person typed of an assistant."""

    name: str
    instructions: str
    opening: str
    greeting: str
    model: str
    label: str
    promote: bool
    base: str


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The list, an assistant, and the form that changes it."""

    async def show_all(request: Request) -> Response:
        words = asked.text(request, "q") or ""
        found = await profiles.get_page(ctx, visitor(request).org, asked.window(request), words)
        rows = [{"one": one, "changed_at": changed_at(one.main)} for one in found.items]
        return pages.render(request, "assistants.html", found=found, rows=rows, words=words, forms=FORMS)

    async def show(request: Request) -> Response:
        org, id_ = visitor(request).org, request.path_params["id"]
        profile = await profiles.retrieve(ctx, org, id_)
        wanted = asked.text(request, "version")
        version = profile.version(wanted or profile.assistant.main.id)
        if version is None:
            raise NotFound("version", wanted or "")
        mine = Filter((Comparison(Field(ASSISTANT, metadata=True), Op.EQ, id_),))
        talks = await conversations.look_back(ctx, org, mine, _TALKS, reach=2_000)
        return pages.render(
            request,
            "assistant.html",
            profile=profile,
            assistant=profile.assistant,
            shown=version,
            opening=opening(version.greeting),
            opens=dict(OPENINGS),
            tools=plainly.tools(version),
            flow=plainly.flow(version.flow) if version.flow else None,
            drawn=drawing.drawn(version.flow) if version.flow else None,
            shares=shares(profile.rollout, profile.assistant.main, profile.versions),
            talks=talks.items,
            suites=sorted({one.suite for one in profile.tests.items if one.suite}),
            default_model=ctx.models.default_name("assistant"),
            forms=FORMS,
        )

    async def edit(request: Request) -> Response:
        found = await _editable(request)
        return _form(request, found, _as_is(found.main), {})

    async def save(request: Request) -> Response:
        found = await _editable(request)
        typed = _typed(form(request))
        errors = _wrong(typed)
        if errors:
            return _form(request, found, typed, errors, 422)
        if typed.base == found.main.id and _laid(typed, found.main) == found.main:
            return _form(request, found, typed, {"": "Nothing was changed, so there is no new version."}, 422)

        def change(main: Version) -> Version:
            if main.id != typed.base:
                raise Rejected("Somebody else changed this assistant meanwhile. Open it again to see what is new.")
            return _laid(typed, main)

        try:
            made = await assistants.update(
                ctx, visitor(request).org, found.id, change, _as_it_was, promote=typed.promote
            )
        except Rejected as failure:
            return _form(request, found, typed, {"": str(failure)}, 409)
        where = "" if typed.promote else f"&version={part(made.main.id)}"
        return RedirectResponse(f"/ui/assistants/{part(found.id)}?said=saved{where}", 303)

    async def _editable(request: Request) -> Assistant:
        """Raises ``NotFound``, and ``Rejected`` for what its own API edits."""
        org, id_ = visitor(request).org, request.path_params["id"]
        profile = await profiles.get(ctx, org, id_)
        if profile.form is not Form.ASSISTANT:
            raise Rejected("What this one is made of is kept in the form of its own API: change it there.")
        return profile

    def _form(request: Request, found: Assistant, typed: Edited, errors: Errors, status: int = 200) -> Response:
        return pages.render(
            request,
            "assistant_edit.html",
            status,
            assistant=found,
            typed=typed,
            errors=errors,
            openings=OPENINGS,
            default_model=ctx.models.default_name("assistant"),
        )

    return [
        Route("/ui/assistants", show_all, methods=["GET"]),
        Route("/ui/assistants/{id}", show, methods=["GET"]),
        Route("/ui/assistants/{id}/edit", edit, methods=["GET"]),
        Route("/ui/assistants/{id}/edit", save, methods=["POST"]),
    ]


async def options(ctx: Context, org: str, chosen: str = "") -> Sequence[tuple[str, str]]:
    """The newest assistants as options of a form: (id, name); the chosen one is always among them."""
    found = await profiles.get_page(ctx, org, Window(1, 100))
    known = {one.id: one.main.name or one.id for one in found.items}
    if chosen and chosen not in known:
        known |= {chosen: chosen, **await profiles.names(ctx, org, [chosen])}
    return tuple(known.items())


def changed_at(version: Version) -> Millis:
    """When it was written last."""
    return max(version.created_at, version.changed_at)


def opening(greeting: str | None) -> str:
    """Which of ``OPENINGS`` a greeting is."""
    return {"": "caller", MODEL_OPENS: "model"}.get(greeting or "", "words")


def _as_is(main: Version) -> Edited:
    kind = opening(main.greeting)
    words = main.greeting or "" if kind == "words" else ""
    return Edited(main.name, main.instructions, kind, words, main.mind.model or "", "", promote=True, base=main.id)


def _typed(sent: Sent) -> Edited:
    return Edited(
        sent.get("name", "").strip(),
        sent.get("instructions", ""),
        sent.get("opening", ""),
        sent.get("greeting", ""),
        sent.get("model", "").strip(),
        sent.get("label", "").strip(),
        promote="promote" in sent,
        base=sent.get("base", ""),
    )


def _wrong(typed: Edited) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not typed.name:
        errors["name"] = "An assistant needs a name."
    for name, value in (("name", typed.name), ("label", typed.label), ("model", typed.model)):
        if len(value) > _LONGEST_NAME:
            errors[name] = f"At most {_LONGEST_NAME} characters."
    if typed.opening not in dict(OPENINGS):
        errors["opening"] = "Choose one of these."
    if typed.opening == "words" and not typed.greeting.strip():
        errors["greeting"] = "Write the words, or choose another opening."
    return errors


def _laid(typed: Edited, main: Version) -> Version:
    # None and the empty text mean the same: what was there stays.
    silent = "" if main.greeting else main.greeting
    greetings: dict[str, str | None] = {"caller": silent, "model": MODEL_OPENS}
    mind = main.mind if main.mind.endpoint else replace(main.mind, model=typed.model or None)
    return replace(
        main,
        name=typed.name,
        instructions=typed.instructions,
        greeting=greetings.get(typed.opening, typed.greeting),
        mind=mind,
        label=typed.label or main.label,
    )


def _as_it_was(_version: Version) -> None:
    """What a person can change here breaks no rule of what was kept before."""
