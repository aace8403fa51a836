"""Every page of the dashboard as a browser shows it: on a desk and on a phone, in light and in dark.

That these are all pages there are, is for ``tests/web/test_scenery.py``.
"""

import pytest
from playwright.sync_api import Browser
from tests.support.browsing import Ears, log_in, opened, too_wide, violations
from tests.support.scenery import Scenery
from tests.support.server import Server


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_every_page_can_be_read_by_everybody_and_complains_of_nothing(
    browser: Browser, server: Server, scenery: Scenery, ears: Ears, phone: bool
) -> None:
    wrong: list[str] = []
    with opened(browser, server, phone=phone) as context:
        page = context.new_page()
        ears.listen(page)
        for address in ("/login", *scenery.paths.values(), *scenery.more):
            if address == "/":
                log_in(page)
            page.emulate_media(color_scheme="light")
            page.goto(address)
            wrong += [f"{address}: {one}" for one in (too_wide(page), *violations(page)) if one]
            page.emulate_media(color_scheme="dark")
            wrong += [f"{address} in the dark: {one}" for one in violations(page, "color-contrast")]
    assert wrong == []
