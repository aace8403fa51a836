"""What people do on the dashboard, from the first key on, in a real browser."""

import re
from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from tests.support.bots import Bot, Shop, a_bot, a_desk, a_shop
from tests.support.browsing import PATIENCE_MS, SETTINGS, Ears, log_in, opened, too_wide
from tests.support.scenery import Scenery
from tests.support.server import Server, serving

BRIEF = 'on start: say "Where is order A-1001?"\non hear "arrives": hang up\nelse: say "Order A-1001, please."'
MARK = "document.body.dataset.seen = 'yes'"
"""A page that was loaded anew does not have it any more."""


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def bot() -> Generator[Bot]:
    with a_bot() as found:
        yield found


@pytest.fixture(scope="module")
def shop() -> Generator[Shop]:
    with a_shop() as found:
        yield found


@pytest.fixture
def desk(server: Server, shop: Shop) -> str:
    """The id of an assistant that looks orders up in the shop."""
    return a_desk(server, shop)


def badge(page: Page) -> str:
    return page.locator("h1 .badge").inner_text()


def write_test(page: Page, name: str, *, assistant: str = "", destination: str = "", brief: str = BRIEF) -> None:
    """Fill in the form of a new test, which is open."""
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Assistant", exact=True).select_option(assistant)
    if destination:
        page.get_by_label("Address, where it is elsewhere").fill(destination)
    page.get_by_label("What they want").fill(brief)


def test_from_the_first_key_to_the_words_that_broke_a_test(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, shop: Shop
) -> None:
    with serving(tmp_path_factory.mktemp("first"), {**SETTINGS, "VIVA_API_KEY": ""}) as server:
        assert server.process.stdout is not None
        key = server.process.stdout.readline().split()[-1]
        ears = Ears(server.url)
        desk = a_desk(server, shop, key)
        with opened(browser, server) as context:
            page = context.new_page()
            ears.listen(page)
            page.goto("/ui/tests/new?suite=first")
            assert "/login?next=" in page.url
            page.get_by_label("API key").fill("viva_of_nobody")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("not known here")
            page.get_by_label("API key").fill(key)
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", level=1)).to_have_text("New test")
            expect(page.get_by_label("Suite", exact=True)).to_have_value("first")

            write_test(page, "Where is it", assistant=desk)
            page.get_by_label("Criterion 1").fill('The assistant says "Friday"')
            page.get_by_label("Its name").nth(0).fill("Day")
            page.get_by_label("Criterion 2").fill('The assistant never says "arrives"')
            page.get_by_label("Its name").nth(1).fill("Promises nothing")
            # One more row comes without the page being loaded anew, and what was typed stays.
            page.evaluate(MARK)
            page.get_by_role("button", name="Add a criterion").click()
            expect(page.get_by_label("Criterion 4")).to_be_visible()
            expect(page.get_by_label("Criterion 2")).to_have_value('The assistant never says "arrives"')
            assert page.evaluate("document.body.dataset.seen") == "yes"
            page.get_by_role("button", name="Save and run now").click()

            # The page of the run ends by itself.
            page.wait_for_url("**/ui/runs/*")
            expect(page.locator("h1 .badge")).to_have_text("failed")
            expect(page.locator(".head")).to_contain_text("The assistant’s fault: unmet: Promises nothing")
            unmet = page.locator(".verdicts li[data-state=unmet]")
            expect(unmet).to_have_count(1)
            expect(unmet.locator("blockquote")).to_contain_text("arrives")
            turn = unmet.get_by_role("link", name=re.compile("turn"))
            target = turn.get_attribute("href") or ""
            turn.click()
            expect(page.locator(f"{target} mark").first).to_contain_text("arrives")
            expect(page.locator(f"{target}")).to_be_in_viewport()
            width = page.locator(f"{target} .bubble").evaluate("one => getComputedStyle(one).outlineWidth")
            assert width == "3px"
        assert ears.heard == []


def test_two_versions_are_compared_and_one_becomes_main(page: Page, desk: str) -> None:
    page.goto(f"/ui/assistants/{desk}")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Instructions").fill('on hear "order": say "It arrives on Sunday."\nelse: say "Pardon?"')
    page.get_by_label("What to call this version").fill("short")
    page.get_by_label("Make it main at once").uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="“short”").first.click()
    page.get_by_role("link", name="What differs from main").click()
    expect(page.locator("ins").filter(has_text="It arrives on Sunday.")).to_have_count(1)
    expect(page.locator("del").filter(has_text="lookup_order").first).to_be_visible()
    page.go_back()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Make it main").click()
    expect(page.get_by_role("status")).to_have_text("This version is main now.")
    expect(page.locator("tr", has=page.locator(".badge", has_text="main"))).to_contain_text("“short”")


def test_two_runs_are_compared(page: Page, scenery: Scenery) -> None:
    page.goto(f"/ui/runs/{scenery.failed}")
    page.get_by_role("link", name="Compare with the run before").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed")
    row = page.get_by_role("row").filter(has=page.locator(".badge[data-state=broke]"))
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Gives the day")
    expect(page.locator("#after-turn-8 mark")).to_contain_text("I’m afraid I can’t see that.")


def test_two_batches_of_a_suite_are_compared(page: Page) -> None:
    page.goto("/ui/suites/support%20desk")
    # The plots are drawn from the table beside them.
    expect(page.locator(".uplot")).to_have_count(3)
    page.get_by_role("button", name="Compare these two").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed")
    expect(page.get_by_role("row").filter(has=page.locator(".badge[data-state=broke]"))).to_have_count(4)


