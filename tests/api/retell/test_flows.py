"""The routes of flows, called as functions."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.services.conftest import ctx, database, database_url, hand, postgres_shared, sqlite_template
from tests.support.retell_flows import end, through
from tests.support.store import ORG

from vivavoce.api.retell import flows
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.flows import FlowPatch, to_version
from vivavoce.api.retell.wire.ids import shown
from vivavoce.core.assistant import Form
from vivavoce.services import engines
from vivavoce.services.context import Context
from vivavoce.storage.database import Database

__all__ = ["ctx", "database", "database_url", "hand", "postgres_shared", "sqlite_template"]
GONE = "conversation_flow_component_0199c0de00007000800000000000beef"


async def test_section_7_2_a_component_is_looked_up_where_the_flow_is_changed(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one unit of work: a component that is deleted between the two would be named by a flow for ever."""
    draft = to_version({"start_speaker": "agent", "nodes": [end()]})
    kept = await ctx.database.write(lambda tx: engines.create(ctx, tx, ORG, Form.FLOW, draft))
    plain, writes = Database.write, 0

    async def counted(self: Database, work: Callable[[Any], Any]) -> Any:
        nonlocal writes
        writes += 1
        return await plain(self, work)

    monkeypatch.setattr(Database, "write", counted)
    id_ = shown("conversation_flow", kept.id)
    assert (await flows.update(ctx, ORG, id_, FlowPatch(global_prompt="Be kind."))).status_code == 200
    assert writes == 1
    nodes = [through("n", GONE, "shared", "x"), end()]
    with pytest.raises(Refused, match="there is no shared component"):
        await flows.update(ctx, ORG, id_, FlowPatch.model_validate({"nodes": nodes}))
    [(_, version)] = await engines.get_every_version(ctx, ORG, [Form.FLOW])
    assert version.instructions == "Be kind."
