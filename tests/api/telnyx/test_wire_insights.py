import json
from typing import Any

import pytest
from pydantic import ValidationError
from telnyx.types.ai import ConversationRetrieveConversationsInsightsResponse
from telnyx.types.ai.conversations import InsightTemplate, InsightTemplateGroup

from vivavoce.api.telnyx.errors import Refused
from vivavoce.api.telnyx.wire.insights import (
    BLANK,
    BLANK_GROUP,
    GroupCreate,
    GroupUpdate,
    InsightCreate,
    InsightUpdate,
    dump_finding,
    dump_group,
    dump_insight,
    dump_tally,
    laid_over,
    laid_over_group,
    parse_fields,
    parse_scope,
)
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.core.filter import Comparison, Field, Filter, Op
from vivavoce.core.insight import MANAGED, Finding, FindingStatus, Found, Insight, InsightGroup, Tally
from vivavoce.storage.page import Window

OLD = Insight("i1", "old", "Old?", 1_000, "https://a.example", {"type": "object"})


def test_a_new_insight_is_what_was_sent() -> None:
    plain = laid_over(BLANK, InsightCreate.model_validate({"name": "n", "instructions": "q"}))
    assert plain == Insight("", "n", "q", 0)
    full = {"name": "n", "instructions": "q", "json_schema": '{"type": "object"}', "webhook": "http://a.example:1/x"}
    assert laid_over(BLANK, InsightCreate.model_validate(full)) == Insight(
        "", "n", "q", 0, "http://a.example:1/x", '{"type": "object"}'
    )


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"name": "new"}, "name", "new"),
        ({"instructions": "New?"}, "instructions", "New?"),
        ({"json_schema": ""}, "schema", ""),
        ({"webhook": ""}, "webhook", ""),
    ],
)
def test_what_is_left_out_stays(body: dict[str, Any], field: str, value: str) -> None:
    changed = laid_over(OLD, InsightUpdate.model_validate(body))
    assert getattr(changed, field) == value
    kept = {name for name in ("id", "name", "instructions", "created_at", "webhook", "schema") if name != field}
    assert all(getattr(changed, name) == getattr(OLD, name) for name in kept)
    assert laid_over(OLD, InsightUpdate.model_validate({})) == OLD


def test_a_group_s_insights_are_not_changed_with_it() -> None:
    group = InsightGroup("g", "old", 5, "d", "https://a.example", (MANAGED[0].id,), (MANAGED[0], OLD))
    changed = laid_over_group(group, GroupUpdate.model_validate({"name": "new", "webhook": ""}))
    assert changed == InsightGroup("g", "new", 5, "d", "", group.managed, group.insights)
    assert laid_over_group(BLANK_GROUP, GroupCreate.model_validate({"name": "g", "description": "d"})) == InsightGroup(
        "", "g", 0, "d"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("json_schema", "x"),
        ("json_schema", "[]"),
        ("json_schema", None),
        ("json_schema", [1]),
        ("webhook", "ftp://a.example"),
        ("webhook", "a.example"),
        ("webhook", "https://"),
        ("webhook", "https://[::1"),
        ("webhook", "https://a.example/" + "x" * 2048),
        ("name", None),
        ("instructions", 5),
    ],
)
def test_what_cannot_be_kept_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        InsightUpdate.model_validate({field: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {field}


def test_the_sdk_reads_what_is_answered() -> None:
    custom, managed = dump_insight(OLD), dump_insight(MANAGED[0])
    assert (custom["insight_type"], managed["insight_type"]) == ("custom", "default")
    assert custom["json_schema"] == {"type": "object"}
    assert "json_schema" not in dump_insight(Insight("i", "n", "q", 0))
    assert InsightTemplate.model_validate(custom, strict=False).webhook == "https://a.example"
    group = dump_group(InsightGroup("g", "n", 0, insights=(MANAGED[0], OLD)))
    read = InsightTemplateGroup.model_validate(group)
    assert [one.id for one in read.insights or ()] == [MANAGED[0].id, "i1"]
    finding = Finding("f", "c", "g", FindingStatus.FAILED, 0, "why", 5, (Found("i1", "n", '{"a": 1}'),))
    page = paged([dump_finding(finding)], 1, Window())
    one = ConversationRetrieveConversationsInsightsResponse.model_validate(page).data[0]
    assert (one.status, one.conversation_insights[0].result) == ("failed", '{"a": 1}')
    assert json.dumps(page).count("why") == 1
    assert "reason" not in dump_finding(Finding("f", "c", "g", FindingStatus.PENDING, 0))


def test_rule_5_16_fields_are_comma_joined_or_repeated() -> None:
    score, assistant, x = Field("score"), Field("assistant_id", metadata=True), Field("x")
    for query in (
        [("group_by", "score,metadata.assistant_id"), ("show", "x,score")],
        [("show", "x"), ("group_by", "score"), ("group_by", "metadata.assistant_id")],
        [("group_by[]", "score"), ("group_by[]", "metadata.assistant_id"), ("show[]", "x")],
    ):
        assert parse_fields(query) == (score, assistant, x)
    assert parse_fields([("other", "a")]) == ()


@pytest.mark.parametrize("text", ["", "a,,b", "metadata.", "record_count", ",".join("abcdefghijk")])
def test_fields_that_are_none(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_fields([("group_by", text)])
    assert refused.value.problem.pointer == "/query/group_by"


def test_rule_5_16_the_assistant_is_filtered_in_both_spellings() -> None:
    expected = Comparison(Field("assistant_id", metadata=True), Op.EQ, "x")
    for name in ("metadata.assistant_id", "metadata[assistant_id]"):
        assert parse_scope([(name, "eq.x"), ("group_by", "score")]) == Filter((expected,))
    both = parse_scope([("created_at", "gte.2026-01-01"), ("created_at", "lt.2026-01-02")])
    assert [one.op for one in both.conditions if isinstance(one, Comparison)] == [Op.GTE, Op.LT]


@pytest.mark.parametrize(
    ("name", "text"), [("created_at", "yesterday"), ("created_at", "like.2026*"), ("metadata.assistant_id", "x")]
)
def test_scopes_that_are_none(name: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_scope([(name, text)])
    assert (refused.value.problem.status, refused.value.problem.code) == (400, "10015")


@pytest.mark.parametrize("name", ["metadata.assistant_id", "metadata[assistant_id]"])
def test_a_scope_is_blamed_under_the_name_that_was_sent(name: str) -> None:
    with pytest.raises(Refused) as error:
        parse_scope([(name, "x")])
    assert error.value.problem.pointer == f"/query/{name}"


def test_a_row_has_its_values_and_its_count() -> None:
    fields = (Field("score"), Field("assistant_id", metadata=True))
    assert dump_tally((Tally((3, None), 2),), fields) == {
        "data": [{"score": 3, "metadata.assistant_id": None, "record_count": 2}]
    }
    assert dump_tally((Tally((), 0),), ()) == {"data": [{"record_count": 0}]}
