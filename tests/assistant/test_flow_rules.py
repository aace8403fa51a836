"""The ten rules of a conversation flow (contract, section 4.2), each as a conversation."""

import pytest
from tests.support.players import COST, START, ListModel, TableTools
from tests.support.scenes import DEFAULT, PREFIX, TRUE, Stage, edge, flow, is_, ok, version

from vivavoce.assistant.ports import Routing, RoutingTask, ToolOutput
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.event import HandedOver, Moved, ToolCall
from vivavoce.core.flow import PromptNode, SpeakNode, ToolNode
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.model import Reply
from vivavoce.core.tool import FunctionTool, HangupTool, RemoteTool, SettableVariable, VariablesTool
from vivavoce.examination.judge import line

LOOK = FunctionTool("look_up", parameters={"type": "object", "properties": {"order": {}, "city": {}}})
BOOK = FunctionTool("book")
LIBRARY = {"t1": LOOK, "t2": BOOK, "bye": HangupTool()}
ASK, TELL = PromptNode("ask", "Ask for the order."), PromptNode("tell", "Tell the state.", "Telling")


def stage(*answers: object, start: Version) -> Stage:
    return Stage(Cast(start), ListModel(list(answers)), TableTools({"look_up": ok("shipped", status_code=200)}))


async def test_rule_4_2_1_it_starts_at_the_start_node_whose_model_is_all_three_fields_or_none() -> None:
    own = Mind("big", "key", None)
    fallback = Mind("spare")
    small = Mind(endpoint=Endpoint("https://llm.example/v1", "small"))
    nodes = (
        PromptNode("plain", "One."),
        PromptNode("named", "Two.", mind=Mind("medium")),
        PromptNode("outside", "Three.", mind=small),
    )
    edges = [edge("plain", "named", TRUE), edge("named", "outside", is_("go", True))]
    play = Stage(
        Cast(version(flow(*nodes, edges=edges), mind=own, fallback=fallback)),
        ListModel([Reply("Two?"), Reply("Three?")]),
    )
    assert await play.play() == ["at plain"]
    await play.play("Hi")
    play.variables["go"] = True
    await play.play("Go")
    # Where a node has any of the three, the assistant's key does not come along.
    assert play.models.chosen_for == [(Mind("medium"), fallback), (small, fallback)]
    plain = Stage(Cast(version(flow(nodes[0]), mind=own)), ListModel([Reply("One?")]))
    assert await plain.play("Hi") == ["at plain", "caller: Hi", "assistant: One?"]
    assert plain.models.chosen_for == [(own, None)]


@pytest.mark.parametrize(
    ("node", "instructions", "tools"),
    [
        (PromptNode("n", "Ask."), "Ask.", ["book", "remote"]),
        (PromptNode("n", "Ask.", instructions_mode="append"), "Be kind.\n\nAsk.", ["book", "remote"]),
        (PromptNode("n", "Ask.", tools=("t1", "gone")), "Ask.", ["look_up"]),
        (PromptNode("n", "Ask.", tools=("t1", "t2"), tools_mode="append"), "Ask.", ["book", "remote", "look_up"]),
        (PromptNode("n", "Ask.", tools=()), "Ask.", []),
        (PromptNode("n", "Ask.", tools=(), tools_mode="append"), "Ask.", ["book", "remote"]),
        (PromptNode("n", "Ask.", tools=None, tools_mode="append"), "Ask.", ["book", "remote"]),
    ],
)
async def test_rule_4_2_2_a_node_replaces_or_appends_instructions_and_tools(
    node: PromptNode, instructions: str, tools: list[str]
) -> None:
    remote = RemoteTool("remote", "", {"type": "object"}, "s1", "remote")
    play = stage(Reply("?"), start=version(flow(node), shared=("t2",), library=LIBRARY, remote=(remote,)))
    await play.play("Hi")
    (asked,) = play.model.prompts
    assert asked.lines[0].text == instructions
    assert [spec.name for spec in asked.tools] == tools


