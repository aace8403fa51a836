"""What a server serves: every API, the dashboard and the health checks, on one ASGI application."""

import re
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from vivavoce.api.gate import Gate, Render
from vivavoce.api.later import Later
from vivavoce.api.rates import Rates
from vivavoce.api.scopes import Rule
from vivavoce.api.telnyx import inbound
from vivavoce.api.watched import Watched
from vivavoce.house import House, health_routes
from vivavoce.services import keys
from vivavoce.settings import Settings


def application(settings: Settings, opened: House) -> Starlette:
    """The application, whose APIs and dashboard are made when they are first asked."""
    context = opened.context

    check = keys.Checker(context.database, context.clock)
    # One count of a key for all APIs.
    rates = Rates(settings.rate_limit, context.clock)

    def gated(api: ASGIApp, render: Render, rules: Sequence[Rule]) -> Gate:
        return Gate(
            api,
            check=check,
            rates=rates,
            render=render,
            new_id=context.new_id,
            max_body=settings.max_body_bytes,
            rules=rules,
        )

    def telnyx() -> Gate:
        from vivavoce.api.telnyx import application, scopes

        return gated(application.application(context), application.render, scopes.RULES)

    def retell() -> Gate:
        from vivavoce.api.retell import application, scopes

        return gated(application.application(context), application.render, scopes.RULES)

    def viva() -> Gate:
        from vivavoce.api.viva import application, scopes

        return gated(application.application(context), application.render, scopes.RULES)

    def dashboard() -> ASGIApp:
        from vivavoce.web import application

        return application.application(context, settings.max_body_bytes)

    v2 = Mount("/v2", app=Later(telnyx))
    # An id may hold an encoded line break, which "." does not match; and lists under /v2 are the other API's, whose
    # paths begin at the root.
    v2.path_regex = re.compile(v2.path_regex.pattern.replace("^/v2", "^/v2(?!/list-)"), re.DOTALL)
    testing = Mount("", app=Later(retell))
    testing.path_regex = re.compile(testing.path_regex.pattern, re.DOTALL)
    own = Mount("/viva/v1", app=Later(viva))
    # Signed by the carrier, who has no key; a route, because a mount would only take it with a slash at its end.
    texts = Route("/webhooks/messages", inbound.application(context, settings.messenger_public_key))
    accesses = settings.log_format == "json" if settings.access_log is None else settings.access_log
    watched = Middleware(Watched, telemetry=context.telemetry, accesses=accesses)
    shown = Later(dashboard)
    # Routes and no mount: the pages' own addresses begin with theirs.
    pages = [Route(path, shown) for path in ("/", "/login", "/ui/{rest:path}")]
    served = Starlette(routes=[*health_routes(opened), own, texts, v2, *pages, testing], middleware=[watched])
    served.router.redirect_slashes = False
    return served
