"""The messages of section 10, to the client and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.support.store import NOW, a_version

from vivavoce.api.retell.wire.messages import (
    MessageShape,
    collected,
    dump_messages,
    dump_place,
    dump_text,
    find_node,
    read_messages,
)
from vivavoce.assistant.place import place
from vivavoce.core.assistant import Cast
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Recalled,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.flow import (
    AskCondition,
    BackTarget,
    BranchNode,
    CallCondition,
    Edge,
    Flow,
    Global,
    Inner,
    NodeTarget,
    PromptNode,
)
from vivavoce.core.transcript import Transcript

ASK = AskCondition("it holds")
SHARED = "01234567-89ab-cdef-0123-456789abcdef"
NODES = Flow(
    "ask",
    (
        PromptNode("ask", "", "Ask"),
        PromptNode("answer", "", "Answer"),
        PromptNode("help", "", "Help"),
        BranchNode("part", "Part"),
        PromptNode("part/in", "", "Inside"),
        BranchNode("other", "Other"),
        PromptNode("other/in", "", "Inside too"),
    ),
    (
        Edge("e1", "ask", ASK, NodeTarget("answer")),
        Edge("e2", "ask", ASK, NodeTarget("ask")),
        Edge("e3", "answer", ASK, NodeTarget("part")),
        Edge("part/", "part", ASK, NodeTarget("part/in")),
        Edge("back", "help", ASK, BackTarget()),
    ),
    routes="before",
    globals=(Global("g", "help", ASK),),
    inner={"part/in": Inner("mine", "in"), "other/in": Inner(SHARED, "in")},
)
STATES = Flow(
    "first",
    (PromptNode("first", "", "first"), PromptNode("second", "", "second")),
    (Edge("t", "first", CallCondition("transition_to_second", ""), NodeTarget("second")),),
)
READ = TypeAdapter[list[MessageShape]](list[MessageShape])


def agent(text: str, **fields: Any) -> Message:
    return Message(Speaker.ASSISTANT, text, NOW, **fields)


def user(text: str) -> Message:
    return Message(Speaker.CALLER, text, NOW)


def call(id_: str, name: str = "find", **arguments: Any) -> ToolCalled:
    return ToolCalled(ToolCall(id_, name, arguments), NOW)


def result(id_: str, output: str = "found", *, ok: bool = True, **variables: Any) -> ToolReturned:
    return ToolReturned(id_, "find", output, ok, NOW, variables=variables)


def moved(node: str, edge: str = "", name: str = "") -> Moved:
    return Moved(node, NOW, edge, name)


def cast(flow: Flow | None = None, **others: Flow) -> Cast:
    first = a_version(assistant_id="a", flow=flow)
    return Cast(first, {id_: a_version(assistant_id=id_, flow=theirs) for id_, theirs in others.items()})


def shown(*events: Event, flow: Flow | None = None, **others: Flow) -> list[dict[str, Any]]:
    """Without the ids and times of the messages."""
    messages = dump_messages(Transcript(events), cast(flow, **others), key="k")
    return [{name: one[name] for name in one if name not in ("message_id", "created_timestamp")} for one in messages]


def read(*messages: dict[str, Any], flow: Flow | None = None, component: str | None = None) -> tuple[Event, ...]:
    return read_messages(READ.validate_python(list(messages)), flow, now=NOW, component=component)


# --- to the client --------------------------------------------------------------------------------------------------


def test_section_10_every_message_has_an_id_of_its_own_that_stays() -> None:
    transcript = Transcript((agent("Hello."), user("Hi."), agent("Yes?")))
    messages = dump_messages(transcript, None, key="0123-45")
    assert messages == dump_messages(transcript, None, key="0123-45")
    assert messages[0] == {
        "role": "agent",
        "content": "Hello.",
        "message_id": "message_012345_0",
        "created_timestamp": NOW,
    }
    assert len({one["message_id"] for one in messages}) == 3
    assert dump_messages(transcript, None, key="0123-45", first=2) == messages[2:]


def test_section_10_calls_have_their_arguments_written_out_and_results_say_whether_they_worked() -> None:
    assert shown(user("Find it."), call("c1", a="é", n=1), result("c1", "no", ok=False)) == [
        {"role": "user", "content": "Find it."},
        {"role": "tool_call_invocation", "tool_call_id": "c1", "name": "find", "arguments": '{"a": "é", "n": 1}'},
        {"role": "tool_call_result", "tool_call_id": "c1", "content": "no", "successful": False},
    ]


def test_section_5_words_that_fill_the_time_of_a_call_precede_it() -> None:
    filler = agent("One moment.", fills=True)
    messages = shown(agent("Sure."), call("c1"), call("c2"), filler, result("c1"), result("c2"))
    assert [one.get("content", one.get("tool_call_id")) for one in messages] == [
        "Sure.",
        "One moment.",
        "c1",
        "c2",
        "found",
        "found",
    ]
    # Those of an earlier round stay where they were.
    later = shown(call("c1"), result("c1"), call("c2"), filler, result("c2"))
    assert [one["role"] for one in later][2:4] == ["agent", "tool_call_invocation"]


def test_silences_of_the_agent_and_what_documents_say_are_left_out() -> None:
    assert shown(agent(""), user(""), Recalled(("p",), NOW)) == [{"role": "user", "content": ""}]


def test_what_happens_when_it_is_over_is_left_out_until_a_silent_chat_goes_on() -> None:
    ends = Left(Ending.HANGUP, NOW, Speaker.ASSISTANT)
    assert shown(agent("Bye."), ends, agent("Report."), user("Hello?")) == [{"role": "agent", "content": "Bye."}]
    idle = Left(Ending.IDLE, NOW)
    assert [one["content"] for one in shown(agent("Hi."), idle, agent("Report."), user("Back."), agent("Hi!"))] == [
        "Hi.",
        "Back.",
        "Hi!",
    ]


def test_section_7_movements_are_node_transitions() -> None:
    events = (
        moved("ask", name="Ask"),
        agent("Which?"),
        user("A."),
        moved("ask"),  # it stayed
        moved("answer", "e1", "Answer"),
        moved("help", "g", "Help"),
        moved("answer", "back", "Answer"),
    )
    transitions = [one for one in shown(*events, flow=NODES) if one["role"] == "node_transition"]
    assert transitions == [
        {"role": "node_transition", "new_node_id": "ask", "new_node_name": "Ask"},
        {
            "role": "node_transition",
            "former_node_id": "ask",
            "former_node_name": "Ask",
            "new_node_id": "answer",
            "new_node_name": "Answer",
            "transition_type": "normal",
        },
        {
            "role": "node_transition",
            "former_node_id": "answer",
            "former_node_name": "Answer",
            "new_node_id": "help",
            "new_node_name": "Help",
            "transition_type": "global",
        },
        {
            "role": "node_transition",
            "former_node_id": "help",
            "former_node_name": "Help",
            "new_node_id": "answer",
            "new_node_name": "Answer",
            "transition_type": "global_go_back",
        },
    ]


def test_a_way_from_a_node_to_itself_is_a_transition() -> None:
    assert [one["new_node_id"] for one in shown(moved("ask"), moved("ask", "e2"), flow=NODES)] == ["ask", "ask"]


def test_a_node_inside_a_component_has_the_id_that_its_author_gave_it() -> None:
    last = shown(moved("part"), moved("part/in", "part/"), flow=NODES)[-1]
    assert (last["former_node_id"], last["new_node_id"], last["new_node_name"]) == ("part", "in", "Inside")


def test_without_a_flow_a_movement_is_one_of_nodes() -> None:
    first, second = shown(moved("x"), moved("y", "e"))
    assert first == {"role": "node_transition", "new_node_id": "x", "new_node_name": "x"}
    assert (second["former_node_name"], second["transition_type"]) == ("x", "normal")
    # Nobody is known who spoke.
    assert dump_messages(Transcript((moved("x"), HandedOver("b", "v", "B", NOW))), None, key="k")[0]["role"] == (
        "node_transition"
    )


def test_section_4_states_have_transitions_beside_the_call_that_led_there() -> None:
    events = (
        moved("first", name="first"),
        user("Go on."),
        call("c1", "transition_to_second", topic="x"),
        result("c1", topic="x"),
        moved("second", "t", "second"),
    )
    assert [one["role"] for one in shown(*events, flow=STATES)] == [
        "user",
        "tool_call_invocation",
        "tool_call_result",
        "state_transition",
    ]
    assert shown(*events, flow=STATES)[-1] == {
        "role": "state_transition",
        "former_state_name": "first",
        "new_state_name": "second",
    }


def test_after_a_handover_the_movements_are_those_of_who_took_over() -> None:
    events = (moved("ask"), HandedOver("b", "v", "B", NOW), moved("first"), moved("second", "t"))
    assert [one["role"] for one in shown(*events, flow=NODES, b=STATES)] == ["node_transition", "state_transition"]
    gone = (moved("first"), HandedOver("c", "v", "C", NOW), moved("x"))
    assert [one["role"] for one in shown(*gone, flow=STATES)] == ["node_transition"]


def test_section_9_the_transcript_is_a_line_for_each_message() -> None:
    assert dump_text(Transcript((agent("Hello."), user("Hi."), agent("")))) == "Agent: Hello.\nUser: Hi."


def test_section_6_variables_that_were_set_are_texts() -> None:
    transcript = Transcript((result("a", x=1, y="old"), result("b", y=True)))
    assert collected(transcript) == {"x": "1", "y": "true"}


@pytest.mark.parametrize(
    ("flow", "node", "expected"),
    [
        (STATES, "second", {"current_state": "second"}),
        (NODES, "ask", {"current_node_id": "ask"}),
        (NODES, "part/in", {"current_node_id": "in", "component_id": "mine"}),
        (
            NODES,
            "other/in",
            {"current_node_id": "in", "component_id": f"conversation_flow_component_{SHARED.replace('-', '')}"},
        ),
    ],
)
def test_section_11_where_it_stands_can_be_gone_on_from(flow: Flow, node: str, expected: dict[str, str]) -> None:
    where = dump_place(flow, node)
    assert where == expected
    named = where.get("current_state") or where["current_node_id"]
    assert find_node(flow, named, where.get("component_id")) == node


# --- from the client ------------------------------------------------------------------------------------------------


def test_words_and_calls_are_read_back() -> None:
    events = (agent("Hello."), user("Find it."), call("c1", n=1), result("c1"), agent("Here."))
    assert read(*dump_messages(Transcript(events), None, key="k")) == events


def test_ids_and_times_may_be_left_out() -> None:
    assert read({"role": "user", "content": "Hi."}) == (user("Hi."),)
    (message,) = read({"role": "user", "content": "Hi.", "created_timestamp": 5})
    assert message.at == 5


def test_section_7_movements_are_read_back_with_the_ways_they_took() -> None:
    events = (
        moved("ask", name="Ask"),
        agent("Which?"),
        user("A."),
        moved("answer", "e1", "Answer"),
        moved("help", "g", "Help"),
        moved("answer", "back", "Answer"),
        moved("part", "e3", "Part"),
        moved("part/in", "part/", "Inside"),
    )
    assert read(*dump_messages(Transcript(events), cast(NODES), key="k"), flow=NODES) == events


def test_section_4_states_are_read_back() -> None:
    back = read({"role": "state_transition", "former_state_name": "first", "new_state_name": "second"}, flow=STATES)
    found = place(STATES, Transcript(back))
    assert found is not None
    assert found.node.id == "second"


@pytest.mark.parametrize("type_", [None, "normal", "global", "global_go_back", "interrupt_go_back"])
def test_a_movement_that_no_edge_explains_is_one_all_the_same(type_: str | None) -> None:
    steps = [{"role": "node_transition", "new_node_id": id_, "transition_type": type_} for id_ in ("answer", "answer")]
    events = read(*steps, flow=NODES)
    assert [isinstance(event, Moved) for event in events] == [True, True]
    here = place(NODES, Transcript(events))
    assert here is not None
    assert (here.node.id, here.entered) == ("answer", 1)


def test_movements_to_what_is_not_there_are_left_out() -> None:
    gone = {"role": "node_transition", "new_node_id": "gone"}
    assert read(gone, {"role": "node_transition"}, {"role": "state_transition"}, flow=NODES) == ()
    assert read(gone) == ()


def test_a_node_that_two_components_have_is_that_of_the_component_that_is_named_or_near() -> None:
    inside = {"role": "node_transition", "new_node_id": "in"}
    assert read(inside, flow=NODES, component=SHARED)[0] == moved("other/in", name="Inside too")
    wire = f"conversation_flow_component_{SHARED.replace('-', '')}"
    assert read(inside, flow=NODES, component=wire)[0] == moved("other/in", name="Inside too")
    assert read(inside, flow=NODES, component="nobody") == ()
    assert read(inside, flow=NODES)[0] == moved("part/in", name="Inside")
    events = read({"role": "node_transition", "new_node_id": "other"}, inside, inside, flow=NODES)
    assert [event.node for event in events if isinstance(event, Moved)] == ["other", "other/in", "other/in"]


def test_context_and_text_messages_are_words_of_the_caller_that_say_what_they_are() -> None:
    context, text = read({"role": "injected", "content": "VIP"}, {"role": "sms", "content": "A-1"})
    assert context == user("[Context, said by nobody: VIP]")
    assert text == user("[Text message: A-1]")


def invoked(id_: str, name: str = "find", arguments: str = "{}") -> dict[str, Any]:
    return {"role": "tool_call_invocation", "tool_call_id": id_, "name": name, "arguments": arguments}


def returned(id_: str, **fields: Any) -> dict[str, Any]:
    return {"role": "tool_call_result", "tool_call_id": id_, "content": "found", **fields}


def test_a_call_that_nobody_answered_counts_as_answered_unless_it_is_about_to_be_made() -> None:
    said = {"role": "user", "content": "Hi."}
    assert Transcript(read(invoked("a"), said)).pending_calls() == ()
    assert [one.id for one in Transcript(read(said, invoked("a"), invoked("b"))).pending_calls()] == ["a", "b"]
    # A result that came before its call answers nothing.
    assert Transcript(read(returned("a"), invoked("a"), said)).pending_calls() == ()


def test_results_without_a_call_and_second_ones_are_left_out() -> None:
    assert read(returned("a")) == ()
    assert len(read(invoked("a"), invoked("a"), returned("a"), returned("a"))) == 2


def test_a_result_worked_unless_it_says_otherwise() -> None:
    events = read(invoked("a"), returned("a", successful=None), invoked("b"), returned("b", successful=False))
    assert [event.ok for event in events if isinstance(event, ToolReturned)] == [True, False]


@pytest.mark.parametrize("arguments", ["[]", "1", "{", '"x"', '{"a": NaN}', "[" * 100_000])
def test_arguments_must_be_an_object(arguments: str) -> None:
    with pytest.raises(ValidationError, match="JSON object"):
        read(invoked("a", arguments=arguments))


def test_no_arguments_are_none() -> None:
    assert read(invoked("a", arguments=""))[0] == call("a")


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValidationError, match="role"):
        read({"role": "system", "content": "x"})


def transition(node: str, type_: str | None) -> dict[str, Any]:
    return {"role": "node_transition", "new_node_id": node, "transition_type": type_}


def words(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


_types = st.sampled_from(["normal", "global", "global_go_back", None])
_said: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(words, st.sampled_from(["agent", "user"]), st.text()),
    st.builds(invoked, st.sampled_from("abc")),
    st.builds(returned, st.sampled_from("abc")),
    st.builds(transition, st.sampled_from(["ask", "answer", "help", "in", "gone"]), _types),
)


@given(st.lists(_said, max_size=12))
def test_whatever_a_client_tells_only_calls_at_the_end_wait(said: list[dict[str, Any]]) -> None:
    transcript = Transcript(read(*json.loads(json.dumps(said)), flow=NODES))
    waiting = [one.id for one in transcript.pending_calls()]
    assert len(waiting) == len(set(waiting))
    last = transcript.events[len(transcript.events) - len(waiting) :]
    assert [event.call.id for event in last if isinstance(event, ToolCalled)] == waiting


@pytest.mark.parametrize(
    "arguments",
    [r'{"a": "\ud800"}', r'{"\udc00": 1}', '{"a": 1e999}', r'{"a": "\u0000"}', '{"a": ' + "[" * 101 + "]" * 101 + "}"],
)
def test_arguments_hold_what_a_request_may_hold(arguments: str) -> None:
    with pytest.raises(ValidationError, match="of what a request may hold"):
        read(invoked("a", arguments=arguments))
