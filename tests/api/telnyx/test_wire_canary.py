from typing import Any

import pytest
from pydantic import ValidationError

from vivavoce.api.telnyx.wire.canary import CanaryBody, dump_canary, to_rules
from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot

SERVE = {"version_id": "v"}


def rules(body: dict[str, Any]) -> tuple[Rule, ...]:
    return to_rules(CanaryBody.model_validate(body))


def dumped(*found: Rule) -> dict[str, Any]:
    return dump_canary("assistant-1", Rollout(found, 1000, 2000))


def test_rules_come_back_as_they_were_sent() -> None:
    sent: list[dict[str, Any]] = [
        {
            "match": [
                {"attribute": "end_user_target", "operator": "starts_with", "values": ["+49", "+1"]},
                {"attribute": "plan", "operator": "not_in", "values": ["free"]},
            ],
            "serve": {"version_id": "a"},
        },
        {"match": [], "serve": {"rollout": [{"version_id": "b", "weight": 33.3}, {"version_id": "c", "weight": 0}]}},
    ]
    found = rules({"rules": sent})
    assert found == (
        Rule(
            (
                Clause("end_user_target", Operator.STARTS_WITH, ("+49", "+1")),
                Clause("plan", Operator.NOT_IN, ("free",)),
            ),
            "a",
        ),
        Rule(slots=(Slot("b", 33.3), Slot("c", 0))),
    )
    assert dumped(*found) == {
        "assistant_id": "assistant-1",
        "rules": sent,
        "created_at": "1970-01-01T00:00:01.000Z",
        "updated_at": "1970-01-01T00:00:02.000Z",
    }


def test_nothing_is_no_rules() -> None:
    assert to_rules(None) == rules({}) == rules({"rules": []}) == ()
    assert dumped()["rules"] == []
    assert "versions" not in dumped()


def test_rule_9_the_older_form_is_one_rule_for_all() -> None:
    older = [{"version_id": "a", "percentage": 10}, {"version_id": "b", "percentage": 0.5}]
    found = rules({"versions": older})
    assert found == (Rule(slots=(Slot("a", 10), Slot("b", 0.5))),)
    assert dumped(*found)["versions"] == older
    for other in (
        (Rule(version_id="a"),),
        (*found, *found),
        (Rule((Clause("a", Operator.IN, ("b",)),), None, found[0].slots),),
    ):
        assert "versions" not in dumped(*other)


BAD: list[tuple[dict[str, Any], tuple[str | int, ...]]] = [
    ({"rules": [], "versions": []}, ("versions",)),
    ({"versions": [{"version_id": "a", "percentage": 0}]}, ("versions", 0, "percentage")),
    ({"versions": [{"version_id": "a", "percentage": 100}]}, ("versions", 0, "percentage")),
    ({"versions": [{"version_id": "a", "percentage": 50}] * 2}, ("versions",)),
    ({"rules": [{}]}, ("rules", 0, "serve")),
    ({"rules": [{"serve": {}}]}, ("rules", 0, "serve")),
    ({"rules": [{"serve": {"version_id": "a", "rollout": []}}]}, ("rules", 0, "serve")),
    ({"rules": [{"serve": {"rollout": [{"version_id": "a"}]}}]}, ("rules", 0, "serve", "rollout", 0, "weight")),
    (
        {"rules": [{"serve": {"rollout": [{"version_id": "a", "weight": 100.5}]}}]},
        ("rules", 0, "serve", "rollout", 0, "weight"),
    ),
    (
        {"rules": [{"serve": {"rollout": [{"version_id": "a", "weight": 33.3}, {"version_id": "b", "weight": 66.7}]}}]},
        ("rules", 0, "serve", "rollout"),
    ),
    ({"rules": [{"serve": SERVE, "match": None}]}, ("rules", 0, "match")),
    (
        {"rules": [{"serve": SERVE, "match": [{"attribute": "a", "values": ["b"]}]}]},
        ("rules", 0, "match", 0, "operator"),
    ),
    (
        {"rules": [{"serve": SERVE, "match": [{"attribute": "a", "operator": "in", "values": []}]}]},
        ("rules", 0, "match", 0, "values"),
    ),
    ({"rules": [{"serve": SERVE}] * 101}, ("rules",)),
    ({"rules": [{"serve": {"version_id": "a\x00"}}]}, ("rules", 0, "serve", "version_id")),
]


@pytest.mark.parametrize(("body", "place"), BAD)
def test_bad_bodies(body: dict[str, Any], place: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        CanaryBody.model_validate(body)
    assert [error["loc"] for error in caught.value.errors()] == [place]