VIP = edge("ask", "tell", is_("vip", True), "vip")


async def test_rule_4_2_3_in_a_call_expressions_come_before_the_models_turn_and_questions_are_its_tools() -> None:
    wants = edge("ask", "tell", "The caller wants {{what}}", "e 1")
    asks = flow(ASK, TELL, edges=[wants, VIP])
    transition = ToolCall("0", "transition__e_1", {})
    play = Stage(
        Cast(version(asks)),
        ListModel([Reply("Which order?"), Reply("", (transition,), COST), Reply("It is on its way.")], takes_s=0.5),
        variables={"what": "news"},
        spoken=True,
    )
    assert await play.play("Hi", "Order 5") == [
        "at ask",
        "caller: Hi",
        "assistant: Which order?",
        "caller: Order 5",
        "call transition__e_1 {}",
        "transition__e_1 gave: Done.",
        "at tell over e 1",
        "assistant: It is on its way.",
    ]
    (spec,) = play.model.prompts[0].tools
    assert (spec.name, spec.description) == ("transition__e_1", "The caller wants news")
    # Nothing but the reply itself was asked for, and it was paid for once.
    assert len(play.model.prompts) == 3
    assert [event.usage for event in play.events if isinstance(event, Moved)] == [None, None]

    vip = Stage(Cast(version(asks)), ListModel([Reply("Welcome.")]), variables={"vip": True}, spoken=True)
    assert await vip.play("Hi") == ["at ask", "caller: Hi", "at tell over vip", "assistant: Welcome."]


async def test_rule_4_2_3_in_a_call_expressions_are_checked_again_before_each_turn_of_the_model() -> None:
    setting = VariablesTool("set", "", (SettableVariable("vip", "boolean"),))
    play = Stage(
        Cast(version(flow(ASK, TELL, edges=[VIP]), tools=(setting,))),
        ListModel([Reply("", (ToolCall("0", "set", {"vip": True}),)), Reply("Welcome.")]),
        spoken=True,
    )
    assert (await play.play("Hi"))[2:] == [
        'call set {"vip": true}',
        "set gave: Set: vip.",
        "at tell over vip",
        "assistant: Welcome.",
    ]


async def test_rule_4_2_4_in_a_chat_true_expressions_route_before_the_reply_again_and_again() -> None:
    third = PromptNode("third", "Third.")
    edges = [edge("ask", "tell", is_("vip", True)), edge("tell", "third", TRUE), edge("third", "ask", TRUE)]
    play = stage(Reply("Hello."), start=version(flow(ASK, TELL, third, edges=edges)))
    play.variables["vip"] = True
    assert (await play.play("Hi"))[2:5] == [
        "at tell over ask>tell",
        "at third over tell>third",
        "at ask over third>ask",
    ]
    assert play.model.prompts[0].lines[0].text == "Ask for the order."


async def test_rule_4_2_4_in_a_chat_one_question_after_the_reply_judges_all_conditions() -> None:
    edges = [
        edge("ask", "bye", "The caller is {{mood}}.", "angry"),
        edge("ask", "tell", "The caller gave a number.", "number"),
        edge("ask", "tell", is_("vip", True), "vip"),
    ]
    play = Stage(
        Cast(version(flow(ASK, TELL, SpeakNode("bye", "Bye."), edges=edges))),
        ListModel([Reply("Which?"), Routing(()), Reply("Thanks."), Routing((2,)), Reply("Shipped.")], takes_s=0.25),
        variables={"mood": "angry"},
    )
    assert await play.play("Hi", "Order 5", "And?") == [
        "at ask",
        "caller: Hi",
        "assistant: Which?",
        "at ask",
        "caller: Order 5",
        "assistant: Thanks.",
        "at tell over number",
        "caller: And?",
        "assistant: Shipped.",
    ]
    asked = play.model.prompts[1]
    assert isinstance(asked.subject, RoutingTask)
    assert asked.subject.conditions == ("The caller is angry.", "The caller gave a number.")
    shown = "\n".join(line.text for line in asked.lines)
    assert "caller: Hi\nassistant: Which?" in shown
    assert "Ask for the order." not in shown
    assert "Be kind." not in shown
    # What it took and what it cost is written down with where it led, or that it led nowhere.
    moves = [event for event in play.events if isinstance(event, Moved)][1:]
    assert [(move.took_ms, move.usage, move.name) for move in moves] == [(250, COST, ""), (250, COST, "Telling")]


