"""Chats, conversations, insights and text messages on the dashboard."""

import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from tests.support.desk_pages import add_version, keep
from tests.support.pages import Person, logged_in
from tests.support.store import NOW, ORG, Hand, a_conversation, put_run, said

from vivavoce.core.appointment import Appointment
from vivavoce.core.conversation import Opening
from vivavoce.core.event import Ending, Left, Message, Speaker, ToolCall, ToolCalled
from vivavoce.core.filter import Filter
from vivavoce.core.insight import Finding, FindingStatus, Found, Insight, InsightGroup
from vivavoce.core.scenario import Medium
from vivavoce.core.scope import Scope
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.services import conversations
from vivavoce.services.context import Context
from vivavoce.storage import appointments, findings, insights, texts
from vivavoce.storage import conversations as kept
from vivavoce.web import inbox

DAY_S = 24 * 3600


async def test_somebody_chats_from_hello_to_goodbye(ctx: Context, person: Person) -> None:
    one = await keep(ctx, name="Desk")
    page = await person.get(f"/ui/chat/{one.id}")
    begun = await person.post(f"/ui/chat/{one.id}", page.fields(f"/ui/chat/{one.id}"))
    there = begun.there
    page = await person.follow(begun)
    assert "Hello, this is the desk." in page.text
    assert page.main.one("input", id="words").attributes.get("autofocus") == ""
    answered = await person.post(there, words="Where is my order?")
    page = await person.get(answered.there.partition("#")[0])
    assert [one.text for one in page.main.all("div", class_="bubble")] == [
        "Hello, this is the desk.",
        "Where is my order?",
        "It is on its way.",
    ]
    empty = await person.post(there, words="  ")
    assert (empty.status, "Say something." in empty.text) == (422, True)
    assert (await person.post(there, words="x" * 40_000)).status == 422
    await person.post(there, words="bye")
    page = await person.get(there)
    assert "The assistant hung up." in page.text
    assert "The conversation is over." in page.text
    assert page.main.all("input", id="words") == []
    late = await person.post(there, words="hello?")
    assert (late.status, "over" in late.text) == (400, True)
    again = await person.post(f"/ui/chat/{one.id}", page.fields(f"/ui/chat/{one.id}"))
    assert again.there != there
    listed = await person.get("/ui/conversations")
    assert len(listed.main.one("tbody").all("tr")) == 2


async def test_a_chat_begins_with_the_version_and_the_variables_that_were_chosen(ctx: Context, person: Person) -> None:
    one = await keep(ctx, name="Desk", greeting="Hello {{who}}.", variables={"who": "you"})
    other = await add_version(ctx, one, name="Desk", greeting="Hi {{who}}!", instructions="Be kind.")
    page = await person.get(f"/ui/chat/{one.id}", version=other)
    assert page.fields(f"/ui/chat/{one.id}")["version"] == other
    wrong = await person.post(f"/ui/chat/{one.id}", version=other, variables="[1]")
    assert (wrong.status, "JSON object" in wrong.text) == (422, True)
    begun = await person.post(f"/ui/chat/{one.id}", version=other, variables='{"who": "Ada"}')
    page = await person.follow(begun)
    assert "Hi Ada!" in page.text
    ended = await person.post(f"{begun.there}/end")
    assert "The caller was done and left." in (await person.follow(ended)).text
    gone = await person.post(f"/ui/chat/{one.id}", version="gone")
    assert (gone.status, "no version" in gone.text) == (400, True)
    for path in (begun.there, f"{begun.there}/end"):
        stray = path.replace(one.id, "assistant-other")
        assert (await person.post(stray, words="x")).status == 404


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[1]", "JSON object"),
        ("{", "JSON object"),
        ('{"a": NaN}', "JSON object"),
        ('{"a": ' + "9" * 5_000 + "}", "JSON object"),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "nested too deeply"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "JSON object"),
        ('{\n"a": 1e400}', "Line 2: this should be a finite number"),
        ('{"a": "\\ud800"}', "lone surrogates"),
        ('{"\\udfff": 1}', "lone surrogates"),
        ('{"a\\u0000": 1}', "NUL"),
        ('{"a": 1, "a": 2}', "stands in line 1 already"),
        (json.dumps({str(number): 1 for number in range(501)}), "At most 500 variables"),
    ],
)
async def test_variables_that_cannot_be_kept_are_refused_at_their_field(
    ctx: Context, person: Person, written: str, said: str
) -> None:
    one = await keep(ctx)
    page = await person.post(f"/ui/chat/{one.id}", version="", variables=written)
    assert page.status == 422
    field = page.main.one("textarea", id="variables")
    assert field.attributes["aria-invalid"] == "true"
    assert said in page.main.one("p", id="variables-wrong").text
    assert "".join(field.words).removeprefix("\n") == written
    assert (await conversations.look_back(ctx, ORG, Filter(), 10)).items == ()


