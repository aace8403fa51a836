from itertools import product

import pytest
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
)
from vivavoce.core.transcript import Transcript
from vivavoce.examination.course import Limits, Stop, first_to_act, is_waited_for, next_speaker, stop

LIMITS = Limits(max_duration_s=60, turn_limit=5)
CALL = ToolCalled(ToolCall("1", "look_up", {}), 0)
RESULT = ToolReturned("1", "look_up", "{}", True, 0)
FAILED = ToolReturned("1", "look_up", "no", False, 0)
MOVED, HANDED = Moved("n", 0, "e"), HandedOver("b", "v", "Bill", 0)
FOUND = Recalled(("Open at 9.",), 0)
FILLER = Message(Speaker.ASSISTANT, "One moment, please.", 0, fills=True)


def caller(text: str, took_ms: int = 0) -> Message:
    return Message(Speaker.CALLER, text, 0, took_ms)


def desk(text: str, took_ms: int = 0) -> Message:
    return Message(Speaker.ASSISTANT, text, 0, took_ms)


def stopped(*events: Event, limits: Limits = LIMITS) -> Stop | None:
    return stop(Transcript(events), limits)


def exchanges(count: int) -> list[Event]:
    return [each for number in range(count) for each in (caller(f"question {number}"), desk(f"answer {number}"))]


# --- whose turn it is -----------------------------------------------------------------------------------------------


def test_an_empty_conversation_begins_with_the_assistant_which_may_greet() -> None:
    assert next_speaker(Transcript()) is Speaker.ASSISTANT


@pytest.mark.parametrize(
    ("last", "speaker"),
    [
        (caller("Hello."), Speaker.ASSISTANT),
        (CALL, Speaker.ASSISTANT),
        (RESULT, Speaker.ASSISTANT),
        (desk("Hello."), Speaker.CALLER),
        (desk(""), Speaker.CALLER),
    ],
)
def test_the_caller_acts_after_the_assistant_has_spoken_or_was_silent(last: Event, speaker: Speaker) -> None:
    assert next_speaker(Transcript((desk("Hi."), last))) is speaker


# --- time -----------------------------------------------------------------------------------------------------------


def test_time_is_what_the_events_took() -> None:
    assert stopped(caller("a", 30_000), desk("b", 29_999)) is None
    assert stopped(caller("a", 30_000), desk("b", 30_000)) == Stop(
        Ending.MAX_DURATION, "it took 60.0 s; the limit is 60 s", Speaker.ASSISTANT
    )


@pytest.mark.parametrize(
    ("last", "speaker"), [(caller("a", 60_000), Speaker.CALLER), (CALL, Speaker.ASSISTANT), (RESULT, Speaker.ASSISTANT)]
)
def test_who_acted_last_ran_out_of_time(last: Event, speaker: Speaker) -> None:
    found = stopped(desk("Hi.", 60_000), last)
    assert found is not None
    assert found.speaker is speaker


def test_without_any_time_nothing_begins() -> None:
    found = stopped(limits=Limits(0, 5))
    assert found is not None
    assert found.ending is Ending.MAX_DURATION


# --- silence --------------------------------------------------------------------------------------------------------


def test_silences_of_the_assistant_in_a_row_end_it() -> None:
    assert stopped(caller("a"), desk("")) is None
    assert stopped(desk(""), caller("a"), desk("")) == Stop(
        Ending.SILENCE, "the assistant stayed silent 2 times in a row"
    )


@pytest.mark.parametrize("work", [(CALL, RESULT), (CALL, RESULT, MOVED), (CALL, FAILED, CALL, RESULT)])
def test_section_3_4_a_silence_after_a_tool_that_worked_is_not_one_who_stopped_answering(
    work: tuple[Event, ...],
) -> None:
    busy: list[Event] = [each for number in range(5) for each in (caller(f"press {number}"), *work, desk(""))]
    patient = Limits(60, 9)
    assert stopped(*busy, limits=patient) is None
    # Nor does it add to those before and after it.
    assert stopped(caller("a"), desk(""), *busy[-len(work) - 2 :], caller("c"), desk(""), limits=patient) is None