@pytest.mark.parametrize(
    ("holding", "vip", "where"),
    [((1, 3), True, "first"), ((3,), True, "second"), ((3,), False, "third"), ((), True, "second"), ((), False, "")],
)
async def test_rule_4_2_4_of_all_conditions_the_first_in_the_order_of_declaration_wins(
    holding: tuple[int, ...], vip: bool, where: str
) -> None:
    edges = [
        edge("ask", "tell", "One.", "first"),
        edge("ask", "tell", is_("vip", True), "second"),
        edge("ask", "tell", "Two.", "third"),
    ]
    holding = tuple(2 if number == 3 else number for number in holding)
    setting = VariablesTool("set", "", (SettableVariable("vip", "boolean"),))
    call = Reply("", (ToolCall("0", "set", {"vip": vip}),))
    play = stage(call, Reply("Yes."), Routing(holding), start=version(flow(ASK, TELL, edges=edges), tools=(setting,)))
    assert (await play.play("Hi"))[-1] == (f"at tell over {where}" if where else "at ask")


async def test_rule_4_2_4_nobody_is_asked_where_an_expression_decides_first() -> None:
    edges = [VIP, edge("ask", "tell", "Anything.", "asked")]
    setting = VariablesTool("set", "", (SettableVariable("vip", "boolean"),))
    call = Reply("", (ToolCall("0", "set", {"vip": True}),))
    play = stage(call, Reply("Yes."), start=version(flow(ASK, TELL, edges=edges), tools=(setting,)))
    assert (await play.play("Hi"))[-2:] == ["assistant: Yes.", "at tell over vip"]


@pytest.mark.parametrize("spoken", [False, True])
async def test_rule_4_2_5_the_default_edge_is_last_wherever_it_stands(spoken: bool) -> None:
    nodes = (ToolNode("tool", "t1"), SpeakNode("a", "A."), SpeakNode("b", "B."), SpeakNode("c", "C."))
    status = f"{PREFIX}last_tool_status_code"
    edges = [
        edge("tool", "a"),
        edge("tool", "b", is_(status, "500" if spoken else 500)),
        edge("tool", "c", is_(status, "200" if spoken else 200)),
    ]
    for code, said in ((200, "C."), (500, "B."), (404, "A.")):
        play = stage(start=version(flow(*nodes, edges=edges), library=LIBRARY))
        play.state = Stage(play.cast, spoken=spoken).state
        play.tools = TableTools({"look_up": ToolOutput("", code == 200, status_code=code)})
        assert (await play.play())[-1] == f"assistant: {said}"


async def test_rule_4_2_5_the_default_edge_is_last_on_a_node_that_talks_too() -> None:
    edges = [edge("ask", "tell", DEFAULT), edge("ask", "bye", "It is over.", "over")]
    for holding, where in ((), "at tell over ask>tell"), ((1,), "at bye over over"):
        play = stage(
            Reply("Yes."), Routing(holding), start=version(flow(ASK, TELL, SpeakNode("bye", "B."), edges=edges))
        )
        assert where in await play.play("Hi")
    call = Stage(Cast(version(flow(ASK, TELL, edges=edges[:1]))), ListModel([Reply("Yes.")]), spoken=True)
    assert (await call.play("Hi"))[-2:] == ["assistant: Yes.", "at tell over ask>tell"]


