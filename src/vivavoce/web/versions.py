"""Versions of an assistant: compared, promoted, and served by shares."""

from asyncio import to_thread
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.assistant import Form, Version
from vivavoce.core.rollout import Rollout
from vivavoce.services import assistants, comparing, profiles, rollouts
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.profiles import Profile
from vivavoce.web import asked, traffic
from vivavoce.web.differing import told
from vivavoce.web.gate import form
from vivavoce.web.pages import Pages, part
from vivavoce.web.visitor import visitor

CHANGED = (
    "Another version was made main, or other shares were saved, while you wrote. Look at yours, and save again to put "
    "them in the place of what is served now."
)
LEFT_OUT = "Shares of versions that are main now, or gone, are left out."


@dataclass(frozen=True, slots=True)
class _Changed(Exception):
    """What the form was made for is served no more."""


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """Two versions beside each other, the button that makes one main, and the form of the shares."""

    async def compare(request: Request) -> Response:
        org = visitor(request).org
        profile = await profiles.retrieve(ctx, org, request.path_params["id"])
        left, right = asked.text(request, "left"), asked.text(request, "right")
        if len(profile.versions) < 2:
            return pages.render(request, "version_compare.html", profile=profile, left=None, right=None)
        # The newest against the one before it, where nothing is asked for.
        after = _chosen(profile, right) if right else profile.versions[0]
        others = [one for one in profile.versions if one.id != after.id]
        before = _chosen(profile, left) if left else others[0]
        found = await comparing.of_versions(ctx, org, before.id, after.id)
        return pages.render(
            request,
            "version_compare.html",
            profile=profile,
            left=before,
            right=after,
            found=found,
            fields=await to_thread(told, found.fields),
            called=traffic.called,
            titled=traffic.titled,
        )

    async def promote(request: Request) -> Response:
        id_ = request.path_params["id"]
        await assistants.promote(ctx, visitor(request).org, id_, form(request).get("version", ""))
        return RedirectResponse(f"/ui/assistants/{part(id_)}?said=promoted", 303)

    async def show(request: Request) -> Response:
        profile = await _rollable(request)
        return _form(request, profile, traffic.typed(profile.rollout) or (traffic.RuleTyped(),), {})

    async def save(request: Request) -> Response:
        profile = await _rollable(request)
        sent = form(request)
        typed, seen = traffic.read(sent), sent.get("seen", "")
        act = sent.get("act", "save")
        if act not in ("save", "look"):
            return _form(request, profile, traffic.changed(typed, act), {}, seen=seen)
        rules, errors = traffic.to_rules(typed)
        if errors or act == "look":
            return _form(request, profile, typed, errors, 422 if errors else 200, seen=seen)
        id_ = profile.assistant.id

        def check(main: Version, rollout: Rollout | None) -> None:
            if traffic.seal(main, rollout) != seen:
                raise _Changed

        try:
            await rollouts.serve(ctx, visitor(request).org, id_, rules, check)
        except _Changed:
            # Whoever sends it once more has seen what is served now.
            return _form(request, await _rollable(request), typed, {"": CHANGED}, 409)
        except Rejected as failure:
            return _form(request, profile, typed, {"": str(failure)}, 409, seen=seen)
        return RedirectResponse(f"/ui/assistants/{part(id_)}?said=saved#traffic", 303)

    async def end(request: Request) -> Response:
        id_ = request.path_params["id"]
        await rollouts.delete(ctx, visitor(request).org, id_)
        return RedirectResponse(f"/ui/assistants/{part(id_)}?said=saved#traffic", 303)

    async def _rollable(request: Request) -> Profile:
        profile = await profiles.retrieve(ctx, visitor(request).org, request.path_params["id"])
        if profile.assistant.form is not Form.ASSISTANT:
            raise Rejected("Only assistants with a main version are served by shares.")
        if not traffic.fits(profile.rollout):
            raise Rejected("There are more rules and conditions than fit into a form. Change them through the API.")
        return profile

    def _form(
        request: Request,
        profile: Profile,
        typed: tuple[traffic.RuleTyped, ...],
        errors: dict[str, str],
        status: int = 200,
        *,
        seen: str | None = None,
    ) -> Response:
        others = _others(profile)
        kept = traffic.only(typed, {one.id for one in others})
        if kept != typed:
            typed, errors = kept, errors | {"": f"{errors.get('', '')} {LEFT_OUT}".strip()}
        rules, found = traffic.to_rules(typed)
        main = profile.assistant.main
        looks = None
        if not found:
            rollout = profile.rollout
            made = traffic.Rollout(rules, rollout.created_at if rollout else 0, 0)
            looks = traffic.shares(made, main, profile.versions)
        return pages.render(
            request,
            "rollout.html",
            status,
            profile=profile,
            others=others,
            seen=traffic.seal(main, profile.rollout) if seen is None else seen,
            most_clauses=traffic.MOST_CLAUSES,
            rules=typed,
            errors=errors,
            looks=looks,
            operators=tuple((one.value, told) for one, told in traffic.OPERATORS.items()),
            called=traffic.called,
            titled=traffic.titled,
        )

    return [
        Route("/ui/assistants/{id}/compare", compare, methods=["GET"]),
        Route("/ui/assistants/{id}/promote", promote, methods=["POST"]),
        Route("/ui/assistants/{id}/traffic", show, methods=["GET"]),
        Route("/ui/assistants/{id}/traffic", save, methods=["POST"]),
        Route("/ui/assistants/{id}/traffic/end", end, methods=["POST"]),
    ]


def _others(profile: Profile) -> list[traffic.Version]:
    return [one for one in profile.versions if one.id != profile.assistant.main.id]


def _chosen(profile: Profile, version_id: str) -> traffic.Version:
    found = profile.version(version_id)
    if found is None:
        raise NotFound("version", version_id)
    return found
