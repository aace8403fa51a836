"""Assistants on the dashboard: found, looked at, edited, compared, served by shares."""

from dataclasses import replace

from tests.support.desk_pages import SCRIPT, add_version, keep
from tests.support.pages import Person, logged_in
from tests.support.scenes import edge, flow
from tests.support.store import ORG, a_scenario, an_assistant

from vivavoce.core.assistant import MODEL_OPENS, Form, Plays
from vivavoce.core.equation import Equation
from vivavoce.core.expression import Comparison, Junction, Literally, Variable
from vivavoce.core.flow import (
    CallCondition,
    ComponentNode,
    EndNode,
    EquationCondition,
    Flow,
    HeardCondition,
    PromptNode,
    ResultCondition,
    SpeakNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.scope import Scope
from vivavoce.core.tool import FunctionTool, Header, WebhookTool
from vivavoce.services import assistants
from vivavoce.services.context import Context
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import scenarios


async def test_assistants_of_every_form_are_found_by_name_and_tag(ctx: Context, person: Person) -> None:
    assert "no assistant yet" in (await person.get("/ui/assistants")).text
    await keep(ctx, name="Billing")
    for form in Form:
        made = replace(an_assistant(name=f"the {form.value}"), form=form, tags=("Urgent",))
        await ctx.database.write(lambda tx, made=made: kept_assistants.add(tx, ORG, made))
    page = await person.get("/ui/assistants")
    assert len(page.main.one("tbody").all("tr")) == 1 + len(Form)
    found = await person.get("/ui/assistants", q=" bill ")
    assert [one.text for one in found.main.all("b")] == ["Billing"]
    assert len((await person.get("/ui/assistants", q="urgent")).main.one("tbody").all("tr")) == len(Form)
    assert "No assistant is called that" in (await person.get("/ui/assistants", q="nobody")).text


async def test_assistants_come_in_pages(ctx: Context, person: Person) -> None:
    for number in range(30):
        await keep(ctx, name=f"desk {number}")
    first = await person.get("/ui/assistants")
    assert "Page 1 of 2" in first.text
    second = await person.get(first.link("Older →"))
    assert len(second.main.one("tbody").all("tr")) == 5
    assert len((await person.get("/ui/assistants", page="x")).main.one("tbody").all("tr")) == 25


async def test_an_assistant_is_shown_with_all_it_is_made_of(ctx: Context, person: Person) -> None:
    headers = (Header("authorization", "Bearer hush"), Header("x-id", "{{id}}"))
    hook = WebhookTool("look_up", "Looks an order up.", "https://a.example/orders", headers=headers)
    one = await keep(
        ctx, name="Desk", greeting=None, tools=(hook, FunctionTool("later")), variables={"shop": "Birch", "deep": [1]}
    )
    test = a_scenario(name="Where is it", suite="support desk", target=one.id)
    await ctx.database.write(lambda tx: scenarios.add(tx, ORG, test))
    page = await person.get(f"/ui/assistants/{one.id}")
    for words in (
        "Be kind.",
        "look_up",
        "calls a web address",
        "Looks an order up.",
        "Birch",
        "The caller speaks first",
    ):
        assert words in page.text
    assert "hush" not in page.body
    assert "{{id}}" in page.body
    assert f"/ui/tests/{test.id}" in page.links()
    assert "/ui/suites/support%20desk" in page.links()
    assert (await person.get(f"/ui/assistants/{one.id}", version="gone")).status == 404
    assert (await person.get("/ui/assistants/nobody")).status == 404


async def test_a_flow_is_told_and_drawn(ctx: Context, person: Person) -> None:
    condition = Junction("and", (Comparison("==", Variable("vip"), Literally(True)), Junction("not", (Variable("x"),))))
    made = flow(
        PromptNode("ask", "Ask for it.", name="Welcome", tools=("look",), silent=True, mind=Mind("big")),
        SpeakNode("say", "One moment."),
        ToolNode("tool", "look_up"),
        ComponentNode("part", "pay"),
        EndNode("end", "Bye."),
        edges=[
            edge("ask", "say", condition),
            edge("ask", "tool", EquationCondition((Equation("{{a}}", "==", "1"),), prompt="it is true")),
            edge("ask", "end", CallCondition("leave", "when done"), "e3"),
            edge("say", "tool", SpokenCondition(), "e4"),
            edge("tool", "end", ResultCondition(ok=False), "e5"),
            edge("tool", "part", ResultCondition(ok=True), "e6"),
            edge("part", "end", HeardCondition(), "e7"),
            edge("end", "@assistant-x"),
        ],
    )
    made = replace(made, components={"pay": Flow("a", (EndNode("a"),))})
    one = replace(an_assistant(name="Flow", flow=made), form=Form.FLOW)
    await ctx.database.write(lambda tx: kept_assistants.add(tx, ORG, one))
    page = await person.get(f"/ui/assistants/{one.id}")
    for words in (
        "(vip == true) and (not x)",
        "{{a}} == 1 and it is true",
        "the model takes “leave”: when done",
        "when it has spoken",
        "when the tool failed",
        "when the tool worked",
        "when the caller has answered",
        "otherwise",
        "runs look_up",
        "goes through pay",
        "model big",
        "says nothing",
    ):
        assert words in page.text, words
    assert len(page.main.one("svg", class_="flow").all("rect")) == 5
    assert "/ui/assistants/assistant-x" in page.links()
    # What its own API edits has no form here.
    assert not [link for link in page.links() if link.endswith(("/edit", "/traffic"))]
    assert (await person.get(f"/ui/assistants/{one.id}/edit")).status == 400
    assert (await person.get(f"/ui/assistants/{one.id}/traffic")).status == 400


async def test_an_agent_says_as_whom_it_speaks(ctx: Context, person: Person) -> None:
    engine = replace(an_assistant(name="Words"), form=Form.PROMPTS)
    agent = replace(an_assistant(name="Voice", instructions="", plays=Plays(engine.id, 0)), form=Form.VOICE_AGENT)
    for one in (engine, agent):
        await ctx.database.write(lambda tx, one=one: kept_assistants.add(tx, ORG, one))
    assert f"/ui/assistants/{engine.id}" in (await person.get(f"/ui/assistants/{agent.id}")).links()
    assert "Voice speaks as it" in (await person.get(f"/ui/assistants/{engine.id}")).text


async def test_editing_writes_a_version_and_keeps_everything_else(ctx: Context, person: Person) -> None:
    one = await keep(ctx, name="Desk", tools=(FunctionTool("later"),), extra={"kept": 1})
    home = f"/ui/assistants/{one.id}"
    shown = (await person.get(f"{home}/edit")).fields(f"{home}/edit")
    assert shown == {
        "base": one.main.id,
        "name": "Desk",
        "instructions": SCRIPT,
        "opening": "words",
        "greeting": "Hello, this is the desk.",
        "model": "scripted",
        "label": "",
        "promote": "yes",
    }
    same = await person.post(f"{home}/edit", shown)
    assert (same.status, "Nothing was changed" in same.text) == (422, True)
    done = await person.post(f"{home}/edit", shown | {"instructions": "\nBe\r\nbrief.", "label": "brief", "model": ""})
    assert done.there == f"{home}?said=saved"
    assert "Saved." in (await person.follow(done)).text
    main = (await assistants.retrieve(ctx, ORG, one.id)).main
    assert (main.instructions, main.label, main.mind.model, main.number) == ("\nBe\nbrief.", "brief", None, 1)
    assert (main.tools, main.extra, main.greeting) == (one.main.tools, {"kept": 1}, "Hello, this is the desk.")
    # Whoever looked at what was main before does not overwrite what came since.
    late = await person.post(f"{home}/edit", shown | {"name": "Late"})
    assert (late.status, "Somebody else" in late.text) == (409, True)
    assert late.fields(f"{home}/edit")["name"] == "Late"


async def test_a_version_need_not_become_main(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    home = f"/ui/assistants/{one.id}"
    shown = (await person.get(f"{home}/edit")).fields(f"{home}/edit")
    done = await person.post(f"{home}/edit", shown | {"opening": "model", "promote": None})
    page = await person.follow(done)
    assert "not main" in page.text
    _, versions = await assistants.get_versions(ctx, ORG, one.id)
    assert (len(versions), versions[0].greeting) == (2, MODEL_OPENS)
    promoted = await person.post(f"{home}/promote", version=versions[0].id)
    assert "This version is main now." in (await person.follow(promoted)).text
    assert (await assistants.retrieve(ctx, ORG, one.id)).main.id == versions[0].id
    assert (await person.post(f"{home}/promote", version="gone")).status == 404


async def test_what_is_wrong_with_an_edit_is_said_at_its_field(ctx: Context, person: Person) -> None:
    one = await keep(ctx)
    home = f"/ui/assistants/{one.id}"
    typed = {"name": " ", "instructions": "x", "opening": "words", "greeting": " ", "model": "m" * 256, "base": ""}
    page = await person.post(f"{home}/edit", typed)
    assert page.status == 422
    wrong = {one.attributes["name"] for tag in ("input", "textarea") for one in page.main.all(tag, aria_invalid="true")}
    assert wrong == {"name", "greeting", "model"}
    assert page.fields(f"{home}/edit")["instructions"] == "x"
    assert (await person.post(f"{home}/edit", typed | {"opening": "sing"})).status == 422
    assert (await assistants.retrieve(ctx, ORG, one.id)).main == one.main


async def test_an_endpoint_of_its_own_stays(ctx: Context, person: Person) -> None:
    one = await keep(ctx, mind=Mind(endpoint=Endpoint("https://a.example/v1", "own")), model="x", greeting="")
    home = f"/ui/assistants/{one.id}"
    await ctx.database.write(
        lambda tx: kept_assistants.put_version(
            tx, replace(one.main, mind=Mind(endpoint=Endpoint("https://a.example/v1", "own")))
        )
    )
    page = await person.get(f"{home}/edit")
    assert "an endpoint of its own" in page.text
    await person.post(f"{home}/edit", page.fields(f"{home}/edit") | {"name": "Other", "model": "mine"})
    main = (await assistants.retrieve(ctx, ORG, one.id)).main
    assert main.mind.endpoint is not None
    assert (main.name, main.mind.model, main.greeting) == ("Other", None, "")


async def test_two_versions_are_compared(ctx: Context, person: Person) -> None:
    one = await keep(ctx, name="Desk")
    home = f"/ui/assistants/{one.id}"
    assert "only one version" in (await person.get(f"{home}/compare")).text
    other = await add_version(ctx, one, name="Desk", instructions=SCRIPT.replace("kind", "very kind"), label="kinder")
    page = await person.get(f"{home}/compare")
    assert [one.text for one in page.main.all("ins")] == ["very", "kinder"]
    assert "Neither was tested lately" in page.text
    turned = await person.get(f"{home}/compare", left=other, right=one.main.id)
    assert "very" in "".join(one.text for one in turned.main.all("del"))
    assert (await person.get(f"{home}/compare", left="gone")).status == 404
    same = await person.get(f"{home}/compare", left=other, right=other)
    assert "made of the same" in same.text


async def test_what_a_key_may_not_do_is_not_offered(ctx: Context) -> None:
    one = await keep(ctx)
    await add_version(ctx, one)
    async with logged_in(ctx, Scope.READ) as reader:
        page = await reader.get(f"/ui/assistants/{one.id}")
        assert f"/ui/assistants/{one.id}/compare" in page.links()
        assert not [link for link in page.links() if link.endswith(("/edit", "/traffic")) or "/ui/chat" in link]
        assert "may only look" in (await reader.get(f"/ui/chat/{one.id}")).text
