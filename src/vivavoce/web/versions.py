"""Versions of an assistant: compared, promoted, and served by shares."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.assistant import Form
from vivavoce.services import assistants, comparing, profiles, rollouts
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.profiles import Profile
from vivavoce.storage.database import Tx
from vivavoce.web import asked, traffic
from vivavoce.web.differing import told
from vivavoce.web.gate import form
from vivavoce.web.pages import Pages, part
from vivavoce.web.visitor import visitor


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
            fields=told(found.fields),
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
        typed = traffic.read(sent, [one.id for one in _others(profile)])
        act = sent.get("act", "save")
        if act not in ("save", "look"):
            return _form(request, profile, traffic.changed(typed, act), {})
        rules, errors = traffic.to_rules(typed)
        if errors or act == "look":
            return _form(request, profile, typed, errors, 422 if errors else 200)
        org, id_ = visitor(request).org, profile.assistant.id

        def work(tx: Tx) -> None:
            rollouts.create(ctx, tx, org, id_, rules)

        try:
            if not rules:
                if profile.rollout is not None:
                    await rollouts.delete(ctx, org, id_)
            elif profile.rollout is not None:
                await rollouts.update(ctx, org, id_, rules)
            else:
                await ctx.database.write(work)
        except Rejected as failure:
            return _form(request, profile, typed, {"": str(failure)}, 409)
        return RedirectResponse(f"/ui/assistants/{part(id_)}?said=saved#traffic", 303)

    async def end(request: Request) -> Response:
        id_ = request.path_params["id"]
        await rollouts.delete(ctx, visitor(request).org, id_)
        return RedirectResponse(f"/ui/assistants/{part(id_)}?said=saved#traffic", 303)

    async def _rollable(request: Request) -> Profile:
        profile = await profiles.retrieve(ctx, visitor(request).org, request.path_params["id"])
        if profile.assistant.form is not Form.ASSISTANT:
            raise Rejected("Only assistants with a main version are served by shares.")
        return profile

    def _form(
        request: Request,
        profile: Profile,
        typed: tuple[traffic.RuleTyped, ...],
        errors: dict[str, str],
        status: int = 200,
    ) -> Response:
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
            others=_others(profile),
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
