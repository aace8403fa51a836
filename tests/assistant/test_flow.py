"""What the contract leaves open about flows, and what happens at their edges."""

from dataclasses import replace

import pytest
from tests.support.players import START, ListModel, TableTools
from tests.support.scenes import PREFIX, TRUE, Stage, edge, flow, is_, ok, version

from vivavoce.assistant.after import MAX_VISITS
from vivavoce.assistant.place import flow_variables, place
from vivavoce.assistant.ports import Routing
from vivavoce.assistant.prompt import OPENING
from vivavoce.core.assistant import MODEL_OPENS, Cast
from vivavoce.core.event import Ending, Event, HandedOver, Left, Message, Moved, Speaker, ToolCall, Usage
from vivavoce.core.expression import Comparison, Literally, Variable
from vivavoce.core.flow import BranchNode, EndNode, Flow, PromptNode, SpeakNode, ToolNode
from vivavoce.core.model import ModelFailure, Reply, Trouble
from vivavoce.core.tool import Act, FunctionTool, LineTarget, LineTool, OtherTool, SkipTool
from vivavoce.core.transcript import Transcript

LIBRARY = {
    "t1": FunctionTool("look_up"),
    "move": LineTool(Act.TRANSFER, "transfer", (LineTarget("+1", "Ann"),)),
    "skip": SkipTool(),
    "odd": OtherTool("odd"),
}
ASK, TELL = PromptNode("ask", "Ask."), PromptNode("tell", "Tell.")


def stage(made: Flow, *answers: object, others: bool = False, spoken: bool = False, **settings: object) -> Stage:
    second = version(flow(SpeakNode("hey", "Hey.")), id="v2", assistant_id="b", name="Bill", greeting="Welcome.")
    cast = Cast(version(made, library=LIBRARY, **settings), {"b": second} if others else {})
    return Stage(
        cast, ListModel(list(answers)), TableTools({"look_up": ok("shipped"), "transfer": ok("ringing")}), spoken=spoken
    )


# --- the start ------------------------------------------------------------------------------------------------------


async def test_a_greeting_is_said_first_and_a_speak_node_speaks_at_once() -> None:
    play = stage(flow(SpeakNode("hello", "Hello."), ASK, edges=[edge("hello", "ask")]), greeting="Welcome.")
    assert await play.play() == ["assistant: Welcome.", "at hello", "assistant: Hello.", "at ask over hello>ask"]


async def test_a_model_that_opens_has_the_instructions_of_the_start_node_and_its_opening_is_no_reply() -> None:
    made = flow(ASK, TELL, edges=[edge("ask", "tell", "Whatever.")])
    play = stage(made, Reply("Hello!"), Reply("Yes?"), Routing((1,)), greeting=MODEL_OPENS)
    assert await play.play("Hi") == [
        "at ask",
        "assistant: Hello!",
        "caller: Hi",
        "assistant: Yes?",
        "at tell over ask>tell",
    ]
    assert [line.text for line in play.model.prompts[0].lines] == ["Ask.", OPENING]


async def test_a_tool_at_the_start_works_at_once_and_the_caller_is_waited_for() -> None:
    made = flow(ToolNode("tool", "t1"), ASK, edges=[edge("tool", "ask")])
    play = stage(made, Reply("Yes?"))
    assert await play.play("Hi") == [
        "at tool",
        "call look_up {}",
        "look_up gave: shipped",
        "at ask over tool>ask",
        "caller: Hi",
        "assistant: Yes?",
    ]
    opening = stage(made, Reply("Hello!"), greeting=MODEL_OPENS)
    assert (await opening.play())[-1] == "assistant: Hello!"


async def test_a_caller_who_speaks_first_finds_the_flow_at_its_start() -> None:
    play = stage(flow(ASK), Reply("Yes?"), greeting="Welcome.")
    assert await play.play("Hi", opens=False) == ["caller: Hi", "at ask", "assistant: Yes?"]


# --- moving on ------------------------------------------------------------------------------------------------------


async def test_a_node_that_is_entered_after_words_waits_and_after_a_tool_it_speaks() -> None:
    nodes = (ASK, SpeakNode("say", "One moment."), TELL)
    play = stage(flow(*nodes, edges=[edge("ask", "say", TRUE), edge("say", "tell")]), Reply("Well?"))
    assert (await play.play("Hi", "And?"))[2:] == [
        "at say over ask>say",
        "assistant: One moment.",
        "at tell over say>tell",
        "caller: And?",
        "assistant: Well?",
    ]
    nodes = (ASK, ToolNode("tool", "t1"), TELL)
    made = flow(*nodes, edges=[edge("ask", "tool", "Anything."), edge("tool", "tell")])
    play = stage(made, Reply("I see."), Routing((1,)), Reply("It is shipped."))
    assert (await play.play("Hi"))[2:] == [
        "assistant: I see.",
        "at tool over ask>tool",
        "call look_up {}",
        "look_up gave: shipped",
        "at tell over tool>tell",
        "assistant: It is shipped.",
    ]