def test_section_3_4_one_whose_tools_work_and_who_never_speaks_has_stopped_answering_some_day() -> None:
    busy = [each for number in range(6) for each in (caller(f"press {number}"), CALL, RESULT, desk(""))]
    assert stopped(*busy[:-1], limits=Limits(60, 9)) is None
    assert stopped(*busy, limits=Limits(60, 9)) == Stop(
        Ending.SILENCE, "the assistant stayed silent 6 times in a row, whatever its tools did"
    )
    assert stopped(*busy[:-1], desk("Done."), limits=Limits(60, 9)) is None


def test_section_3_4_a_tool_that_failed_or_worked_for_an_earlier_question_excuses_no_silence() -> None:
    assert stopped(caller("a"), CALL, FAILED, desk(""), caller("b"), CALL, FAILED, desk("")) == Stop(
        Ending.SILENCE, "the assistant stayed silent 2 times in a row"
    )
    assert stopped(caller("a"), CALL, RESULT, desk(""), caller("b"), desk(""), caller("c"), desk("")) is not None


def test_a_word_between_silences_begins_anew() -> None:
    assert stopped(desk(""), caller("a"), desk("Yes?"), caller("b"), desk("")) is None


# --- loops ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speaker", Speaker)
def test_a_speaker_who_says_the_same_thing_in_a_row_is_in_a_loop(speaker: Speaker) -> None:
    say, other = (caller, desk) if speaker is Speaker.CALLER else (desk, caller)
    events: list[Event] = [say("Are you there?"), other("a"), say("Are you there?"), other("b"), say("Are you there?")]
    assert stopped(*events) == Stop(Ending.LOOP, f"the {speaker.value} said the same thing 3 times in a row", speaker)
    assert stopped(*events[:-1]) is None
    assert stopped(*events[:-1], say("Are you really there?")) is None


def test_the_same_thing_is_the_same_in_any_case_spacing_and_punctuation() -> None:
    assert stopped(desk("Are you there?"), desk("are  you there"), desk("Are you… THERE!")) is not None


def test_what_has_no_letters_can_be_repeated_too() -> None:
    found = stopped(*[desk("👍"), desk("👍 ")] * 3)
    assert found is not None
    assert found.ending is Ending.LOOP
    assert stopped(*[desk("👍")] * 5, desk("👋")) is None


def test_a_word_or_two_can_answer_several_questions() -> None:
    assert stopped(*[caller("Yes, please.")] * 5) is None
    assert stopped(*[caller("Yes, please.")] * 6) == Stop(
        Ending.LOOP, "the caller said the same thing 6 times in a row", Speaker.CALLER
    )


def test_silence_is_no_loop() -> None:
    patient = Limits(60, 5, silences=9)
    assert stopped(desk(""), desk(""), desk(""), limits=patient) is None


def test_only_the_last_messages_make_a_loop() -> None:
    assert stopped(*[desk("Always the same.")] * 3, desk("Other.")) is None


@pytest.mark.parametrize("answers", [["It is on its way."] * 4, [f"Answer {number}." for number in range(4)]])
def test_a_script_is_no_loop_and_neither_are_the_answers_to_it(answers: list[str]) -> None:
    lines = ("Where is my parcel?",) * 4
    events = [each for answer in answers for each in (caller(lines[0]), desk(answer))]
    for many in range(len(events) + 1):
        assert stop(Transcript(tuple(events[:many])), LIMITS, lines=lines) is None
    assert stop(Transcript(tuple(events)), LIMITS) is not None


