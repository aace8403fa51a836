"""Text messages survive kill -9: what was to go out goes out once, what came in is answered once."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.driving import ASSISTANTS, Driver, driving

AGENT, USER = "+15550100001", "+15550100002"
INBOX = "/viva/v1/inbox"


async def inbox(driver: Driver) -> list[dict[str, Any]]:
    """Oldest first."""
    return list(reversed((await driver.get(INBOX))["data"]))


async def seen(driver: Driver, wanted: list[tuple[str, str]]) -> None:
    """Wait until these are the text messages and their statuses."""
    async with asyncio.timeout(20):
        while [(one["text"], one["status"]) for one in await inbox(driver)] != wanted:
            await asyncio.sleep(0.05)


async def test_what_was_due_while_the_server_was_dead_goes_out_once(tmp_path: Path) -> None:
    async with driving(tmp_path, {}) as driver:
        assistant = await driver.post(ASSISTANTS, {"name": "desk", "instructions": "Help.", "model": "scripted"})
        events = f"{ASSISTANTS}/{assistant['id']}/scheduled_events"
        due = datetime.now(UTC) + timedelta(seconds=1)
        body = {
            "telnyx_conversation_channel": "sms_chat",
            "telnyx_agent_target": AGENT,
            "telnyx_end_user_target": USER,
            "scheduled_at_fixed_datetime": due.isoformat(),
            "text": "Time to go.",
        }
        event = await driver.post(events, body)
        driver.server.kill()
        assert datetime.now(UTC) < due, "the server was killed too late to prove anything"
    async with driving(tmp_path, {}) as driver:
        await seen(driver, [("Time to go.", "sent")])
        one = await driver.get(f"{events}/{event['scheduled_event_id']}")
        assert (one["status"], one["errors"]) == ("completed", [])
        driver.server.kill()
    async with driving(tmp_path, {}) as driver:
        quiet = time.monotonic() + 1.5
        while time.monotonic() < quiet:
            assert [each["text"] for each in await inbox(driver)] == ["Time to go."]
            await asyncio.sleep(0.1)


async def test_what_came_in_right_before_the_kill_is_answered_once(tmp_path: Path) -> None:
    async with driving(tmp_path, {}) as driver:
        script = 'on hear /(.+)/: say "You said $1."'
        assistant = await driver.post(ASSISTANTS, {"name": "desk", "instructions": script, "model": "scripted"})
        body = {"from": AGENT, "to": USER, "text": "Hello."}
        await driver.post(f"{ASSISTANTS}/{assistant['id']}/chat/sms", body)
        await seen(driver, [("Hello.", "sent")])
        for words in ("one", "two"):
            await driver.post(INBOX, {"from": USER, "to": AGENT, "text": words})
        driver.server.kill()
    async with driving(tmp_path, {}) as driver:
        async with asyncio.timeout(30):
            while len([one for one in await inbox(driver) if one["status"] == "sent"]) < 3:
                await asyncio.sleep(0.05)
        said = [(one["direction"], one["text"]) for one in await inbox(driver)]
        assert [text for way, text in said if way == "outbound"] == ["Hello.", "You said one.", "You said two."]
        assert len({one["conversation_id"] for one in await inbox(driver)}) == 1
