import pytest

from vivavoce.core.scenario import Medium
from vivavoce.core.text import Direction, Text, TextStatus, silent_too_long

AGENT, USER = "+15550100001", "+15550100002"


def test_both_ends_are_seen_from_the_assistant() -> None:
    went = Text("a", Direction.OUTBOUND, Medium.SMS_CHAT, AGENT, USER, "Hi", TextStatus.SENDING, 0)
    came = Text("b", Direction.INBOUND, Medium.SMS_CHAT, USER, AGENT, "Hi", TextStatus.RECEIVED, 0)
    assert (went.ours, went.theirs) == (came.ours, came.theirs) == (AGENT, USER)


@pytest.mark.parametrize(("silence_ms", "over"), [(0, False), (120_000, False), (120_001, True)])
def test_rule_2_1_only_a_longer_silence_begins_a_new_conversation(silence_ms: int, over: bool) -> None:
    assert silent_too_long(1_000, 1_000 + silence_ms, 2) is over