def test_what_is_said_freely_before_and_behind_a_script_can_be_a_loop() -> None:
    again = caller("Where is my parcel?")
    lines = (None, again.text)
    round_ = [again, desk("a"), again, desk("b"), again, desk("c"), again, desk("d")]
    assert stop(Transcript(tuple(round_)), LIMITS, lines=lines) is None
    found = stop(Transcript((*round_, again)), LIMITS, lines=lines)
    assert found == Stop(Ending.LOOP, "the caller said the same thing 3 times in a row", Speaker.CALLER)
    assert stop(Transcript((again,) * 3), LIMITS, lines=(None,) * 3) == found


def test_an_assistant_that_goes_on_by_itself_can_be_in_a_loop_all_the_same() -> None:
    lines = ("Where is my parcel?",)
    events = [caller(lines[0]), *[desk("I am looking for it.")] * 4]
    assert stop(Transcript(tuple(events[:-1])), LIMITS, lines=lines) is None
    found = stop(Transcript(tuple(events)), LIMITS, lines=lines)
    assert found is not None
    assert (found.ending, found.speaker) == (Ending.LOOP, Speaker.ASSISTANT)


# --- turns ----------------------------------------------------------------------------------------------------------


def test_the_turn_limit_counts_messages_of_the_caller_and_waits_for_the_last_answer() -> None:
    assert stopped(*exchanges(4)) is None
    assert stopped(*exchanges(4), caller("one more thing")) is None
    assert stopped(*exchanges(5)) == Stop(Ending.TURN_LIMIT, "the caller spoke 5 times without coming to an end")


def test_an_assistant_that_is_still_at_work_on_its_last_answer_is_waited_for() -> None:
    work: list[Event] = [*exchanges(4), caller("one more thing"), desk("One moment."), CALL, RESULT]
    assert stopped(*work) is None
    assert stopped(*work, desk("Done.")) is not None


def test_without_any_turn_the_assistant_may_still_greet() -> None:
    none = Limits(60, 0)
    assert stopped(limits=none) is None
    found = stopped(desk("Hi."), limits=none)
    assert found is not None
    assert found.ending is Ending.TURN_LIMIT


# --- utterances -----------------------------------------------------------------------------------------------------

TALKATIVE = Limits(60, 100, utterance_limit=6)


def test_section_3_4_the_utterance_limit_counts_messages_of_both() -> None:
    assert stopped(*exchanges(2), desk("And more."), limits=TALKATIVE) is None
    assert stopped(*exchanges(3), limits=TALKATIVE) == Stop(
        Ending.TURN_LIMIT, "caller and assistant said 6 messages without coming to an end; the limit is 6"
    )
    assert stopped(*exchanges(3), limits=Limits(60, 100)) is None


def test_section_3_4_the_last_message_may_be_answered_by_leaving_and_not_by_words() -> None:
    five = [*exchanges(2), desk("And more.")]
    assert stopped(*five, caller("And?"), limits=TALKATIVE) is None
    found = stopped(*five, caller("And?"), desk("So."), limits=TALKATIVE)
    assert found is not None
    assert found.reason == "caller and assistant said 7 messages without coming to an end; the limit is 6"
    # Whoever has more to do says no more than that either.
    assert stop(Transcript((*five, caller("And?"), desk("So."))), TALKATIVE, Speaker.ASSISTANT) is not None


def test_section_3_4_silences_and_words_that_fill_the_time_are_no_utterances() -> None:
    assert stopped(*exchanges(2), FILLER, caller("a?"), FILLER, desk(""), limits=TALKATIVE) is None


# --- all of them ----------------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.one_of(
        st.builds(caller, st.sampled_from("abc"), st.integers(0, 3000)),
        st.builds(desk, st.sampled_from(["", "a", "b"]), st.integers(0, 3000)),
        st.just(CALL),
        st.just(RESULT),
    ),
    max_size=12,
)