def test_a_run_is_watched_while_it_talks_and_is_stopped(page: Page, bot: Bot) -> None:
    page.goto("/ui/tests/new")
    write_test(page, "Slow", destination=bot.url, brief='on hear "one": say "Two?"\nelse: say "Hello?"')
    page.get_by_label("Criterion 1").fill('The assistant says "three"')
    page.get_by_role("button", name="Save and run now").click()
    expect(page.locator("#talk .caller")).to_have_count(1)
    page.evaluate(MARK)
    expect(page.locator(".live")).to_contain_text("The conversation goes on.")
    bot.answer("one")
    expect(page.locator("#talk .assistant .bubble")).to_have_text("one")
    expect(page.locator("#talk .caller .bubble").last).to_have_text("Two?")
    bot.answer("a tool was asked", called="look_around")
    expect(page.locator("#talk .event summary")).to_contain_text("look_around")
    # A call that somebody opened stays open while the page goes on.
    page.locator("#talk .event summary").click()
    expect(page.locator("#talk .event pre").first).to_be_visible()
    bot.answer("and more")
    expect(page.locator("#talk .assistant .bubble").last).to_have_text("and more")
    expect(page.locator("#talk .event pre").first).to_be_visible()
    assert page.evaluate("document.body.dataset.seen") == "yes"
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1 .badge")).to_have_text("cancelled")
    expect(page.locator(".head")).to_contain_text("Nobody’s fault")
    bot.answer("too late")


def test_a_chat_with_a_tool_call(page: Page, desk: str) -> None:
    page.goto(f"/ui/chat/{desk}")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#said .assistant .bubble")).to_have_text("Hello, this is the desk.")
    page.evaluate(MARK)
    said = page.get_by_label("Say something")
    expect(said).to_be_focused()
    page.keyboard.type("Where is A-1001?")
    page.keyboard.press("Enter")
    expect(page.locator("#said .assistant .bubble").last).to_have_text("It arrives on Friday.")
    # One can go on typing.
    expect(said).to_be_focused()
    expect(said).to_have_value("")
    call = page.locator("#said .event summary")
    expect(call).to_contain_text("lookup_order")
    call.click()
    expect(page.locator("#said .event pre").last).to_contain_text('"eta": "Friday"')
    assert page.evaluate("document.body.dataset.seen") == "yes"
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_text("The conversation is over.")).to_be_visible()


def test_without_javascript_everything_can_be_read_and_done(
    browser: Browser, server: Server, scenery: Scenery, desk: str
) -> None:
    with opened(browser, server, java_script_enabled=False) as context:
        page = context.new_page()
        log_in(page)
        for address in ("/", "/ui/suites/support%20desk", "/ui/runs", f"/ui/assistants/{desk}", "/ui/settings"):
            page.goto(address)
            expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Runs")).to_be_visible()
        page.goto(f"/ui/runs/{scenery.failed}")
        expect(page.locator("#turn-8 mark")).to_contain_text("I’m afraid")
        page.goto("/ui/suites/support%20desk")
        page.get_by_text("Numbers", exact=True).click()
        expect(page.locator("#numbers tbody tr").first).to_be_visible()
        page.goto("/ui/tests/new")
        write_test(page, "Plain", assistant=desk, brief="on start: say nothing")
        page.get_by_role("button", name="Add a criterion").click()
        expect(page.get_by_label("Name", exact=True)).to_have_value("Plain")
        page.get_by_label("Criterion 4").fill("The assistant is kind.")
        page.get_by_role("button", name="Save", exact=True).last.click()
        expect(page.get_by_role("status")).to_have_text("Saved.")
        page.goto(f"/ui/chat/{desk}")
        page.get_by_role("button", name="Begin").click()
        page.get_by_label("Say something").fill("hm")
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#said .assistant .bubble").last).to_have_text("Pardon?")


def test_a_run_is_read_with_the_keyboard_alone(page: Page, scenery: Scenery) -> None:
    page.goto("/ui/runs?suite=support+desk&status=failed")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    expect(page.get_by_role("link", name="To the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    link = page.locator(f"main a[href='/ui/runs/{scenery.failed}']")
    tab_to(page, link)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/ui/runs/{scenery.failed}")
    call = page.locator("#talk .event summary").first
    tab_to(page, call)
    open_before = page.locator("#talk .event details").first.evaluate("one => one.open")
    page.keyboard.press("Enter")
    assert page.locator("#talk .event details").first.evaluate("one => one.open") is not open_before
    assert call.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"


def tab_to(page: Page, wanted: Locator) -> None:
    """Press the Tab key until it is there."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError("the Tab key does not lead there")


def test_colours_are_chosen_and_stay(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    ground = page.locator("body")
    light = ground.evaluate("one => getComputedStyle(one).backgroundColor")
    page.get_by_label("Colours").select_option("dark")
    page.get_by_role("button", name="Set").click()
    expect(ground).not_to_have_css("background-color", light)
    page.goto("/ui/runs")
    expect(ground).not_to_have_css("background-color", light)
    page.get_by_label("Colours").select_option("")
    page.get_by_role("button", name="Set").click()
    expect(ground).to_have_css("background-color", light)


def test_on_a_phone_the_menu_begins_closed_and_leads_everywhere(browser: Browser, server: Server, ears: Ears) -> None:
    with opened(browser, server, phone=True) as context:
        page = context.new_page()
        ears.listen(page)
        log_in(page)
        assert too_wide(page) == ""
        nav = page.get_by_role("navigation", name="Main")
        expect(nav).to_be_hidden()
        page.get_by_text("Menu", exact=True).click()
        assert too_wide(page) == ""
        nav.get_by_role("link", name="Runs").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_who_logs_out_sees_nothing_any_more(page: Page, context: BrowserContext) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_focused()
    page.go_back()
    page.reload()
    assert "/login" in page.url
    assert not [one for one in context.cookies() if one.get("name") == "viva_session"]
