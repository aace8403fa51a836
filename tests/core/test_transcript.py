from hypothesis import given
from hypothesis import strategies as st

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
    Usage,
)
from vivavoce.core.transcript import Transcript

SOME_MS = st.integers(0, 100_000)


def caller(text: str = "hello", took_ms: int = 0) -> Message:
    return Message(Speaker.CALLER, text, 0, took_ms)


def desk(text: str = "hello", took_ms: int = 0) -> Message:
    return Message(Speaker.ASSISTANT, text, 0, took_ms)


def called(call_id: str = "1", took_ms: int = 0) -> ToolCalled:
    return ToolCalled(ToolCall(call_id, "look_up", {}), 0, took_ms)


def returned(call_id: str = "1", took_ms: int = 0) -> ToolReturned:
    return ToolReturned(call_id, "look_up", "{}", True, 0, took_ms)


def left(took_ms: int = 0) -> Left:
    return Left(Ending.GOODBYE, 0, Speaker.CALLER, "done", took_ms)


EVENTS: st.SearchStrategy[list[Event]] = st.lists(
    st.one_of(
        st.builds(caller, st.sampled_from(["", "hello"]), SOME_MS),
        st.builds(desk, st.sampled_from(["", "hello"]), SOME_MS),
        st.builds(called, st.sampled_from("123"), SOME_MS),
        st.builds(returned, st.sampled_from("123"), SOME_MS),
    )
)


def test_a_transcript_grows_at_its_end_and_stays_as_it_was() -> None:
    before = Transcript((caller(),))
    assert before.plus([desk()]) == Transcript((caller(), desk()))
    assert before == Transcript((caller(),))


def test_it_has_ended_when_the_last_event_is_that_somebody_left() -> None:
    assert Transcript().ending is None
    assert Transcript((caller(),)).ending is None
    assert Transcript((caller(), left())).ending is Ending.GOODBYE


def test_a_turn_is_the_place_of_an_event_counted_from_0() -> None:
    talk = Transcript((desk("hi"), caller("a"), called(), returned(), desk(""), left()))
    assert list(talk.messages()) == [(0, desk("hi")), (1, caller("a")), (4, desk(""))]
    assert talk.said(Speaker.CALLER) == ((1, caller("a")),)
    assert talk.said(Speaker.ASSISTANT) == ((0, desk("hi")), (4, desk("")))
    assert talk.tool_calls() == ((2, called().call),)


def test_a_call_is_pending_until_it_has_a_result() -> None:
    talk = Transcript((called("1"), called("2"), returned("2")))
    assert talk.pending_calls() == (called("1").call,)
    assert talk.result_of("2") == returned("2")
    assert talk.result_of("1") is None
    assert talk.plus([returned("1")]).pending_calls() == ()


@given(EVENTS)
def test_pending_calls_are_those_without_a_result_in_order(events: list[Event]) -> None:
    talk = Transcript(tuple(events))
    assert talk.pending_calls() == tuple(call for _, call in talk.tool_calls() if talk.result_of(call.id) is None)


def test_what_the_models_cost_is_what_all_events_say() -> None:
    talk = Transcript(
        (
            Message(Speaker.CALLER, "a", 0, 0, Usage("tester", 1, 10)),
            ToolCalled(called().call, 0, 0, Usage("assistant", 2, 20, 3)),
            returned(),
            desk("no model wrote this"),
            Left(Ending.GOODBYE, 0, usage=Usage("tester", 4, 40)),
        )
    )
    assert talk.usage == Usage("tester", 7, 70, 5)
    assert Transcript().usage == Usage(attempts=0)


def test_the_time_of_a_response_is_all_that_the_assistant_did_between_a_message_and_the_end_of_its_reply() -> None:
    talk = Transcript(
        (
            desk("an opening that nobody waited for", 9000),
            caller("a", 500),
            desk("One moment.", 100),
            called("1", 20),
            returned("1", 3000),
            desk("It is here.", 400),
            caller("b", 700),
            desk("Bye.", 50),
            left(),
        )
    )
    assert talk.response_times() == ((5, 3520), (7, 50))


def test_a_response_that_is_still_the_last_thing_counts() -> None:
    assert Transcript((caller(), desk("x", 5))).response_times() == ((1, 5),)


def test_a_message_that_was_never_answered_has_no_response() -> None:
    assert Transcript((caller("a"), caller("b"), desk("x", 5), caller("c"), left())).response_times() == ((2, 5),)
    assert Transcript((caller("a"), called("1", 7))).response_times() == ()


def test_an_opening_is_no_response() -> None:
    assert Transcript((desk("hi", 5), left())).response_times() == ()


def to_words(stretch: list[Event]) -> list[Event]:
    """The stretch up to its last words: nobody waits for what comes after them."""
    return stretch[: max(place for place, event in enumerate(stretch) if isinstance(event, Message)) + 1]


