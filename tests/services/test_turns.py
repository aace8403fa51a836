import asyncio
import gc

from vivavoce.services.turns import Turns


async def test_one_at_a_time_in_each_conversation() -> None:
    turns, order = Turns(), list[str]()
    go_on = asyncio.Event()

    async def talk(conversation: str, name: str) -> None:
        async with turns.of(conversation):
            order.append(f"{name} begins")
            if name == "a":
                await go_on.wait()
            order.append(f"{name} ends")

    tasks = [asyncio.create_task(talk(*one)) for one in (("1", "a"), ("1", "b"), ("2", "c"), ("1", "d"))]
    await tasks[2]
    assert order == ["a begins", "c begins", "c ends"]
    go_on.set()
    await asyncio.gather(*tasks)
    assert order[3:] == ["a ends", "b begins", "b ends", "d begins", "d ends"]


async def test_who_fails_or_gives_up_lets_the_next_go_on() -> None:
    turns = Turns()

    async def fail() -> None:
        async with turns.of("1"):
            raise ValueError

    async def wait() -> None:
        async with turns.of("1"):
            await asyncio.Event().wait()

    await asyncio.gather(fail(), return_exceptions=True)
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    async with asyncio.timeout(5), turns.of("1"):
        pass
    await asyncio.gather(waiting, return_exceptions=True)


async def test_nothing_is_kept_of_conversations_that_are_quiet() -> None:
    turns = Turns()
    for number in range(100):
        async with turns.of(f"{number}"):
            pass
    gc.collect()
    assert len(turns._locks) == 0
