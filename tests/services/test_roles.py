from dataclasses import replace

from tests.support.endpoint import serve

from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import Models
from vivavoce.services import roles
from vivavoce.services.context import Context

ROLES = ["assistants", "tester", "judge", "insights", "embeddings"]


async def test_without_settings_the_scripted_model_serves_and_says_so(ctx: Context) -> None:
    found = await roles.look(ctx, probe=True)
    assert [one.role for one in found] == ROLES
    assert {one.model for one in found[:4]} == {"scripted"}
    assert all(one.ok and "script" in one.reason and not one.asked for one in found[:4])
    assert (found[4].model, found[4].ok, found[4].asked) == (None, True, False)
    assert "none is set" in found[4].reason


async def test_what_nobody_serves_says_which_setting_is_missing(ctx: Context) -> None:
    settings = ModelSettings(judge_model="anthropic/claude", default_model="nobody")
    ctx = replace(ctx, models=Models(settings), embedding_model="scripted")
    assistants, tester, judge, insights, embeddings = await roles.look(ctx, probe=True)
    assert (judge.model, judge.ok) == ("anthropic/claude", False)
    assert "ANTHROPIC_API_KEY" in judge.reason
    assert insights == replace(judge, role="insights")
    assert (assistants.ok, tester.ok) == (False, False)
    assert "VIVA_PROVIDERS" in assistants.reason
    assert not embeddings.ok
    assert not any(one.asked for one in (assistants, judge, embeddings))


async def test_a_probe_asks_each_model_once(ctx: Context) -> None:
    async with serve() as endpoint:
        provider = Provider("here", endpoint.base_url, "sk-test")
        settings = ModelSettings(
            {"here": provider}, {"fast": "here/small"}, default_model="fast", judge_model="here/missing"
        )
        models = Models(settings)
        ctx = replace(ctx, models=models, embedding_model="here/vectors")
        try:
            quiet = await roles.look(ctx)
            assert [(one.ok, one.asked) for one in quiet] == [(True, False)] * 5
            assert quiet[0].model == "fast"
            assert quiet[0].reason == "served by here/small"
            assert endpoint.total == 0
            endpoint.chosen = lambda _role, body: (
                {"kind": "status", "status": 401} if body["model"] == "missing" else None
            )
            found = await roles.look(ctx, probe=True)
        finally:
            await models.close()
        assert all(one.asked for one in found)
    assert endpoint.total == 2  # one for each; this endpoint has no vectors
    assert [one.ok for one in found] == [True, True, False, False, False]
    assert [one.took_ms for one in found] == [0, 0, None, None, None]
    assert "401" in found[2].reason
    assert "404" in found[4].reason
