"""How this server is set up: models, workers, limits, keys and webhooks. No secret is ever shown but a new key's."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.scope import Scope
from vivavoce.services import hooks, keys, machines, roles
from vivavoce.services.context import Context
from vivavoce.services.errors import Rejected
from vivavoce.services.hooks import Tried
from vivavoce.services.keys import LastKey
from vivavoce.services.orgs import LONGEST_NAME
from vivavoce.services.roles import Served
from vivavoce.storage.keys import Key
from vivavoce.storage.page import Window
from vivavoce.storage.workers import Seen
from vivavoce.web import asked
from vivavoce.web.gate import form
from vivavoce.web.pages import Pages
from vivavoce.web.places import Errors
from vivavoce.web.visitor import visitor


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The page, and what its forms send."""

    async def show(request: Request) -> Response:
        return await _page(request)

    async def probe(request: Request) -> Response:
        return await _page(request, served=await roles.look(ctx, probe=True))

    async def add_key(request: Request) -> Response:
        sent = form(request)
        name, scope = sent.get("name", "").strip(), sent.get("scope", "")
        errors: dict[str, str] = {}
        if not name or len(name) > LONGEST_NAME:
            errors["name"] = f"Say what it is for, in at most {LONGEST_NAME} characters."
        if scope not in {one.value for one in Scope}:
            errors["scope"] = "Choose one of these."
        if errors:
            return await _page(request, 422, errors=errors, name=name, scope=scope)
        org = visitor(request).org
        try:
            made, secret = await keys.create(
                ctx.database, ctx.clock, ctx.new_id, ctx.token, name, org=org, scope=Scope(scope)
            )
        except Rejected as failure:
            return await _page(request, 422, errors={"name": str(failure)}, name=name, scope=scope)
        # Shown in this answer and never again, so there is nothing to send the browser on to.
        return await _page(request, 201, made=made, secret=secret)

    async def revoke(request: Request) -> Response:
        try:
            await keys.revoke_own(ctx.database, ctx.clock, visitor(request).org, request.path_params["id"])
        except LastKey as failure:
            return pages.trouble(request, 409, "This cannot be done", str(failure))
        return RedirectResponse("/ui/settings?said=deleted#keys", 303)

    async def add_hook(request: Request) -> Response:
        sent = form(request)
        url = sent.get("url", "").strip()
        chosen = set(sent.getlist("kinds"))
        kinds = tuple(one for one in Occasion if one.value in chosen)
        try:
            await hooks.create(
                ctx.database, ctx.clock, ctx.new_id, ctx.outbound.guard, visitor(request).org, url, kinds
            )
        except Rejected as failure:
            part = "kinds" if failure.part == "kinds" else "url"
            return await _page(request, 422, errors={part: str(failure)}, url=url, kinds=chosen)
        return RedirectResponse("/ui/settings?said=saved#webhooks", 303)

    async def try_hook(request: Request) -> Response:
        hook = await hooks.retrieve(ctx.database, visitor(request).org, request.path_params["id"])
        return await _page(request, tried=(hook, await hooks.try_out(ctx, hook, ctx.new_id)))

    async def drop_hook(request: Request) -> Response:
        await hooks.delete(ctx.database, visitor(request).org, request.path_params["id"])
        return RedirectResponse("/ui/settings?said=deleted#webhooks", 303)

    async def _page(
        request: Request,
        status: int = 200,
        *,
        served: tuple[Served, ...] | None = None,
        errors: Errors | None = None,
        name: str = "",
        scope: str = Scope.READ.value,
        made: Key | None = None,
        secret: str = "",
        url: str = "",
        kinds: set[str] | None = None,
        tried: tuple[Hook, Tried] | None = None,
    ) -> Response:
        who = visitor(request)
        admin = who.may_change
        load = await machines.load(ctx, who.org) if admin else None
        return pages.render(
            request,
            "settings.html",
            status,
            served=served if served is not None else await roles.look(ctx),
            load=load,
            workers=[(one, state(one)) for one in await machines.get_all(ctx.database)] if admin else (),
            keys=await keys.get_page(ctx.database, who.org, asked.window(request, 50)) if admin else None,
            hooks=(await hooks.get_page(ctx.database, who.org, Window(1, hooks.MOST))).items if admin else (),
            occasions=tuple(one.value for one in Occasion),
            scopes=tuple((one.value, one.told) for one in Scope),
            limits=ctx.limits,
            sqlite=ctx.database.sqlite,
            messenger=ctx.messenger.name,
            sandbox=ctx.sandbox is not None,
            priced=len(ctx.prices),
            public_key=ctx.signer.public_key if admin else "",
            errors=errors or {},
            name=name,
            scope=scope,
            made=made,
            secret=secret,
            url=url,
            kinds={one.value for one in Occasion} if kinds is None else kinds,
            tried=tried,
        )

    return [
        Route("/ui/settings", show, methods=["GET"]),
        Route("/ui/settings/models", probe, methods=["POST"]),
        Route("/ui/settings/keys", add_key, methods=["POST"]),
        Route("/ui/settings/keys/{id}/revoke", revoke, methods=["POST"]),
        Route("/ui/settings/webhooks", add_hook, methods=["POST"]),
        Route("/ui/settings/webhooks/{id}/test", try_hook, methods=["POST"]),
        Route("/ui/settings/webhooks/{id}/delete", drop_hook, methods=["POST"]),
    ]


def state(seen: Seen) -> str:
    """How a process stands: not heard of for too long, handing over, without places for runs, or at work."""
    if seen.silent:
        return "silent"
    if seen.stopping:
        return "stopping"
    return "working" if seen.presence.places else "serving"
