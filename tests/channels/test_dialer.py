from vivavoce.channels.dialer import NO_CARRIER, CallOrder, NoCarrier
from vivavoce.core.appointment import CallStatus


async def test_where_nobody_carries_calls_they_fail_and_say_so() -> None:
    result = await NoCarrier().dial(CallOrder("org", "assistant-1", "+1", "+2", "key"))
    assert (result.status, result.reason, result.call_id) == (CallStatus.FAILED, NO_CARRIER, None)
