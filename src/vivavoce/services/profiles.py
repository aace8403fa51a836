"""An assistant of any form as a person looks at it: its versions, what they serve, its tests."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.core.rollout import Rollout
from vivavoce.core.scenario import Scenario
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.storage import assistants, rollouts, scenarios, tools
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Slice, Span, Window

MOST_TESTS = 50
MOST_PLAYERS = 20
MOST_NAMED = 200
SEARCHED = 5_000
"""How many assistants are looked through for a name."""


@dataclass(frozen=True, slots=True)
class Profile:
    """``versions`` are the newest first; ``tests`` the newest that go to it. ``plays`` is the assistant that its main
    version speaks as, ``players`` are the agents that speak as this one."""

    assistant: Assistant
    versions: tuple[Version, ...]
    rollout: Rollout | None
    tests: Slice[Scenario]
    plays: Assistant | None
    players: tuple[Version, ...]

    def version(self, id_: str) -> Version | None:
        """The version with this id."""
        return next((one for one in self.versions if one.id == id_), None)


async def retrieve(ctx: Context, org: str, assistant_id: str) -> Profile:
    """All of it, with the shared tools of its versions. Raises ``NotFound``."""
    numbers = [number for number, id_ in ctx.numbers.items() if id_ == assistant_id]

    def work(tx: Tx) -> Profile:
        assistant = assistants.get(tx, org, assistant_id, forms=tuple(Form))
        if assistant is None:
            raise NotFound("assistant", assistant_id)
        versions = tuple(tools.completed(tx, org, one) for one in assistants.get_versions(tx, assistant_id))
        played = assistant.main.plays
        players = {one.assistant_id: one for one in assistants.get_players(tx, org, assistant_id)}
        return Profile(
            assistant,
            versions,
            rollouts.get(tx, assistant_id),
            scenarios.get_slice(tx, org, (assistant_id, *numbers), Span(MOST_TESTS)),
            assistants.get(tx, org, played.assistant_id, forms=tuple(Form)) if played else None,
            tuple(players.values())[:MOST_PLAYERS],
        )

    return await ctx.database.read(work)


async def get(ctx: Context, org: str, assistant_id: str) -> Assistant:
    """The assistant, of whatever form. Raises ``NotFound``."""
    found = await ctx.database.read(lambda tx: assistants.get(tx, org, assistant_id, forms=tuple(Form)))
    if found is None:
        raise NotFound("assistant", assistant_id)
    return found


async def get_page(ctx: Context, org: str, window: Window, words: str = "") -> Page[Assistant]:
    """A page of assistants of all forms, newest first; with ``words`` only those, of the newest ``SEARCHED``, whose
    name, tag or id holds them."""
    wanted = words.strip().casefold()

    def work(tx: Tx) -> Page[Assistant]:
        if not wanted:
            return assistants.get_page(tx, org, tuple(Form), window)
        found = [
            one for one in assistants.get_page(tx, org, tuple(Form), Window(1, SEARCHED)).items if _holds(one, wanted)
        ]
        first = (window.number - 1) * window.size
        return Page(tuple(found[first : first + window.size]), len(found), window)

    return await ctx.database.read(work)


def _holds(one: Assistant, words: str) -> bool:
    texts = (one.main.name, one.id, *one.tags)
    return any(words in text.casefold() for text in texts)


async def prefixes(ctx: Context, org: str) -> tuple[str, ...]:
    """The prefixes that the metadata of conversations have here: none, and those of the newest assistants."""

    def work(tx: Tx) -> tuple[str, ...]:
        newest = assistants.get_page(tx, org, tuple(Form), Window(1, 100)).items
        return tuple(dict.fromkeys(("", *(one.main.templating.prefix for one in newest))))

    return await ctx.database.read(work)


async def names(ctx: Context, org: str, ids: Collection[str]) -> Mapping[str, str]:
    """The names of these assistants, those that are there."""
    wanted = sorted(set(ids))[:MOST_NAMED]

    def work(tx: Tx) -> Mapping[str, str]:
        found = (assistants.get(tx, org, id_, forms=tuple(Form)) for id_ in wanted)
        return {one.id: one.main.name or one.id for one in found if one is not None}

    return await ctx.database.read(work)