async def test_variables_are_kept_as_they_were_written(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    given = {"who": 'A\t"da" \U0001f600', "deep": [[[{"n": -1.5e3, "no": None, "yes": True}]]], "number": "0123"}
    given["deepest"] = json.loads("[" * 90 + "]" * 90)
    for written in (json.dumps(given), json.dumps(given, ensure_ascii=False, indent="\t")):
        begun = await person.post(f"/ui/chat/{one.id}", version="", variables=written)
        found = await conversations.retrieve(ctx, ORG, begun.there.rpartition("/")[2])
        assert found.opening is not None
        assert {name: found.opening.variables[name] for name in given} == given


async def test_a_model_that_is_not_served_is_told_on_the_page(ctx: Context, person: Person) -> None:
    one = await keep(ctx, model="nobody/serves-this")
    page = await person.post(f"/ui/chat/{one.id}", version="")
    assert (page.status, page.main.one("h1").text) == (503, "Chat with clerk")
    assert "nobody" in page.text


async def test_a_chat_that_keeps_waiting_says_how_to_go_on(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    begun = await person.post(f"/ui/chat/{one.id}", version="")
    id_ = begun.there.rpartition("/")[2]
    await ctx.database.write(lambda tx: kept.append(tx, id_, (said("Where?"),), NOW))
    assert "never answered" in (await person.follow(begun)).text


async def test_conversations_are_found_by_what_is_known_of_them(ctx: Context, person: Person, hand: Hand) -> None:
    assert "Nobody has talked" in (await person.get("/ui/conversations")).text
    one = await keep(ctx, name="Desk")
    run = await ctx.database.write(lambda tx: put_run(tx))
    known = {"assistant_id": one.id, "conversation_channel": "phone_call", "plan": "beta"}
    first = a_conversation(name="first", metadata=known, created_at=NOW - 10 * DAY_S * 1000)
    second = a_conversation(name="second", metadata={"run_id": run.id, "assistant_id": "gone"}, created_at=NOW)
    await ctx.database.write(lambda tx: kept.add(tx, ORG, [first, second]))

    async def found(**query: str) -> set[str]:
        page = await person.get(f"/ui/conversations?{urlencode(query)}")
        assert page.status == 200, page.text
        return {one.id for one in (first, second) if f"/ui/conversations/{one.id}" in page.links()}

    assert await found() == {first.id, second.id}
    assert await found(assistant=one.id) == {first.id}
    assert await found(medium="phone_call") == {first.id}
    assert await found(key="plan", value="beta") == {first.id}
    assert await found(key="plan", value="other") == set()
    assert await found(tests="without") == {first.id}
    assert await found(since="2027-01-10") == {second.id}
    assert await found(until="2027-01-10") == {first.id}
    assert "Show all" in (await person.get("/ui/conversations", key="plan", value="other")).text
    page = await person.get("/ui/conversations")
    assert f"/ui/runs/{run.id}" in page.links()
    assert "an assistant that is gone" in page.text
    assert "phone call" in page.text
    for wrong in ({"since": "yesterday"}, {"value": "x"}):
        assert (await person.get(f"/ui/conversations?{urlencode(wrong)}")).status == 422


async def test_conversations_go_on_from_page_to_page(ctx: Context, person: Person) -> None:
    many = [a_conversation(name=f"talk {number}", created_at=NOW + number) for number in range(60)]
    await ctx.database.write(lambda tx: kept.add(tx, ORG, many))
    page, names = await person.get("/ui/conversations"), list[str]()
    while True:
        names += [row.all("td")[3].text for row in page.main.one("tbody").all("tr")]
        if "Older →" not in page.text:
            break
        page = await person.get(page.link("Older →"))
    assert names == [f"talk {number}" for number in reversed(range(60))]
    assert "/ui/conversations" in page.links()
    assert (await person.get("/ui/conversations", behind="nonsense")).status == 200


async def test_a_conversation_is_shown_with_all_that_is_known(ctx: Context, person: Person) -> None:
    one = await keep(ctx, name="Desk")
    metadata = {"assistant_id": one.id, "assistant_version_id": one.main.id, "plan": "beta"}
    talk = a_conversation(name="Ada", metadata=metadata, opening=Opening({"shop": "Birch", "deep": {"a": 1}}))
    group = InsightGroup("group", "Quality", NOW)
    finding = Finding("finding", talk.id, group.id, FindingStatus.PENDING, NOW)
    await ctx.database.write(lambda tx: kept.add(tx, ORG, [talk]))
    events = (
        said("Hello"),
        Message(Speaker.ASSISTANT, "Hi", NOW, took_ms=1500),
        ToolCalled(ToolCall("c", "t", {}), NOW),
    )
    await ctx.database.write(lambda tx: kept.append(tx, talk.id, events, NOW))
    await ctx.database.write(lambda tx: insights.add_group(tx, ORG, group))
    await ctx.database.write(lambda tx: findings.add(tx, ORG, finding))
    await ctx.database.write(
        lambda tx: findings.put(tx, ORG, replace(finding, results=(Found("i", "Topic", '{"topic": "order"}'),)))
    )
    page = await person.get(f"/ui/conversations/{talk.id}")
    for words in ("Ada", "Desk", "plan", "beta", "Birch", "took 1.5 s", "topic order", "open"):
        assert words in page.text, words
    await ctx.database.write(lambda tx: kept.append(tx, talk.id, (Left(Ending.GOODBYE, NOW),), NOW))
    assert "The caller was done and left." in (await person.get(f"/ui/conversations/{talk.id}")).text
    deleted = await person.post(f"/ui/conversations/{talk.id}/delete")
    assert "Deleted." in (await person.follow(deleted)).text
    assert (await person.get(f"/ui/conversations/{talk.id}")).status == 404


async def test_insights_are_shown_with_what_was_found(ctx: Context, person: Person) -> None:
    assert "Nothing was found yet" in (await person.get("/ui/insights")).text
    schema = {"type": "object", "properties": {"topic": {"enum": ["order", "refund"]}, "why": {"type": "string"}}}
    insight = Insight("insight-1", "Topic", "What was it about?", NOW, schema=schema)
    talk = a_conversation()
    await ctx.database.write(lambda tx: kept.add(tx, ORG, [talk]))
    await ctx.database.write(lambda tx: insights.add(tx, ORG, insight))
    for number in range(25):
        finding = Finding(f"finding-{number:02}", talk.id, "group", FindingStatus.COMPLETED, NOW - number)
        answer = '{"topic": "order"}' if number % 2 else '{"topic": "refund"}'
        await ctx.database.write(lambda tx, finding=finding: findings.add(tx, ORG, finding))
        full = replace(finding, results=(Found(insight.id, "Topic", answer),))
        await ctx.database.write(lambda tx, full=full: findings.put(tx, ORG, full))
    page = await person.get("/ui/insights")
    assert len(page.main.all("article")) == 20
    rest = await person.get(page.link("Older →"))
    assert len(rest.main.all("article")) == 5
    one = await person.get("/ui/insights/insight-1")
    rows = [row.text for row in one.main.one("tbody").all("tr")]
    assert rows == ["refund 13 52 %", "order 12 48 %"]
    managed = next(link for link in page.links() if link.startswith("/ui/insights/0000"))
    assert "comes with the server" in (await person.get(managed)).text
    assert (await person.get("/ui/insights/nobody")).status == 404


async def test_text_messages_are_threads_and_can_be_sent_as_a_person(ctx: Context, person: Person) -> None:
    one = await keep(ctx, name="Desk")
    ctx = replace(ctx, numbers={"+353100": one.id})
    async with logged_in(ctx, Scope.RUN) as tester:
        assert "No text message yet" in (await tester.get("/ui/inbox")).text
        wrong = await tester.post("/ui/inbox", from_="", to="+353100", text=" ")
        assert wrong.status == 422
        assert {one.attributes["name"] for one in wrong.main.all("input", aria_invalid="true")} == {"from"}
        assert wrong.fields("/ui/inbox")["to"] == "+353100"
        sent = await tester.post("/ui/inbox", from_="+1", to="+353100", text="Hello", medium="whatsapp_chat")
        page = await tester.follow(sent)
        assert "Sent." in page.text
        assert "The assistant answers" in page.text
        assert [one.text for one in page.main.all("div", class_="bubble")] == ["Hello"]
        twice = await tester.post("/ui/inbox", from_="+1", to="+353100", text="", thread="yes")
        assert (twice.status, twice.main.one("h1").text) == (422, "+1")
        listed = await tester.get("/ui/inbox")
        assert listed.link("+1") == "/ui/inbox/thread?ours=%2B353100&theirs=%2B1"
        assert (await tester.get("/ui/inbox/thread", ours="+353100")).there == "/ui/inbox"
    found = (await conversations.look_back(ctx, ORG, Filter(), 10)).items
    assert len(found) == 1
    assert "WhatsApp" in (await person.get("/ui/conversations")).text


def test_messages_of_two_numbers_are_one_thread() -> None:
    def text(id_: str, direction: Direction, sender: str, recipient: str) -> Text:
        return Text(id_, direction, Medium.SMS_CHAT, sender, recipient, id_, TextStatus.SENT, NOW)

    out, in_ = Direction.OUTBOUND, Direction.INBOUND
    made = inbox.threads((text("c", out, "us", "a"), text("b", in_, "b", "us"), text("a", in_, "a", "us")))
    assert [(one.theirs, one.last.id, one.many) for one in made] == [("a", "c", 2), ("b", "b", 1)]


async def test_only_the_two_numbers_are_in_a_thread(ctx: Context, person: Person) -> None:
    for number, (ours, theirs) in enumerate((("+9", "+1"), ("+9", "+2"), ("+8", "+1"))):
        text = Text(
            f"t{number}", Direction.INBOUND, Medium.SMS_CHAT, theirs, ours, f"n{number}", TextStatus.HANDLED, NOW
        )
        await ctx.database.write(lambda tx, text=text: texts.add(tx, ORG, text))
    page = await person.get("/ui/inbox/thread", ours="+9", theirs="+1")
    assert [one.text for one in page.main.all("div", class_="bubble")] == ["n0"]


async def test_what_is_to_go_out_is_listed_and_cancelled(ctx: Context, person: Person) -> None:
    assert "Nothing is to go out" in (await person.get("/ui/scheduled")).text
    one, other = await keep(ctx, name="Desk"), await keep(ctx, name="Other")
    for assistant in (one, other):
        call = Appointment(ctx.new_id(), assistant.id, Medium.PHONE_CALL, "+9", f"to {assistant.main.name}", NOW, NOW)
        await ctx.database.write(lambda tx, call=call: appointments.add(tx, ORG, call))
    page = await person.get("/ui/scheduled")
    assert "to Desk" in page.text
    assert "to Other" in page.text
    mine = await person.get("/ui/scheduled", assistant=one.id)
    assert "to Other" not in mine.text
    action = mine.main.one("form", method="post").attributes["action"]
    cancelled = await person.post(action, mine.fields(action))
    assert "Deleted." in (await person.follow(cancelled)).text
    assert "to Desk" not in (await person.get("/ui/scheduled")).text
    assert (await person.get("/ui/scheduled", assistant="gone")).status == 404
