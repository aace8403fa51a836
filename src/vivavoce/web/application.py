"""The dashboard as one ASGI application."""

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Router
from starlette.staticfiles import StaticFiles

from vivavoce.api.scopes import rules
from vivavoce.core.scope import Scope
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.web import (
    assistants,
    batches,
    chat,
    compare,
    conversations,
    home,
    inbox,
    insights,
    login,
    runs,
    schedules,
    settings,
    suites,
    tests,
    versions,
)
from vivavoce.web.gate import Gate
from vivavoce.web.pages import STATIC, Pages

# Everything that is sent needs an admin's key, unless it is listed here.
RULES = rules(
    {
        "POST /ui/logout": Scope.READ,
        "POST /ui/batches/{batch_id}/cancel": Scope.RUN,
        "POST /ui/suites/{name:path}/run": Scope.RUN,
        "POST /ui/tests/{test_id}/run": Scope.RUN,
        "POST /ui/runs/{run_id}/again": Scope.RUN,
        "POST /ui/runs/{run_id}/cancel": Scope.RUN,
        "POST /ui/theme": Scope.READ,
        "POST /ui/chat/{assistant_id}": Scope.RUN,
        "POST /ui/chat/{assistant_id}/{id}": Scope.RUN,
        "POST /ui/chat/{assistant_id}/{id}/end": Scope.RUN,
        "POST /ui/inbox": Scope.RUN,
        "POST /ui/schedules/{id}/fire": Scope.RUN,
    }
)


def application(context: Context, max_body: int) -> Gate:
    """The dashboard: the home page, the page to log in, and everything below ``/ui``."""
    pages = Pages()

    inside: list[BaseRoute] = [
        *home.routes(context, pages),
        *login.routes(context, pages),
        *runs.routes(context, pages),
        *suites.routes(context, pages),
        *tests.routes(context, pages),
        *batches.routes(context, pages),
        *compare.routes(context, pages),
        *assistants.routes(context, pages),
        *versions.routes(context, pages),
        *chat.routes(context, pages),
        *conversations.routes(context, pages),
        *insights.routes(context, pages),
        *schedules.routes(context, pages),
        *inbox.routes(context, pages),
        *settings.routes(context, pages),
        Mount("/ui/static", app=StaticFiles(directory=STATIC)),
    ]

    async def told(request: Request, error: Exception) -> Response:
        match error:
            case NotFound():
                return pages.trouble(request, 404, "Not here", str(error))
            case Rejected():
                return pages.trouble(request, 400, "This cannot be done", str(error))
            case Busy():
                return pages.trouble(request, 409, "Not now", str(error))
            case Broken():
                return pages.trouble(request, 503, "Something else does not answer", str(error))
            case HTTPException(status_code=404):
                return pages.trouble(request, 404, "Not here", "There is no such page.")
            case _:
                assert isinstance(error, HTTPException)
                return pages.trouble(request, error.status_code, "This cannot be done", str(error.detail))

    kinds = (NotFound, Rejected, Busy, Broken, HTTPException)
    # Nothing else is answered here: the framework's own answer to a defect would come before the gate's.
    app = ExceptionMiddleware(Router(inside, redirect_slashes=False), dict.fromkeys(kinds, told))
    return Gate(app, context, pages, max_body, RULES)
