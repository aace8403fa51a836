"""The assistant's runtime: one step is one model call, or the tool calls that the last one asked for.

The step keeps nothing: all it knows is the cast, the state and what was heard. Chat, messages, calls and
examinations run on this one function, and whoever runs it writes each step's events down before the next. What
follows from the record alone (a greeting, words and movements of a flow) is a step of its own where nothing else was
asked, so that it is written down before anybody is asked.
"""

from collections.abc import Sequence
from dataclasses import replace

from vivavoce.assistant.calls import Known, Outside, at_once, call_round
from vivavoce.assistant.flow import Need, Scene, flow_variables, open_edges, routed, stands, walk
from vivavoce.assistant.ports import Models, Routing, Tools
from vivavoce.assistant.prompt import Part, part_of, prompt, routing
from vivavoce.assistant.state import (
    MAX_ROUNDS,
    Listener,
    State,
    Step,
    active,
    owes_words,
    rounds,
    said_anything,
)
from vivavoce.assistant.variables import render
from vivavoce.core.assistant import MODEL_OPENS, Cast, Version
from vivavoce.core.clock import Clock
from vivavoce.core.event import Event, HandedOver, Message, Speaker, ToolCalled, Usage
from vivavoce.core.flow import AskCondition, PromptNode, ToolNode
from vivavoce.core.model import Answer, Model, ModelFailure, Prompt, Reply, Trouble
from vivavoce.core.transcript import Transcript

__all__ = ["MAX_ROUNDS", "Listener", "State", "Step", "active", "rounds", "step"]


async def step(
    cast: Cast,
    state: State,
    heard: Sequence[Event],
    *,
    models: Models,
    tools: Tools,
    clock: Clock,
    listener: Listener | None = None,
) -> Step:
    """The next thing the assistant does, having heard this; nothing, where it rests.

    With a ``listener``, words are handed to it in pieces while they come. Raises ``ModelFailure`` where a model does;
    a tool that fails is told to the model and raises nothing.
    """
    state = state.plus(heard)
    events, need = _settle(cast, state, clock)
    if events or need is Need.NOTHING:
        await _tell(listener, events)
        return Step(events, state.plus(events), need is Need.NOTHING)
    scene = scene_of(cast, state, clock)
    match need:
        case Need.WORDS:
            done = await _ask(scene, models, clock, listener)
        case Need.ROUTE:
            done = (await _route(scene, models, clock),)
        case _:
            pending = state.transcript.pending_calls()
            done = await call_round(scene, pending, _callable(scene), Outside(tools, clock, listener))
    state = state.plus(done)
    follows, need = _settle(cast, state, clock)
    await _tell(listener, follows)
    return Step((*done, *follows), state.plus(follows), need is Need.NOTHING)


def scene_of(cast: Cast, state: State, clock: Clock) -> Scene:
    """What the rules look at now."""
    version = active(cast, state.transcript)
    variables = state.current()
    if version is not cast.first:
        variables = {**version.variables, **variables}  # its own defaults
    if version.flow is not None:
        variables = {**variables, **flow_variables(version, state.transcript, spoken=state.spoken)}
    return Scene(cast, version, state, variables, clock.now())


# --- what follows from the record alone -----------------------------------------------------------------------------


def _settle(cast: Cast, state: State, clock: Clock) -> tuple[tuple[Event, ...], Need]:
    events: list[Event] = []
    while True:
        follows = _next(cast, state, clock)
        if isinstance(follows, Need):
            return tuple(events), follows
        events += follows
        state = state.plus(follows)


def _next(cast: Cast, state: State, clock: Clock) -> tuple[Event, ...] | Need:
    transcript = state.transcript
    if transcript.ending is not None:
        return Need.NOTHING
    last = transcript.events[-1] if transcript.events else None
    if transcript.pending_calls():
        if isinstance(last, ToolCalled):
            scene = scene_of(cast, state, clock)
            fills = at_once(_callable(scene), transcript.pending_calls(), scene)
            return fills or Need.TOOLS
        return Need.TOOLS
    version = active(cast, transcript)
    if (last is None or isinstance(last, HandedOver)) and not said_anything(transcript):
        greeting = _greeting(version, cast, state, clock)
        if greeting:
            return greeting
    if version.flow is None:
        return Need.WORDS if owes_words(version, transcript) else Need.NOTHING
    follows = walk(scene_of(cast, state, clock), version.flow)
    return follows if isinstance(follows, Need) else (follows,)


