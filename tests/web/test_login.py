"""Logging in and out, and what the gate in front of the dashboard lets through."""

import re
from urllib.parse import quote

import pytest
from sqlalchemy.exc import OperationalError
from tests.support.pages import Person, a_key, logged_in, somebody
from tests.support.store import Hand

from vivavoce.core.scope import Scope
from vivavoce.services import keys, sessions
from vivavoce.services.context import Context
from vivavoce.web.gate import POLICY
from vivavoce.web.pages import STATIC
from vivavoce.web.visitor import COOKIE

DAY_S = 24 * 3600


async def test_a_key_opens_the_dashboard_and_logging_out_closes_it(ctx: Context) -> None:
    secret = await a_key(ctx)
    async with somebody(ctx) as person:
        assert (await person.get("/")).there == "/login"
        page = await person.get("/login")
        assert page.status == 200
        assert "viva keys create" in page.text
        wrong = await person.post("/login", key="viva_nothing")
        assert wrong.status == 401
        assert wrong.root.one("input", id="key").attributes["aria-invalid"] == "true"
        assert "not known here" in wrong.text
        assert COOKIE not in person.http.cookies
        done = await person.post("/login", key=f"  {secret} ")
        assert done.there == "/"
        cookie = done.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert secret not in cookie
        home = await person.get("/")
        assert (home.status, home.root.one("h1").text) == (200, "Home")
        assert "may do everything" in home.root.text
        assert secret not in home.body
        assert (await person.get("/login", next="/ui/suites")).there == "/ui/suites"
        token = person.http.cookies[COOKIE]
        assert (await person.post("/ui/logout")).there == "/login"
        assert (await person.get("/")).there == "/login"
        # A copy of the cookie opens nothing either.
        person.http.cookies.set(COOKIE, token)
        assert (await person.get("/")).there == "/login"


async def test_a_session_ends_by_time_by_rest_and_with_its_key(ctx: Context, hand: Hand) -> None:
    async with logged_in(ctx) as person:
        for _ in range(6):
            hand.turn(DAY_S - 60)
            assert (await person.get("/")).status == 200
        hand.turn(DAY_S)
        assert (await person.get("/")).there == "/login"
    async with logged_in(ctx) as person:
        hand.turn(DAY_S + 1)
        assert (await person.get("/")).there == "/login"
    async with logged_in(ctx) as person:
        session = await sessions.find(ctx, person.http.cookies[COOKIE])
        assert session is not None
        await keys.revoke(ctx.database, ctx.clock, session.key_id)
        assert (await person.get("/")).there == "/login"
        refused = await person.post("/ui/theme", theme="dark")
        assert (refused.status, refused.root.one("h1").text) == (401, "Your session is over")


async def test_whoever_must_log_in_first_comes_to_the_page_they_wanted(ctx: Context) -> None:
    secret = await a_key(ctx)
    async with somebody(ctx) as person:
        wanted = "/ui/runs?suite=a%20b&page=2"
        there = (await person.get(wanted)).there
        assert there == "/login?next=" + quote(wanted, safe="")
        form = (await person.get(there)).fields("/login")
        assert form["next"] == wanted
        assert (await person.post("/login", {**form, "key": secret})).there == wanted
        # A piece of a page cannot send the reader away: the whole page has to.
        person.http.cookies.clear()
        part = await person.get("/ui/runs", headers={"hx-request": "true"})
        assert (part.status, part.headers["hx-redirect"], part.body) == (401, "/login", "")


@pytest.mark.parametrize(
    "there",
    ["https://evil.test/", "//evil.test/", "/\\evil.test", "evil", "javascript:alert(1)", "/\n/evil.test", "//[", ""],
)
async def test_nobody_is_sent_elsewhere(ctx: Context, there: str) -> None:
    secret = await a_key(ctx)
    async with somebody(ctx) as person:
        assert (await person.post("/login", key=secret, next=there)).there == "/"
        assert (await person.get("/login", next=there)).there == "/"
        assert (await person.post("/ui/theme", theme="dark", next=there)).there == "/"


