"""Chats, as section 9 writes them."""

from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.store import NOW, a_conversation

from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.chats import ChatCreate, ChatList, ChatUpdate, dump_item
from vivavoce.core.event import Ending
from vivavoce.storage.conversations import TalkFilter

ID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("ended_at", "ending", "status"),
    [
        (None, None, "ongoing"),
        (NOW, None, "ended"),
        (NOW, Ending.HANGUP, "ended"),
        (NOW, Ending.IDLE, "ended"),
        (NOW, Ending.ASSISTANT_FAULT, "error"),
        (NOW, Ending.INFRASTRUCTURE_FAULT, "error"),
    ],
)
def test_section_9_the_status_says_how_it_stands(ended_at: int | None, ending: Ending | None, status: str) -> None:
    extra: dict[str, Any] = {"version": 2} | ({"ending": ending.value} if ending else {})
    shown = dump_item(a_conversation(id=ID, assistant_id=f"assistant-{ID}", ended_at=ended_at, extra=extra))
    assert shown["chat_status"] == status
    assert shown.get("end_timestamp") == ended_at
    assert (shown["chat_id"], shown["agent_id"], shown["version"]) == (
        "chat_0123456789abcdef0123456789abcdef",
        "agent_0123456789abcdef0123456789abcdef",
        2,
    )


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (None, "everything", True),
        (None, "basic_attributes_only", True),
        ("everything", "everything_except_pii", True),
        ("everything_except_pii", "everything", False),
        ("basic_attributes_only", "everything_except_pii", False),
    ],
)
def test_section_9_storage_only_becomes_stricter(before: str | None, after: str, *, allowed: bool) -> None:
    extra = {"data_storage_setting": before} if before else {}
    update = ChatUpdate.model_validate({"data_storage_setting": after})
    if allowed:
        assert update.change(extra)["data_storage_setting"] == after
    else:
        with pytest.raises(Refused, match="stores more"):
            update.change(extra)


def test_what_is_left_out_stays_and_null_takes_back() -> None:
    nothing, null = ChatUpdate.model_validate({}), ChatUpdate.model_validate({"override_dynamic_variables": None})
    assert (nothing.restores, null.restores) == (False, True)
    assert nothing.change({"metadata": {"a": 1}}) == {"metadata": {"a": 1}}
    assert ChatUpdate.model_validate({"metadata": None}).change({"metadata": {"a": 1}}) == {"metadata": None}


@pytest.mark.parametrize("given", [0, 1.0, "prod", "latest"])
def test_a_version_is_a_number_or_a_name(given: Any) -> None:
    assert ChatCreate.model_validate({"agent_id": "a", "agent_version": given}).agent_version == given


@pytest.mark.parametrize("given", [-1, 2**31, 1.5, True, "x" * 65, [], None])
def test_what_is_no_version_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError, match="agent_version"):
        ChatCreate.model_validate({"agent_id": "a", "agent_version": given})


def test_without_criteria_everything_is_wanted() -> None:
    asked = ChatList.model_validate({"filter_criteria": {"agent": []}})
    assert asked.filter_criteria is not None
    assert asked.filter_criteria.to_filter() == TalkFilter()


@pytest.mark.parametrize(
    "criteria",
    [
        {"agent": [{"agent_id": "agent_x"}] * 101},
        {"agent": [{"agent_id": "agent_x", "version": list(range(101))}]},
        {"chat_id": {"type": "enum", "op": "in", "value": ["chat_x"] * 1001}},
        {"chat_status": {"type": "enum", "op": "in", "value": ["ended"] * 1001}},
        {"chat_type": {"type": "enum", "op": "in", "value": ["api_chat"] * 1001}},
    ],
)
def test_section_9_a_filter_names_no_more_than_a_query_can_hold(criteria: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at most"):
        ChatList.model_validate({"filter_criteria": criteria})


def test_section_9_a_state_that_is_named_often_is_asked_for_once() -> None:
    states = {"chat_status": {"type": "enum", "op": "in", "value": ["ended", "error", "ended"]}}
    wanted = ChatList.model_validate({"filter_criteria": states}).filter_criteria
    assert wanted is not None
    assert wanted.to_filter() == TalkFilter(states=("ended", "failed"))