async def test_a_question_on_an_edge_of_a_tool_node_is_asked_of_the_assistants_model() -> None:
    nodes = (ToolNode("tool", "t1"), SpeakNode("good", "Good."), SpeakNode("bad", "Bad."))
    made = flow(*nodes, edges=[edge("tool", "good", "It went well."), edge("tool", "bad")])
    for spoken in (False, True):
        assert (await stage(made, Routing((1,)), spoken=spoken).play())[-1] == "assistant: Good."
        assert (await stage(made, Routing((2,)), spoken=spoken).play())[-1] == "assistant: Bad."


async def test_where_no_edge_of_a_tool_node_can_be_taken_the_flow_is_over() -> None:
    made = flow(ToolNode("tool", "t1"), ASK, edges=[edge("tool", "ask", "It went well.")])
    play = stage(made, Routing(()), Reply("Yes?"))
    assert (await play.play("Hi"))[-3:] == ["at tool", "caller: Hi", "assistant: Yes?"]
    assert play.model.prompts[-1].lines[0].text == "Be kind."


async def test_a_judge_whose_answer_is_no_answer_has_not_said_that_a_condition_holds() -> None:
    made = flow(ASK, TELL, edges=[edge("ask", "tell", "Anything.")])
    play = stage(
        made, Reply("Well?"), ModelFailure(Trouble.GARBLED, "?"), Reply("And?"), ModelFailure(Trouble.REFUSED, "no")
    )
    assert (await play.play("Hi"))[-1] == "at ask"
    last = play.events[-1]
    assert isinstance(last, Moved)
    assert last.usage == Usage("list/model")
    with pytest.raises(ModelFailure, match="no"):
        await play.play("Yes")


async def test_a_reply_that_nobody_has_judged_yet_is_judged_before_the_next_one() -> None:
    made = flow(ASK, TELL, edges=[edge("ask", "tell", "Anything.")])
    play = stage(made, Routing((1,)), Reply("I tell."))
    said = Message(Speaker.CALLER, "Hi", START)
    play.state = play.state.plus((Moved("ask", START), said, Message(Speaker.ASSISTANT, "Well?", START)))
    assert (await play.play("Yes"))[3:] == ["caller: Yes", "at tell over ask>tell", "assistant: I tell."]
    stays = stage(made, Routing(()), Reply("Yes."), Routing(()))
    stays.state = stays.state.plus(play.events[:3])
    assert (await stays.play("Yes"))[3:] == ["caller: Yes", "at ask", "assistant: Yes.", "at ask"]


async def test_words_that_come_with_calls_are_no_reply_yet() -> None:
    made = flow(ASK, TELL, edges=[edge("ask", "tell", "Anything.")])
    calls = (ToolCall("0", "look_up", {}),)
    play = stage(made, Reply("One moment.", calls), Reply("Shipped."), Routing((1,)), tools=(LIBRARY["t1"],))
    assert [one.split(":")[0] for one in await play.play("Hi")][2:] == [
        "assistant",
        "call look_up {}",
        "look_up gave",
        "assistant",
        "at tell over ask>tell",
    ]


async def test_in_a_chat_expressions_wait_for_the_end_of_a_turn_that_has_begun() -> None:
    tools = {"look_up": ok("", variables={"vip": "yes"})}
    made = flow(ASK, SpeakNode("say", "Dear!"), edges=[edge("ask", "say", is_("vip", "yes"))])
    play = stage(made, Reply("", (ToolCall("0", "look_up", {}),)), Reply("Welcome."), tools=(LIBRARY["t1"],))
    play.tools.table = tools
    assert (await play.play("Hi"))[4:] == ["assistant: Welcome.", "at say over ask>say", "assistant: Dear!"]


async def test_a_turn_that_stays_silent_can_move_on_as_well() -> None:
    made = flow(ASK, TELL, edges=[edge("ask", "tell", "Anything.")])
    play = stage(made, Reply("", (ToolCall("0", "skip_turn", {}),)), Routing((1,)), tools=(SkipTool(),))
    assert (await play.play("Hi"))[2:] == [
        "call skip_turn {}",
        "skip_turn gave: Done.",
        "assistant: ",
        "at tell over ask>tell",
    ]


# --- tool nodes -----------------------------------------------------------------------------------------------------


