"""Where the database goes away in the middle of a request the API says so in its own way, and it is no defect of ours.

Every operation of every API is tried, and each of its transactions fails once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from structlog.typing import EventDict
from tests.support import retell_routes, routes, viva_routes
from tests.support.operations import CASES, Case, World, each
from tests.support.outages import FORGIVEN, MOST, WHENS, Outage, weak_server
from tests.support.providers import providing
from tests.support.raw import Answer
from tests.support.server import KEY, ON_POSTGRESQL, Server, settings_of

from vivavoce.settings import Settings

LAST = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""What is removed is needed until then."""
FORM = "retell POST /create-knowledge-base"
WITHOUT = {
    "telnyx GET /ai/models",
    "telnyx GET /ai/openai/models",
    "telnyx POST /ai/chat/completions",
    "telnyx POST /ai/openai/chat/completions",
    "retell GET /list-voices",
    "retell GET /get-voice/{voice_id}",
    "viva GET /events?follow=false",
    "viva GET /models",
    "viva POST /models/probe",
}
"""They ask the database for nothing but the key, and for that only now and then; events come from whoever watches for
all, and go on when it is back."""
UNDONE = {
    "telnyx GET /ai/integrations/connections/{user_connection_id}",
    "telnyx DELETE /ai/integrations/connections/{user_connection_id}",
    "telnyx DELETE /ai/assistants/{assistant_id}/canary-deploys",
    "telnyx DELETE /ai/assistants/{assistant_id}/versions/{version_id}",
    "retell GET /get-mcp-tools/{agent_id}",
    "retell POST /add-knowledge-base-sources/{knowledge_base_id}",
    "retell DELETE /delete-retell-llm/{llm_id}",
    "retell DELETE /delete-agent-version/{agent_id}",
    "viva POST /suites/{suite}/cancel",
    "viva POST /schedules",
}
"""There is no such thing in this world, or not any more, or it cannot be done to it: they are refused."""


@dataclass(frozen=True)
class Weak:
    """A server with one of everything, and what it logged."""

    world: World
    outage: Outage
    logs: MutableSequence[EventDict]


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weak]:
    directory = tmp_path_factory.mktemp("server")
    outage = Outage()
    with providing() as url, capture_logs() as logs:
        given: dict[str, Any] = {
            name.removeprefix("VIVA_").lower(): value for name, value in settings_of(directory).items()
        }
        settings = Settings(
            **given,
            api_key=SecretStr(KEY),
            allow_networks=("127.0.0.0/8",),
            model_fallback="default",
            rate_limit=0,
            import_urls=dict.fromkeys(("elevenlabs", "vapi", "retell"), url),
        )
        with weak_server(settings, outage, of="requests") as base:
            server = Server(base, KEY, directory, process=None)  # type: ignore[arg-type]
            telnyx, retell = routes.make_world(server), retell_routes.make_world(server)
            viva = viva_routes.make_world(server, telnyx.ids["test_id"])
            yield Weak(World(server, telnyx, retell, viva, {"owner": KEY}), outage, logs)


def is_away(case: Case, answer: Answer) -> None:
    """503, in the shape of its API."""
    if case.api == "telnyx":
        routes.is_errors(answer, 503, "10016")
    elif case.api == "retell":
        retell_routes.is_error(answer, 503)
    else:
        assert (answer.status, answer.json["error"]["status"]) == (503, 503)
    assert b"The database does not answer" in answer.body


def ready_to_send(world: World, case: Case) -> Callable[[], Answer]:
    """The request, of which a hale server can do what it asks for."""
    if case.name == FORM:
        return lambda: retell_routes.send_library(world.server)
    ready = replace(world, telnyx=world.telnyx.fresh(case.route)) if case.api == "telnyx" else world
    return partial(ready.send, "owner", case, ready.path(case), ready.body(case) or None)


def was_done(case: Case) -> bool:
    """What a server kept is done, also where nobody could be told: what it removed is gone, and a name is taken."""
    return ON_POSTGRESQL and (case.route.method == "DELETE" or case.name == "telnyx POST /integration_secrets")


@each(*sorted(CASES, key=lambda one: (LAST.index(one.route.method), -one.route.path.count("/"))))
def test_that_the_database_is_away_is_said_and_no_defect(weak: Weak, case: Case) -> None:
    weak.logs.clear()
    strikes = forgiven = 0
    statuses: list[int] = []
    for when in WHENS:
        for at in range(1, MOST):
            sending = ready_to_send(weak.world, case)
            weak.outage.begins(at, when)
            answer = sending()
            if not weak.outage.ends():
                assert answer.status < 500, answer.body
                statuses.append(answer.status)
                break
            strikes += 1
            if answer.status < 500:
                forgiven += 1
            else:
                is_away(case, answer)
        else:
            pytest.fail("there is no end of transactions")
    assert strikes or case.name in WITHOUT
    assert case.name in UNDONE or was_done(case) or min(statuses) < 300, statuses
    told = Counter(one["log_level"] == "error" or one["event"] for one in weak.logs)
    assert (told["the database is away"], sum(told[one] for one in FORGIVEN)) == (strikes - forgiven, forgiven)
    assert not told[True]