@given(EVENTS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_a_conversation_stops_for_the_reason_that_is_there_and_for_no_other(
    events: list[Event], turn_limit: int, repeats: int, silences: int
) -> None:
    limits = Limits(8, turn_limit, repeats, silences)
    answers = [one.text for one in events if isinstance(one, Message) and one.speaker is Speaker.ASSISTANT]
    questions = [one.text for one in events if isinstance(one, Message) and one.speaker is Speaker.CALLER]
    reasons = {
        Ending.MAX_DURATION: sum(one.took_ms for one in events) >= 8000,
        Ending.SILENCE: _is_silent(events, silences),
        Ending.LOOP: any(
            # All of these messages are short.
            len(own) >= 2 * repeats and len(set(own[-2 * repeats :])) == 1 and own[-1]
            for own in (answers, questions)
        ),
        Ending.TURN_LIMIT: len(questions) >= turn_limit
        and isinstance(events[-1], Message)
        and events[-1].speaker is Speaker.ASSISTANT,
    }
    found = stop(Transcript(tuple(events)), limits)
    assert (found.ending if found else None) == next((ending for ending, holds in reasons.items() if holds), None)
    assert found is None or found.reason


def _is_silent(events: list[Event], silences: int) -> bool:
    """The same rule, told otherwise: what was said, ``.`` for a silence after work, ``!`` for one without."""
    told = ""
    for turn, event in enumerate(events):
        if isinstance(event, Message) and event.speaker is Speaker.ASSISTANT:
            asked = [
                at for at, one in enumerate(events[:turn]) if isinstance(one, Message) and one.speaker != "assistant"
            ]
            told += event.text or ("." if RESULT in events[max(asked, default=0) : turn] else "!")
    return told.endswith("!" * silences) or len(told) - len(told.rstrip(".!")) >= 3 * silences


def test_somebody_always_acts_next() -> None:
    events: list[Event] = [caller("a"), desk("b"), desk(""), CALL, RESULT, Left(Ending.GOODBYE, 0)]
    for pair in product(events, repeat=2):
        assert next_speaker(Transcript(pair)) in Speaker


# --- movements, handovers and words that fill the time --------------------------------------------------------------


@pytest.mark.parametrize("passed_over", [(MOVED,), (HANDED,), (FOUND,), (MOVED, HANDED, MOVED), (FILLER,)])
@pytest.mark.parametrize("last", [caller("Hello."), desk("Hi."), CALL, RESULT])
def test_they_leave_it_open_whose_turn_it_is(passed_over: tuple[Event, ...], last: Event) -> None:
    talk = Transcript((last, *passed_over))
    assert next_speaker(talk) is next_speaker(Transcript((last,)))
    assert is_waited_for(talk) is (next_speaker(talk) is Speaker.ASSISTANT)


def test_nobody_waits_before_anything_has_happened() -> None:
    assert not is_waited_for(Transcript())
    assert not is_waited_for(Transcript((MOVED,)))


def test_an_assistant_that_moves_is_listened_to_first_when_it_goes_on() -> None:
    assert first_to_act(Transcript((caller("a"), desk("b")))) is Speaker.CALLER
    assert first_to_act(Transcript((caller("a"), desk("b"), MOVED))) is Speaker.ASSISTANT
    assert first_to_act(Transcript((HANDED, caller("a"), desk("b")))) is Speaker.ASSISTANT


def test_words_that_fill_the_time_are_no_answer_no_silence_and_no_loop() -> None:
    assert stopped(desk(""), FILLER, desk("")) is not None
    assert stopped(*[FILLER] * 9) is None
    assert (
        stopped(desk("Still the same."), FILLER, desk("Still the same."), FILLER, desk("Still the same.")) is not None
    )


def test_who_knows_whose_turn_it_is_waits_for_an_assistant_that_has_more_to_do() -> None:
    talk = Transcript(tuple(exchanges(5)))
    assert stop(talk, LIMITS) is not None
    assert stop(talk, LIMITS, Speaker.CALLER) is not None
    assert stop(talk, LIMITS, Speaker.ASSISTANT) is None


def test_what_is_not_a_message_is_the_assistants_time() -> None:
    found = stopped(caller("a", 60_000), MOVED)
    assert found is not None
    assert found.speaker is Speaker.ASSISTANT