async def test_forms_without_their_token_change_nothing(ctx: Context, person: Person) -> None:
    async with logged_in(ctx) as other:
        for token in ("", "nonsense", other.csrf, "é"):
            page = await person.post("/ui/logout", csrf=token)
            assert (page.status, page.root.one("h1").text) == (403, "This form is out of date")
    assert (await person.get("/")).status == 200
    # As htmx sends it.
    header = {"x-csrf-token": person.csrf}
    assert (await person.post("/ui/theme", csrf="", headers=header, theme="dark")).there == "/"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://viva.test"}, 303),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://viva.test"}, 403),
    ],
)
async def test_only_the_servers_own_pages_send_forms(person: Person, headers: dict[str, str], status: int) -> None:
    assert (await person.post("/ui/theme", theme="dark", headers=headers)).status == status
    assert (await person.post("/login", key="nothing", headers=headers)).status == (401 if status == 303 else 403)


async def test_what_a_key_may_not_do_is_said(ctx: Context) -> None:
    for scope in (Scope.READ, Scope.RUN):
        async with logged_in(ctx, scope, name=scope.value) as person:
            page = await person.post("/ui/nothing/of/the/kind")
            assert page.status == 403
            assert f"It may {scope.told}; this needs “admin”." in page.text
            assert (await person.post("/ui/logout")).there == "/login"


async def test_what_is_no_form_is_refused(ctx: Context, person: Person) -> None:
    token = {"x-csrf-token": person.csrf}
    answer = await person.http.post("/ui/theme", json={"theme": "dark"}, headers=token)
    assert (answer.status_code, "Pages send forms" in answer.text) == (415, True)
    form = {"content-type": "application/x-www-form-urlencoded", **token}
    for body, status in (
        (b"theme=%00", 400),
        (b"theme=\xff", 400),
        (b"&".join([b"a=1"] * 20_001), 413),
        (b"theme=" + b"x" * 2_000_000, 413),
        (b"", 303),
    ):
        answer = await person.http.post("/ui/theme", content=body, headers=form)
        assert answer.status_code == status, body[:20]
    assert (await person.http.get("/ui/runs?suite=%00")).status_code == 400
    assert (await person.http.put("/ui/theme", headers=form)).status_code == 405


async def test_every_answer_tells_browsers_to_be_careful(person: Person) -> None:
    pages = [await person.get("/"), await person.get("/ui/nothing"), await person.get("/ui/static/app.css")]
    pages.append(await person.post("/ui/theme", theme="dark"))
    for page in pages:
        assert page.headers["content-security-policy"] == POLICY
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "same-origin"
    assert "unsafe" not in POLICY
    assert [page.headers["cache-control"] for page in pages] == [
        "no-store",
        "no-store",
        "public, max-age=31536000, immutable",
        "no-store",
    ]
    assert pages[1].status == 404


async def test_colours_are_what_the_person_chose(person: Person) -> None:
    html = (await person.get("/")).root.one("html")
    assert "data-theme" not in html.attributes
    assert (await person.post("/ui/theme", theme="dark", next="/")).there == "/"
    assert (await person.get("/")).root.one("html", data_theme="dark")
    person.http.cookies.set("viva_theme", '"><script>')
    assert "data-theme" not in (await person.get("/")).root.one("html").attributes
    await person.post("/ui/theme", theme="purple")
    assert "viva_theme" not in dict(person.http.cookies) or person.http.cookies["viva_theme"] != "purple"


async def test_pages_load_nothing_that_is_not_here(person: Person) -> None:
    page = await person.get("/")
    files = re.findall(r'(?:src|href)="(/ui/static/[^"#]+)', page.body)
    assert len(files) >= 5
    for file in dict.fromkeys(files):
        answer = await person.http.get(file)
        assert answer.status_code == 200, file
    assert not re.search(r'(?:src|href)="(?![/#])[^"]', page.body)
    for name in ("../application.py", "%2e%2e/pages.py", "vendor"):
        assert (await person.http.get(f"/ui/static/{name}")).status_code == 404
    assert not (STATIC / "nothing").exists()


async def test_a_database_that_is_away_and_a_mistake_of_ours_are_told_on_a_page(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise OperationalError("select", None, Exception("gone"))

    monkeypatch.setattr(sessions, "find", away)
    page = await person.get("/")
    assert (page.status, page.root.one("h1").text) == (503, "Not now")

    async def broken(*_: object) -> None:
        raise ValueError("the secret reason")

    monkeypatch.setattr(sessions, "find", broken)
    page = await person.get("/")
    assert (page.status, page.root.one("h1").text) == (500, "Something went wrong here")
    assert "secret reason" not in page.body