@given(EVENTS, st.integers(0, 100_000))
def test_responses_and_everything_else_add_up_to_what_the_conversation_took(events: list[Event], last_ms: int) -> None:
    talk = Transcript((*events, left(last_ms)))
    opening: list[Event] = []
    stretches = [opening]
    for event in events:
        if isinstance(event, Message) and event.speaker is Speaker.CALLER:
            stretches.append([])
        else:
            stretches[-1].append(event)
    answered = [stretch for stretch in stretches[1:] if any(isinstance(event, Message) for event in stretch)]
    responses = talk.response_times()
    assert [spent for _, spent in responses] == [sum(event.took_ms for event in to_words(one)) for one in answered]
    assert sum(spent for _, spent in responses) <= talk.talked_ms == sum(event.took_ms for event in talk.events)
    for turn, _ in responses:
        event = talk.events[turn]
        assert isinstance(event, Message)
        assert event.speaker is Speaker.ASSISTANT


# --- what is neither said nor done ----------------------------------------------------------------------------------

MOVED, HANDED = Moved("ask", 0, took_ms=40), HandedOver("b", "v", "Bill", 0, took_ms=50)


def filler(took_ms: int = 0) -> Message:
    return Message(Speaker.ASSISTANT, "One moment.", 0, took_ms, fills=True)


def test_the_last_act_passes_over_movements_and_words_that_fill_the_time() -> None:
    assert Transcript().last_act is None
    assert Transcript((MOVED, HANDED, filler())).last_act is None
    assert Transcript((caller("a"), called(), filler(), MOVED, HANDED)).last_act == called()
    assert Transcript((caller("a"), MOVED)).last_act == caller("a")
    assert Transcript((left(),)).last_act == left()


def test_words_that_fill_the_time_are_said_and_are_no_response() -> None:
    talk = Transcript((caller(), called("1", 20), filler(), returned("1", 3000), desk("Here.", 400), MOVED, left()))
    assert talk.response_times() == ((4, 3420),)
    assert [message.text for _, message in talk.said(Speaker.ASSISTANT)] == ["One moment.", "Here."]
    assert Transcript((caller(), called("1", 20), filler(), left())).response_times() == ()


def test_what_moving_takes_before_words_counts_and_after_them_does_not() -> None:
    assert Transcript((caller(), MOVED, desk("x", 5), HANDED, caller())).response_times() == ((2, 45),)


def test_what_stands_behind_the_end_was_not_part_of_the_conversation() -> None:
    talk = Transcript((caller("a", 1), left(2), called("1", 7), returned("1", 7), desk("done", 7)))
    assert talk.end == (1, left(2))
    assert talk.ending is Ending.GOODBYE
    assert talk.talked_ms == 3
    assert list(talk.messages()) == [(0, caller("a", 1))]
    assert talk.response_times() == ()
    assert len(talk.tool_calls()) == 1
    assert Transcript((caller(),)).end is None


def test_what_was_said_after_a_silence_was_said() -> None:
    """Silence ended the conversation for a while only; the words after it used to be overlooked."""
    idle = Left(Ending.IDLE, 0)
    talk = Transcript((caller("a"), desk("b"), idle, called("1", 7), returned("1", 7), desk("done")))
    assert [message.text for _, message in talk.messages()] == ["a", "b"]
    again = talk.plus((caller("c"), desk("d")))
    assert [(turn, message.text) for turn, message in again.messages()] == [(0, "a"), (1, "b"), (6, "c"), (7, "d")]
    assert [message.text for _, message in again.plus((left(), caller("e"))).messages()] == ["a", "b", "c", "d"]


def test_a_new_call_has_an_id_that_no_other_has() -> None:
    talk = Transcript((caller(), called("call_3"), called("call_3_")))
    assert [talk.free_call_id(turn) for turn in (2, 3)] == ["call_2", "call_3__"]


def test_documents_that_were_found_leave_it_open_whose_turn_it_is_and_cost_no_tokens() -> None:
    found = Recalled(("The shop is open.",), 0, 30)
    talk = Transcript((caller(), found))
    assert talk.last_act == caller()
    assert talk.usage.attempts == 0
    assert talk.plus([desk("Open.")]).response_times()[0][1] >= 30


def test_tokens_are_told_by_model_and_what_no_event_cost_was_the_judges() -> None:
    events = (
        Message(Speaker.CALLER, "a", 0, usage=Usage("small", 10, 1)),
        desk(),
        Message(Speaker.ASSISTANT, "b", 0, usage=Usage("big", 20, 2)),
        ToolCalled(ToolCall("1", "look_up", {}), 0, 0, Usage("big", 5, 0)),
        returned(),
        Recalled(("words",), 0),
    )
    talk = Transcript(events)
    total = talk.usage.plus(Usage("small", 100, 10))
    assert talk.tokens_by_model(total) == {"small": (110, 11), "big": (25, 2)}
    assert talk.tokens_by_model(talk.usage) == {"small": (10, 1), "big": (25, 2)}
    assert talk.tokens_by_model(Usage()) == {"small": (10, 1), "big": (25, 2)}  # never below what the record says
    assert Transcript((desk(),)).tokens_by_model(Usage("judge")) == {}
