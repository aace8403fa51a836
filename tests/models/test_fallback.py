"""Which failures let another model answer, and who is seen to have answered."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from vivavoce.core.event import Usage
from vivavoce.core.model import Answer, Model, ModelFailure, Prompt, PromptLine, Reply, T, Trouble
from vivavoce.models.fallback import Backed

HELLO = Prompt((PromptLine("user", "Hello?"),))
DOWN = [Trouble.UNAVAILABLE, Trouble.UNRESOLVED]
UP = [Trouble.REFUSED, Trouble.GARBLED]


@dataclass
class Played:
    """Says its words one by one; with a trouble it fails after so many of them."""

    name: str
    trouble: Trouble | None = None
    after: int = 0
    asked: list[Prompt] = field(default_factory=list[Prompt])

    async def reply(self, prompt: Prompt) -> Reply:
        self.asked.append(prompt)
        if self.trouble is not None:
            raise ModelFailure(self.trouble, f"{self.name} is {self.trouble}")
        return Reply(f"I am {self.name}", (), Usage(self.name))

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        reply = await self.reply(prompt)
        return Answer(shape(), reply.usage)

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        for word in ["I", "am"][: self.after if self.trouble else 2]:
            yield word
        yield await self.reply(prompt)


def backed(first: Model, spare: Model | ModelFailure) -> Backed:
    async def find() -> Model:
        if isinstance(spare, ModelFailure):
            raise spare
        return spare

    return Backed(first, find)


async def heard(model: Model) -> list[str | Reply]:
    return [item async for item in model.stream(HELLO)]


async def test_the_first_answers_while_it_can() -> None:
    spare = Played("spare")
    model = backed(Played("first"), spare)
    assert model.name == "first"
    assert (await model.reply(HELLO)).usage.model == "first"
    assert (await model.decide(HELLO, str)).usage.model == "first"
    assert (await heard(model))[:2] == ["I", "am"]
    assert spare.asked == []


@pytest.mark.parametrize("trouble", DOWN)
async def test_who_is_down_is_stood_in_for_and_the_usage_says_by_whom(trouble: Trouble) -> None:
    model = backed(Played("first", trouble), Played("spare"))
    assert await model.reply(HELLO) == Reply("I am spare", (), Usage("spare"))
    assert (await model.decide(HELLO, str)).usage.model == "spare"
    assert await heard(model) == ["I", "am", Reply("I am spare", (), Usage("spare"))]


@pytest.mark.parametrize("trouble", UP)
async def test_a_refusal_and_nonsense_are_nobody_else_s_to_answer(trouble: Trouble) -> None:
    spare = Played("spare")
    model = backed(Played("first", trouble), spare)
    for asked in (model.reply(HELLO), model.decide(HELLO, str), heard(model)):
        with pytest.raises(ModelFailure) as caught:
            await asked
        assert caught.value.trouble is trouble
    assert spare.asked == []


async def test_a_stream_that_sent_words_does_not_switch() -> None:
    spare = Played("spare")
    stream = backed(Played("first", Trouble.UNAVAILABLE, after=1), spare).stream(HELLO)
    assert await anext(stream) == "I"
    with pytest.raises(ModelFailure, match="first is unavailable"):
        await anext(stream)
    assert spare.asked == []


@pytest.mark.parametrize(
    "spare",
    [
        pytest.param(Played("spare", Trouble.REFUSED), id="fails"),
        pytest.param(ModelFailure(Trouble.UNRESOLVED, "spare is refused"), id="is not found"),
    ],
)
async def test_where_both_fail_both_are_told_of(spare: Model | ModelFailure) -> None:
    model = backed(Played("first", Trouble.UNAVAILABLE), spare)
    for asked in (model.reply(HELLO), heard(model)):
        with pytest.raises(ModelFailure, match="first is unavailable; and its fallback: spare is refused") as caught:
            await asked
        assert caught.value.trouble is Trouble.UNAVAILABLE
