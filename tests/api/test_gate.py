"""The gate, asked as a web server asks it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs
from tests.support.store import NOW, Hand

from vivavoce.api.gate import Gate, _path
from vivavoce.api.rates import Rates
from vivavoce.api.scopes import rules
from vivavoce.core.scope import Scope as KeyScope
from vivavoce.storage.keys import Key

KEY = Key("k1", "org-a", "laptop", "cret", NOW)
SECRET = "viva_secret"
MAX_BODY = 1024
FAR_TOO_LARGE = 64 * 1024 * 1024


@dataclass
class Application:
    """What stands behind the gate: notes what reached it and answers, or fails."""

    fails: str = ""
    seen: list[tuple[dict[str, Any], bytes]] = field(default_factory=list[tuple[dict[str, Any], bytes]])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "other"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        self.seen.append((dict(scope["state"]), body))
        if self.fails == "before":
            raise ValueError("the secret cause")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        if self.fails == "after":
            raise ValueError("the secret cause")
        await send({"type": "http.response.body", "body": b"fine"})


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class World:
    """A gate with an application behind it. ``chunks`` counts how many pieces of bodies were read."""

    application: Application = field(default_factory=Application)
    limit: int = 0
    scope: KeyScope = KeyScope.ADMIN
    hand: Hand = field(default_factory=Hand)
    asked: list[str] = field(default_factory=list[str])
    chunks: int = 0

    def __post_init__(self) -> None:
        self._made = 0

        def new_id() -> str:
            self._made += 1
            return f"made-{self._made}"

        async def check(secret: str) -> Key | None:
            self.asked.append(secret)
            return replace(KEY, scope=self.scope) if secret == SECRET else None

        self.gate = Gate(
            self.application,
            check=check,
            rates=Rates(self.limit, self.hand),
            render=lambda status, detail, pointer: {"status": status, "detail": detail, "pointer": pointer},
            new_id=new_id,
            max_body=MAX_BODY,
            rules=rules({"POST /runs": KeyScope.RUN, "POST /search": KeyScope.READ, "GET /keys": KeyScope.ADMIN}),
        )

    async def ask(
        self,
        *body: bytes,
        path: str = "/things",
        query: bytes = b"",
        headers: Mapping[str, str] | None = None,
        secret: str | None = SECRET,
        broken_off: bool = False,
        method: str = "POST",
        root: str = "",
    ) -> Answer:
        pieces = list(body) or [b""]
        given = {"authorization": f"Bearer {secret}"} if secret is not None else {}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in (given | dict(headers or {})).items()]
        scope = {
            "type": "http",
            "method": method,
            "path": root + path,
            "root_path": root,
            "query_string": query,
            "headers": raw,
        }
        sent: list[Message] = []

        async def receive() -> Message:
            if not pieces:
                return {"type": "http.disconnect"}
            self.chunks += 1
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces) or broken_off}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.gate(scope, receive, send)
        start, *rest = sent
        names = [name.decode() for name, _ in start["headers"]]
        assert len(names) == len(set(names))
        answered = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], answered, b"".join(message["body"] for message in rest))


@pytest.fixture
def world() -> World:
    return World()


async def test_a_known_key_comes_in(world: World) -> None:
    answer = await world.ask(b'{"a":', b"1}")
    assert (answer.status, answer.body) == (200, b"fine")
    assert answer.headers == {"x-own": "1", "x-request-id": "made-1"}
    state, body = world.application.seen[0]
    assert body == b'{"a":1}'
    assert state == {"org": "org-a", "key_id": "k1", "request_id": "made-1", "body": b'{"a":1}'}


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", SECRET, f"Basic {SECRET}", f"Bearer {SECRET} x", "Bearer é"],
)
async def test_without_a_known_key_nobody_comes_in(world: World, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = await world.ask(b"x" * 10, secret=None, headers=headers)
    assert (answer.status, answer.json["status"]) == (401, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-request-id"] == "made-1"
    assert SECRET not in answer.body.decode()
    assert world.application.seen == []
    # Nor is anything read, or counted, that a stranger sends.
    assert world.chunks == 0
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize("authorization", [f"bearer {SECRET}", f"BEARER   {SECRET} "])
async def test_the_scheme_is_read_as_http_says(world: World, authorization: str) -> None:
    answer = await world.ask(secret=None, headers={"authorization": authorization})
    assert answer.status == 200
    assert world.asked == [SECRET]


@pytest.mark.parametrize("length", [MAX_BODY, MAX_BODY - 1, 0])
async def test_a_body_may_be_as_large_as_the_limit(world: World, length: int) -> None:
    answer = await world.ask(b"x" * length, headers={"content-length": str(length)})
    assert answer.status == 200
    assert len(world.application.seen[0][1]) == length


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("pieces", [1, 5])
async def test_a_larger_body_is_refused(world: World, declared: bool, pieces: int) -> None:
    length = MAX_BODY + pieces
    headers = {"content-length": str(length)} if declared else {}
    answer = await world.ask(*[b"x" * (length // pieces)] * pieces, b"x" * (length % pieces), headers=headers)
    assert answer.status == 413
    assert str(MAX_BODY) in answer.json["detail"]
    assert answer.headers["connection"] == "close"
    assert world.application.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": str(FAR_TOO_LARGE)},
        {"content-length": "9" * 5000},
        {"content-length": str(MAX_BODY + 1), "expect": "100-continue"},
    ],
)
async def test_what_is_announced_as_far_too_large_is_not_read(world: World, headers: dict[str, str]) -> None:
    answer = await world.ask(b"x", headers=headers)
    assert answer.status == 413
    assert world.chunks == 0


async def test_what_turns_out_to_be_far_too_large_is_not_read_to_its_end(world: World) -> None:
    piece = b"x" * (1024 * 1024)
    answer = await world.ask(*[piece] * 64)
    assert answer.status == 413
    assert world.chunks < 64


@pytest.mark.parametrize("length", ["", "-1", "x", "1.5", "٣"])
async def test_a_length_that_is_none_is_not_believed(world: World, length: str) -> None:
    raw = length.encode("utf-8").decode("latin-1")
    assert (await world.ask(b"x", headers={"content-length": raw})).status == 200
    assert (await world.ask(b"x" * (MAX_BODY + 1), headers={"content-length": raw})).status == 413


async def test_half_a_request_is_not_taken_for_a_whole_one(world: World) -> None:
    answer = await world.ask(b'{"a":', broken_off=True)
    assert answer.status == 400
    assert world.application.seen == []


@pytest.mark.parametrize("given", ["mine-1", "a b~!", "x" * 128])
async def test_a_harmless_request_id_comes_back(world: World, given: str) -> None:
    for secret in (SECRET, "wrong"):
        answer = await world.ask(headers={"x-request-id": given}, secret=secret)
        assert answer.headers["x-request-id"] == given
    assert world.application.seen[0][0]["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "é", "a\tb", "a\x7fb", "\x1b[31m"])
async def test_an_odd_request_id_is_replaced(world: World, given: str) -> None:
    answer = await world.ask(headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == "made-1"


async def test_the_rate_is_told_with_every_answer_to_a_known_key() -> None:
    world = World(limit=2)
    first = await world.ask()
    world.hand.turn(20)
    too_large = await world.ask(b"x" * (MAX_BODY + 1))
    third = await world.ask()

    def told(answer: Answer) -> tuple[str, ...]:
        return tuple(answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset"))

    assert [answer.status for answer in (first, too_large, third)] == [200, 413, 429]
    assert [told(answer) for answer in (first, too_large, third)] == [
        ("2", "1", "60"),
        ("2", "0", "40"),
        ("2", "0", "40"),
    ]
    assert third.headers["retry-after"] == "40"
    assert third.json["status"] == 429
    assert len(world.application.seen) == 1
    world.hand.turn(40)
    assert (await world.ask()).status == 200


async def test_strangers_use_up_nobodys_rate() -> None:
    world = World(limit=1)
    for _ in range(5):
        assert (await world.ask(secret="wrong")).status == 401
    assert (await world.ask()).status == 200


async def test_a_failure_is_answered_in_the_apis_own_shape(world: World) -> None:
    world.application.fails = "before"
    with capture_logs() as logged:
        answer = await world.ask(b"a private body", headers={"x-request-id": "mine-1"})
    detail = "Something went wrong here. Request mine-1 is in the log."
    assert answer.status == 500
    assert answer.json == {"status": 500, "detail": detail, "pointer": None}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "mine-1"
    assert logged == [
        {"event": "request failed", "request": "mine-1", "method": "POST", "exc_info": True, "log_level": "error"}
    ]


async def test_a_failure_of_the_key_check_is_answered_too(world: World) -> None:
    async def broken(_secret: str) -> Key | None:
        raise ConnectionError("the database is away")

    world.gate._check = broken
    answer = await world.ask()
    assert (answer.status, answer.json["status"]) == (500, 500)
    assert "database" not in answer.body.decode()


async def test_an_answer_that_has_begun_cannot_be_exchanged(world: World) -> None:
    world.application.fails = "after"
    assert (await world.ask()).status == 200


@pytest.mark.parametrize(("path", "query"), [("/a\x00b", b""), ("/a", b"b=%00"), ("/a", b"%00=b")])
async def test_a_nul_in_the_address_is_refused(world: World, path: str, query: bytes) -> None:
    answer = await world.ask(path=path, query=query)
    assert (answer.status, answer.json["status"]) == (400, 400)
    assert world.application.seen == []


@pytest.mark.parametrize("root", ["", "/v2"])
@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/things", KeyScope.READ),
        ("HEAD", "/things", KeyScope.READ),
        ("POST", "/search", KeyScope.READ),
        ("POST", "/runs", KeyScope.RUN),
        ("POST", "/things", KeyScope.ADMIN),
        ("DELETE", "/runs", KeyScope.ADMIN),
        ("POST", "/runs/", KeyScope.ADMIN),
        ("GET", "/keys", KeyScope.ADMIN),
    ],
)
async def test_a_key_may_do_what_its_scope_says(root: str, method: str, path: str, least: KeyScope) -> None:
    for scope in KeyScope:
        world = World(scope=scope)
        answer = await world.ask(b"{}", method=method, path=path, root=root)
        assert answer.status == (200 if scope.allows(least) else 403)
        assert len(world.application.seen) == (answer.status == 200)
        if answer.status == 403:
            assert answer.json["detail"] == f"This key may {scope.told}; this needs a key with the scope {least}."
            assert world.chunks == 0  # nothing is read of what may not be done


async def test_what_may_not_be_done_counts_too() -> None:
    world = World(limit=1, scope=KeyScope.READ)
    assert [(await world.ask()).status for _ in range(2)] == [403, 429]


async def test_a_path_that_only_begins_like_the_root_is_another() -> None:
    world = World(scope=KeyScope.RUN)
    assert (await world.ask(path="/runs", root="")).status == 200
    scope: dict[str, Any] = {"type": "http", "path": "/runs", "root_path": "/ru"}
    assert _path(scope) == "/runs"
    assert _path({**scope, "root_path": "/runs"}) == ""


async def test_what_is_no_request_passes(world: World) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        sent.append(message)

    await world.gate({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "other"}]
    assert world.asked == []


async def test_a_database_that_is_away_is_no_defect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_secret: str) -> Key | None:
        raise OperationalError("SELECT", None, Exception("no connection"))

    monkeypatch.setattr(world.gate, "_check", away)
    with capture_logs() as logs:
        answer = await world.ask()
    assert (answer.status, answer.json["status"]) == (503, 503)
    assert [(one["log_level"], one["reason"]) for one in logs] == [("warning", "no connection")]