async def test_a_transfer_in_a_node_leaves_and_a_failed_one_advances() -> None:
    made = flow(ToolNode("tool", "move"), SpeakNode("no", "Nobody is there."), edges=[edge("tool", "no")])
    assert (await stage(made).play())[1:] == [
        "call transfer {}",
        "transfer gave: ringing",
        "left transfer: the caller was put through to Ann",
    ]
    play = stage(made)
    play.tools = TableTools({"transfer": replace(ok("busy"), ok=False)})
    assert (await play.play())[1:] == [
        "call transfer {}",
        "transfer failed: busy",
        "at no over tool>no",
        "assistant: Nobody is there.",
    ]


async def test_a_tool_that_is_gone_or_of_no_known_kind_fails_and_the_flow_goes_on() -> None:
    made = flow(ToolNode("tool", "gone"), SpeakNode("on", "On."), edges=[edge("tool", "on")])
    assert (await stage(made).play())[1:] == [
        "call gone {}",
        "gone failed: There is no tool named 'gone'.",
        "at on over tool>on",
        "assistant: On.",
    ]
    play = stage(flow(ToolNode("tool", "odd")))
    play.tools = TableTools({"": replace(ok("nobody runs it"), ok=False)})
    assert (await play.play())[1:] == ["call odd {}", "odd failed: nobody runs it"]


async def test_a_node_that_stays_silent_goes_on() -> None:
    made = flow(ToolNode("tool", "skip", "{{nothing}}"), SpeakNode("on", "On."), edges=[edge("tool", "on")])
    assert (await stage(made).play())[1:] == [
        "call skip_turn {}",
        "skip_turn gave: Done.",
        "assistant: ",
        "at on over tool>on",
        "assistant: On.",
    ]


# --- going round ----------------------------------------------------------------------------------------------------


async def test_a_ring_of_speak_nodes_ends_the_conversation_with_a_reason() -> None:
    made = flow(SpeakNode("a", "A."), SpeakNode("b", "B."), edges=[edge("a", "b"), edge("b", "a")])
    play = stage(made)
    await play.play()
    last = play.events[-1]
    assert isinstance(last, Left)
    assert (last.ending, last.speaker) == (Ending.ASSISTANT_FAULT, Speaker.ASSISTANT)
    assert last.reason == (
        f"the flow goes round without coming to rest: it came to 'a' {MAX_VISITS} times since the caller spoke"
    )
    assert len([event for event in play.events if isinstance(event, Message)]) == 2 * MAX_VISITS


async def test_a_tool_that_is_tried_again_and_again_ends_it_too_and_its_judge_is_paid() -> None:
    made = flow(ToolNode("tool", "t1", name="Trying"), edges=[edge("tool", "tool", "It is not shipped.")])
    play = stage(made, *[Routing((1,))] * MAX_VISITS)
    await play.play()
    last = play.events[-1]
    assert isinstance(last, Left)
    assert "'Trying'" in last.reason
    assert last.usage is not None


async def test_assistants_that_hand_over_in_a_ring_end_it_too() -> None:
    first = version(flow(SpeakNode("a", "A."), edges=[edge("a", "@b")]))
    second = version(flow(SpeakNode("a", "B."), edges=[edge("a", "@a")]), id="v2", assistant_id="b", name="Bill")
    play = Stage(Cast(first, {"b": second}))
    await play.play()
    last = play.events[-1]
    assert isinstance(last, Left)
    assert "it came to 'b' 3 times" in last.reason


async def test_from_a_node_that_talks_no_edge_leads_to_where_the_turn_has_been() -> None:
    nodes = (ASK, ToolNode("tool", "t1"))
    made = flow(*nodes, edges=[edge("ask", "tool", "It wants news."), edge("tool", "ask")])
    play = stage(made, Reply("I see."), Routing((1,)), Reply("Shipped."), Reply("Yes."), Routing(()))
    # The condition still holds after the second reply, and is not asked about again before the caller speaks.
    assert (await play.play("News?"))[2:] == [
        "assistant: I see.",
        "at tool over ask>tool",
        "call look_up {}",
        "look_up gave: shipped",
        "at ask over tool>ask",
        "assistant: Shipped.",
        "at ask",
    ]
    assert (await play.play("Thanks"))[9:] == ["caller: Thanks", "assistant: Yes.", "at ask"]


async def test_two_assistants_whose_edges_point_at_each_other_come_to_rest() -> None:
    first = version(flow(ASK, edges=[edge("ask", "@b", TRUE)]))
    second = version(flow(TELL, edges=[edge("tell", "@a", TRUE)]), id="v2", assistant_id="b", name="Bill")
    play = Stage(Cast(first, {"b": second}), ListModel([Reply("Well?")]))
    assert (await play.play("Hi"))[2:] == [
        "to b over ask>@b",
        "at tell",
        "to a over tell>@a",
        "at ask",
        "assistant: Well?",
    ]