async def test_rule_4_2_6_without_a_match_a_node_that_talks_stays_and_the_others_advance() -> None:
    nodes = (SpeakNode("hello", "Hello."), ToolNode("tool", "t1"), ASK, TELL)
    edges = [edge("hello", "tool"), edge("tool", "ask"), edge("ask", "tell", is_("vip", True))]
    play = stage(
        Reply("One."), Reply("Two."), Reply("Three."), start=version(flow(*nodes, edges=edges), library=LIBRARY)
    )
    assert await play.play("Hi", "Well") == [
        "at hello",
        "assistant: Hello.",
        "at tool over hello>tool",
        "call look_up {}",
        "look_up gave: shipped",
        "at ask over tool>ask",
        "assistant: One.",
        "caller: Hi",
        "assistant: Two.",
        "caller: Well",
        "assistant: Three.",
    ]


async def test_rule_4_2_7_a_speak_node_says_its_message_verbatim_and_what_is_not_set_is_empty() -> None:
    nodes = (SpeakNode("hello", "Hello {{name}} of {{nowhere}}. {{#odd}} {brace}"), ASK)
    play = stage(Reply("{{nowhere}}?"), start=version(flow(*nodes, edges=[edge("hello", "ask")])))
    play.variables["name"] = "Ann {{name}}"
    assert await play.play("Hi") == [
        "at hello",
        "assistant: Hello Ann {{name}} of . {{#odd}} {brace}",
        "at ask over hello>ask",
        "caller: Hi",
        "assistant: {{nowhere}}?",
    ]
    kept = stage(Reply("?"), start=version(flow(PromptNode("n", "For {{nowhere}}."))))
    await kept.play("Hi")
    assert kept.model.prompts[0].lines[0].text == "For {{nowhere}}."


async def test_rule_4_2_8_a_tool_node_speaks_then_calls_with_variables_and_then_the_status_is_known() -> None:
    nodes = (
        ToolNode("tool", "t1", "One moment, {{name}}."),
        PromptNode("tell", f"It gave {{{{{PREFIX}last_tool_status_code}}}}."),
    )
    play = stage(Reply("It is shipped."), start=version(flow(*nodes, edges=[edge("tool", "tell")]), library=LIBRARY))
    play.variables |= {"name": "Ann", "order": 5, "other": "x"}
    assert await play.play() == [
        "at tool",
        "assistant: One moment, Ann.",
        'call look_up {"order": 5}',
        "look_up gave: shipped",
        "at tell over tool>tell",
        "assistant: It is shipped.",
    ]
    assert [use.key for use in play.tools.uses] == ["run:1:call_2"]
    assert play.model.prompts[0].lines[0].text == "It gave 200."
    # Everything up to the call is written down before the tool is called.
    assert [len(one.events) for one in play.steps] == [3, 2, 1]


@pytest.mark.parametrize("spoken", [False, True])
@pytest.mark.parametrize(
    ("output", "code"),
    [
        (ToolOutput("", True, 201), 201),
        (ToolOutput("", False, 404), 404),
        (ToolOutput("", True), 200),
        (ToolOutput("", False), 500),
        (ToolOutput("", True, mocked=True), 200),
    ],
)
async def test_rule_4_2_8_the_status_is_a_number_in_a_chat_and_a_text_in_a_call(
    output: ToolOutput, code: int, spoken: bool
) -> None:
    nodes = (ToolNode("tool", "t1"), SpeakNode("yes", "Yes."), SpeakNode("no", "No."))
    wanted = is_(f"{PREFIX}last_tool_status_code", str(code) if spoken else code)
    edges = [edge("tool", "yes", wanted), edge("tool", "no")]
    play = Stage(
        Cast(version(flow(*nodes, edges=edges), library=LIBRARY)), tools=TableTools({"look_up": output}), spoken=spoken
    )
    assert (await play.play())[-1] == "assistant: Yes."


