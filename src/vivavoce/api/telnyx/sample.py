"""The sample that ``viva demo`` examines over HTTP: a support desk with one tool, and a suite that it fails in part.

Everything is played by the scripted model (docs/reference/scripted-model.md): with a real model behind it the same
tests work, because the rubric stays the same.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession
from yarl import URL

SUITE = "support desk"
FINAL = ("passed", "failed", "error")
POLL_S = 0.05


class Unexpected(Exception):
    """The server answered something else than it should; the message says what."""


@dataclass(frozen=True, slots=True)
class Item:
    """One criterion as it was decided."""

    name: str
    verdict: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Result:
    """One run that is over. ``path`` is where the API shows it, ``seconds`` how long the conversation took."""

    test: str
    status: str
    seconds: float
    items: tuple[Item, ...]
    story: str
    path: str


INSTRUCTIONS = """\
You are the support desk of {{shop_name}}. Be friendly and brief. Look an order up before you say anything about it.
Refunds are decided by people, so offer to open a ticket.

on hear /\\b([A-Z]-\\d{4})\\b/: call lookup_order {"order_number": "$1"}
on result lookup_order: say "Order ${order_number} has ${status}. It arrives on ${eta}."
on result lookup_order failed: say "I cannot find that order. Please check the number."
on hear "refund": say "I am sorry about that. I can open a ticket for our refunds team."
on hear "order": say "Gladly. What is your order number?"
on hear "bye" or "thanks": say "Thank you for calling {{shop_name}}. Goodbye."; hang up
else: say "I am sorry, could you say that in other words?"
"""


def assistant(orders_url: str) -> dict[str, Any]:
    """The assistant, as the body of the request that creates it."""
    number = {"type": "string", "description": "As printed on the receipt, for example A-1001"}
    return {
        "name": "Sample support desk",
        "model": "scripted",
        "instructions": INSTRUCTIONS,
        "greeting": "Hello, this is {{shop_name}}. How can I help?",
        "dynamic_variables": {"shop_name": "Birch & Sons"},
        "tools": [
            {
                "type": "webhook",
                "webhook": {
                    "name": "lookup_order",
                    "description": "Look an order up by its number.",
                    "url": orders_url + "/orders/{order_number}",
                    "method": "GET",
                    "path_parameters": {
                        "type": "object",
                        "properties": {"order_number": number},
                        "required": ["order_number"],
                    },
                },
            },
            {"type": "hangup", "hangup": {"description": "End the conversation when the caller is done."}},
        ],
    }


def tests(assistant_id: str) -> list[dict[str, Any]]:
    """The tests of the suite. The third fails: the desk never says how long a refund takes."""
    written: list[tuple[str, str, list[tuple[str, str]]]] = [
        (
            "Where is my order",
            'You are Dana and wait for order A-1001.\non start: say "Hi, where is my order?"\n'
            'on hear "order number": say "It is A-1001."\non hear "Friday": say "Great, thanks, bye!"\n'
            'on hear "goodbye": hang up\nelse: say "I only want to know where my order is."',
            [
                ("Asks for the number", 'The assistant asks for "order number"'),
                ("Looks it up", 'The assistant calls lookup_order with order_number "A-1001"'),
                ("Gives the day", 'The assistant says "Friday"'),
                ("Quick", "The assistant responds within 2 seconds"),
            ],
        ),
        (
            "Unknown order",
            'Your order number is B-9999.\non start: say "Can you check order B-9999?"\n'
            'on hear "cannot find": say "Odd. I will look again, bye."; hang up\nelse: say "Order B-9999, please."',
            [
                ("Looks it up", 'The assistant calls lookup_order with order_number "B-9999"'),
                ("Admits it", 'The assistant says "cannot find"'),
                ("Invents no date", 'The assistant never says "arrives on"'),
            ],
        ),
        (
            "Refund",
            'You want your money back.\non start: say "I want a refund for a broken lamp."\n'
            'on hear "ticket": say "Yes please. How long will it take?"\n'
            'on hear "other words": say "Never mind, bye."; hang up\nelse: say "I want a refund."',
            [
                ("Offers a ticket", 'The assistant says "ticket"'),
                ("Says how long it takes", 'The assistant says "working days"'),
            ],
        ),
        (
            "Says goodbye",
            'You only say thanks.\non start: say "Thanks for yesterday, bye!"\non hear "goodbye": hang up\n'
            'else: say "Bye!"',
            [
                ("Names the shop", 'The assistant says "Birch & Sons"'),
                ("Calls no tool", "The assistant never calls lookup_order"),
                ("Ends it", "The assistant hangs up"),
            ],
        ),
    ]
    return [
        {
            "name": name,
            "destination": assistant_id,
            "instructions": brief,
            "rubric": [{"name": title, "criteria": text} for title, text in rubric],
            "test_suite": SUITE,
            "max_duration_seconds": 60,
        }
        for name, brief, rubric in written
    ]


async def create(http: ClientSession, orders_url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Create the assistant and its tests; returns what the API answered. Raises ``Unexpected``."""
    made = await _post(http, "/v2/ai/assistants", assistant(orders_url))
    return made, [await _post(http, "/v2/ai/assistants/tests", test) for test in tests(made["id"])]


async def examine(
    http: ClientSession, made: Sequence[dict[str, Any]], changed: Callable[[str, str], None]
) -> list[Result]:
    """Trigger the suite and follow its runs until each is over; ``changed(test, status)`` hears of every step.

    A database that has seen the sample before holds older tests of the suite; those are left out. Raises
    ``Unexpected``.
    """
    names = {test["test_id"]: str(test["name"]) for test in made}
    path = f"/v2/ai/assistants/tests/test-suites/{SUITE.replace(' ', '%20')}/runs"
    latest = {run["run_id"]: run for run in await _post(http, path, {}) if run["test_id"] in names}
    shown: dict[str, str] = {}
    while True:
        for run_id, run in latest.items():
            if shown.get(run_id) != run["status"]:
                shown[run_id] = run["status"]
                changed(names[run["test_id"]], run["status"])
        going = [run for run in latest.values() if run["status"] not in FINAL]
        if not going:
            return [_result(names[run["test_id"]], run) for run in latest.values()]
        await asyncio.sleep(POLL_S)
        for run in going:
            async with http.get(_path(run)) as answer:
                answer.raise_for_status()
                latest[run["run_id"]] = await answer.json()


def _path(run: dict[str, Any]) -> str:
    return f"/v2/ai/assistants/tests/{run['test_id']}/runs/{run['run_id']}"


def _result(name: str, run: dict[str, Any]) -> Result:
    items = tuple(
        Item(
            item["name"],
            item["verdict"] or "undecided",
            f"“{item['quote']}”" if item["quote"] else item["reason"] or "",
        )
        for item in run["detail_status"]
    )
    return Result(name, run["status"], run["talked_seconds"] or 0.0, items, run["logs"] or "", _path(run))


async def _post(http: ClientSession, path: str, body: dict[str, Any]) -> Any:
    async with http.post(URL(path, encoded=True), json=body) as answer:
        if answer.status >= 300:
            raise Unexpected(f"POST {path} answered {answer.status}: {await answer.text()}")
        return await answer.json()