# --- other assistants -----------------------------------------------------------------------------------------------


async def test_an_edge_to_an_assistant_that_cannot_be_reached_is_not_there() -> None:
    made = flow(ASK, edges=[edge("ask", "@gone", TRUE), edge("ask", "@gone", "Anything.")])
    play = stage(made, Reply("Yes?"))
    assert (await play.play("Hi"))[2:] == ["assistant: Yes?", "at ask"]
    assert len(play.model.prompts) == 1


async def test_an_assistant_that_takes_over_before_anybody_spoke_greets() -> None:
    play = stage(flow(ToolNode("tool", "t1"), edges=[edge("tool", "@b")]), others=True)
    assert (await play.play())[3:] == ["to b over tool>@b", "assistant: Welcome.", "at hey", "assistant: Hey."]
    spoken = stage(flow(SpeakNode("a", "A."), edges=[edge("a", "@b")]), others=True)
    assert (await spoken.play())[2:] == ["to b over a>@b", "at hey", "assistant: Hey."]


# --- reading the record ---------------------------------------------------------------------------------------------


def at(node: str, over: str = "") -> Moved:
    return Moved(node, START, over)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), None),
        ((at("ask"),), ("ask", 0, 0)),
        ((at("ask"), at("ask")), ("ask", 0, 1)),
        ((at("ask"), at("ask"), at("ask")), ("ask", 0, 2)),
        ((at("ask"), at("ask", "loop")), ("ask", 1, 1)),
        ((at("tell"), at("ask", "e"), at("ask")), ("ask", 1, 2)),
        ((at("gone"), at("ask")), ("ask", 1, 1)),
        ((at("ask"), at("gone", "e")), None),
        ((at("ask"), HandedOver("b", "v", "B", START)), None),
        ((at("ask"), HandedOver("b", "v", "B", START), at("tell")), ("tell", 2, 2)),
    ],
)
def test_where_a_flow_stands(events: tuple[Event, ...], expected: tuple[str, int, int] | None) -> None:
    here = place(flow(ASK, TELL), Transcript(events))
    assert (here and (here.node.id, here.entered, here.stayed)) == expected


async def test_a_node_that_is_gone_begins_the_flow_again() -> None:
    play = stage(flow(ASK), Reply("Yes?"))
    play.state = play.state.plus((at("gone"),))
    assert await play.play("Hi") == ["at gone", "caller: Hi", "at ask", "assistant: Yes?"]


async def test_how_long_it_lasts_is_a_variable_of_the_flow() -> None:
    name = f"{PREFIX}conversation_duration_secs"
    long = Comparison(">=", Variable(name), Literally(90.0))
    made = flow(
        PromptNode("ask", f"After {{{{{name}}}}}."), SpeakNode("late", "It is late."), edges=[edge("ask", "late", long)]
    )
    play = stage(made, Reply("Yes?"))
    await play.play("Hi")
    assert play.model.prompts[0].lines[0].text == "After 0."
    play.clock.advance(91)
    assert (await play.play("Still there?"))[-1] == "assistant: It is late."
    assert flow_variables(play.cast.first, Transcript(), spoken=False) == {name: 0}
    assert flow_variables(version(), Transcript(), spoken=False) == {}


async def test_the_status_of_a_tool_is_that_of_the_last_tool_node_of_this_flow() -> None:
    status = f"{PREFIX}last_tool_status_code"
    made = flow(ToolNode("tool", "t1"), ASK, edges=[edge("tool", "ask")])
    play = stage(made, Reply("", (ToolCall("0", "look_up", {}),)), Reply("Yes."), tools=(LIBRARY["t1"],))
    play.tools = TableTools({"look_up": replace(ok(), status_code=201)})
    await play.play()
    play.tools = TableTools({"look_up": replace(ok(), ok=False, status_code=404)})
    await play.play("Hi")
    talk = play.state.transcript
    assert flow_variables(play.cast.first, talk, spoken=False)[status] == 201
    gone = talk.plus((HandedOver("a", "v", "Desk", START),))
    assert status not in flow_variables(play.cast.first, gone, spoken=False)


async def test_a_branch_in_a_flow_of_this_kind_says_nothing_and_goes_on() -> None:
    made = flow(
        BranchNode("fork"), SpeakNode("say", "Hello."), EndNode("end"), edges=[edge("fork", "say"), edge("say", "end")]
    )
    assert await stage(made).play() == ["at fork", "at say over fork>say", "assistant: Hello.", "at end over say>end"]