async def test_rule_4_2_8_without_edges_the_flow_ends_and_the_assistant_goes_on_as_it_stands() -> None:
    play = stage(
        Reply("It is shipped."),
        Reply("", (ToolCall("0", "book", {}),)),
        Reply("Booked."),
        start=version(
            flow(ASK, ToolNode("tool", "t1"), edges=[edge("ask", "tool", TRUE)]), library=LIBRARY, tools=(BOOK,)
        ),
    )
    play.tools.table = {**play.tools.table, "book": ok("done")}
    assert (await play.play("Hi", "Book it"))[2:] == [
        "at tool over ask>tool",
        "call look_up {}",
        "look_up gave: shipped",
        "assistant: It is shipped.",
        "caller: Book it",
        "call book {}",
        "book gave: done",
        "assistant: Booked.",
    ]
    assert {prompt.lines[0].text for prompt in play.model.prompts} == {"Be kind."}


async def test_rule_4_2_8_a_node_that_hangs_up_does() -> None:
    nodes = (ToolNode("tool", "bye", "Goodbye."),)
    play = stage(start=version(flow(*nodes), library=LIBRARY))
    assert await play.play() == [
        "at tool",
        "assistant: Goodbye.",
        "call hangup {}",
        "left hangup: the assistant hung up",
    ]


OTHER = version(
    flow(PromptNode("start", "Bill.", "Billing")), id="v2", assistant_id="b", name="Bill", greeting="Hello!"
)


async def test_rule_4_2_9_the_reply_is_delivered_and_the_next_turn_is_the_other_assistants() -> None:
    start = version(flow(ASK, edges=[edge("ask", "@b", "It is about money.", "money")]))
    play = Stage(
        Cast(start, {"b": OTHER}), ListModel([Reply("I see."), Routing((1,)), Reply("Which bill?")], takes_s=0.5)
    )
    assert await play.play("Money", "Yes") == [
        "at ask",
        "caller: Money",
        "assistant: I see.",
        "to b over money",
        "at start",
        "caller: Yes",
        "assistant: Which bill?",
    ]
    handed = next(event for event in play.events if isinstance(event, HandedOver))
    assert handed == HandedOver("b", "v2", "Bill", START + 1000, "money", 500, COST)
    assert play.model.prompts[-1].lines[0].text == "Bill."
    assert [line.text for line in play.model.prompts[-1].lines[1:]] == ["Money", "I see.", "Yes"]


async def test_rule_4_2_9_where_no_reply_was_due_yet_the_other_assistant_gives_it() -> None:
    start = version(flow(ASK, edges=[edge("ask", "@b", TRUE, "money")]))
    play = Stage(Cast(start, {"b": OTHER}), ListModel([Reply("Which bill?")]))
    assert (await play.play("Money"))[2:] == ["to b over money", "at start", "assistant: Which bill?"]


async def test_rule_4_2_9_a_call_is_handed_over_when_its_model_says_so() -> None:
    start = version(flow(ASK, edges=[edge("ask", "@b", "It is about money.", "money")]))
    chosen = Reply("I see.", (ToolCall("0", "transition__money", {}),))
    play = Stage(Cast(start, {"b": OTHER}), ListModel([chosen, Reply("Which bill?")]), spoken=True)
    assert (await play.play("Money"))[2:] == [
        "assistant: I see.",
        "call transition__money {}",
        "transition__money gave: Done.",
        "to b over money",
        "at start",
        "assistant: Which bill?",
    ]


async def test_rule_4_2_10_the_record_labels_what_was_said_with_the_node_and_the_model_does_not_read_it() -> None:
    start = version(flow(ASK, TELL, edges=[edge("ask", "tell", "A number.", "number")]))
    play = stage(Reply("Which?"), Routing((1,)), Reply("Shipped."), start=start)
    await play.play("Hi", "5")
    assert [line(turn, event) for turn, event in enumerate(play.events)][:5] == [
        "[0] the conversation flow is at ask",
        "[1] caller: Hi",
        "[2] assistant: Which?",
        "[3] the conversation flow moves to Telling",
        "[4] caller: 5",
    ]
    assert [line.text for line in play.model.prompts[-1].lines] == ["Tell the state.", "Hi", "Which?", "5"]
