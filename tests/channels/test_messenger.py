from vivavoce.channels.messenger import Loopback, Outgoing
from vivavoce.core.scenario import Medium


async def test_the_loopback_takes_every_text_and_carries_it_nowhere() -> None:
    numbers = iter("12")
    loopback = Loopback(lambda: next(numbers))
    ids = [await loopback.send(Outgoing("+1", "+2", "Hi", "key")) for _ in range(2)]
    assert ids == ["loopback-1", "loopback-2"]
    assert [medium for medium in Medium if loopback.carries(medium)] == [
        Medium.SMS_CHAT,
        Medium.WEB_CHAT,
        Medium.WHATSAPP_CHAT,
    ]