def _greeting(version: Version, cast: Cast, state: State, clock: Clock) -> tuple[Event, ...]:
    """The fixed greeting; an empty or absent one waits for the caller (contract, section 6.4)."""
    if not version.greeting or version.greeting == MODEL_OPENS:
        return ()
    words = render(version.greeting, scene_of(cast, state, clock).variables)
    return (Message(Speaker.ASSISTANT, words, clock.now()),) if words.strip() else ()


async def _tell(listener: Listener | None, events: Sequence[Event]) -> None:
    if listener is not None:
        for words in (event.text for event in events if isinstance(event, Message) and event.text):
            await listener(words)


# --- what has to be asked -------------------------------------------------------------------------------------------


def _part(scene: Scene) -> Part:
    standing = stands(scene)
    if standing is None or not isinstance(standing[1].node, PromptNode):
        return part_of(scene.version)
    flow, here = standing
    ways = open_edges(scene, flow, here.node) if scene.state.spoken else ()
    return part_of(scene.version, here.node, [way for way in ways if isinstance(way.condition, AskCondition)])


def _callable(scene: Scene) -> Known:
    """What the pending calls can mean: the tool of a tool node, or what the model was offered."""
    standing = stands(scene)
    if standing is not None and isinstance(standing[1].node, ToolNode):
        here = standing[1]
        behind = scene.transcript.events[here.entered + 1 :]
        own = next(event.call for event in behind if isinstance(event, ToolCalled))
        if scene.transcript.result_of(own.id) is None:
            tool = scene.version.library.get(standing[1].node.tool)
            return {own.name: tool} if tool is not None else {}
    return _part(scene).offered


async def _ask(scene: Scene, models: Models, clock: Clock, listener: Listener | None) -> tuple[Event, ...]:
    part, transcript = _part(scene), scene.transcript
    with_tools = rounds(transcript) < MAX_ROUNDS
    asked = prompt(part, transcript, scene.variables, with_tools=with_tools, memory=scene.state.memory)
    started = clock.ticks()
    model = await models.chosen(part.mind, scene.version.fallback, scene.variables)
    reply = await (model.reply(asked) if listener is None else _overheard(model, asked, listener))
    return said(reply, asked, transcript, clock, started)


async def _overheard(model: Model, asked: Prompt, listener: Listener) -> Reply:
    reply = Reply("")
    async for piece in model.stream(asked):
        if isinstance(piece, Reply):
            reply = piece
        else:
            await listener(piece)
    return reply


def said(reply: Reply, asked: Prompt, transcript: Transcript, clock: Clock, started: float) -> tuple[Event, ...]:
    """A model's reply as events; its time and its cost are the first one's."""
    took_ms = round((clock.ticks() - started) * 1000)
    now = clock.now()
    events: list[Event] = []
    calls = reply.calls if asked.tools else ()
    text = reply.text if reply.text.strip() else ""  # white space is silence
    if text or not calls:
        events.append(Message(Speaker.ASSISTANT, text, now, took_ms, reply.usage))
    for call in calls:
        own = replace(call, id=transcript.free_call_id(len(transcript.events) + len(events)))
        first = not events
        events.append(ToolCalled(own, now, took_ms if first else 0, reply.usage if first else None))
    return tuple(events)


async def _route(scene: Scene, models: Models, clock: Clock) -> Event:
    """Which way the flow goes: one question about all conditions (contract, section 4.2, rule 4)."""
    standing = stands(scene)
    assert standing is not None, "only a flow is routed"
    flow, here = standing
    asked = {
        edge.id: render(edge.condition.prompt, scene.variables)
        for edge in open_edges(scene, flow, here.node)
        if isinstance(edge.condition, AskCondition)
    }
    started = clock.ticks()
    model = await models.chosen(_part(scene).mind, scene.version.fallback, scene.variables)
    try:
        answer = await model.decide(routing(tuple(asked.values()), scene.transcript), Routing)
    except ModelFailure as failure:
        if failure.trouble is not Trouble.GARBLED:
            raise
        answer = Answer(Routing(()), Usage(model.name))  # who cannot say that one holds has not said so
    holding = {edge for number, edge in enumerate(asked, 1) if number in answer.value.holding}
    took_ms = round((clock.ticks() - started) * 1000)
    return routed(replace(scene, now=clock.now()), flow, holding, took_ms, answer.usage)
