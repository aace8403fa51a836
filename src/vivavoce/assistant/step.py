"""The assistant's runtime: one step is one model call, or the tool calls that the last one asked for.

The step keeps nothing: all it knows is the cast, the state and what was heard. Chat, messages, calls and
examinations run on this one function, and whoever runs it writes each step's events down before the next. What
follows from the record alone (a greeting, words and movements of a flow) is a step of its own where nothing else was
asked, so that it is written down before anybody is asked.
"""

from collections.abc import Sequence
from dataclasses import replace

from vivavoce.assistant import braces
from vivavoce.assistant.calls import Known, Outside, at_once, call_round, to_say
from vivavoce.assistant.flow import questions, routed, walk, ways
from vivavoce.assistant.moving import calling as called
from vivavoce.assistant.offer import as_name
from vivavoce.assistant.place import Need, Scene, flow_variables, stands, tool_of
from vivavoce.assistant.ports import Models, Routing, Tools
from vivavoce.assistant.prompt import Part, before_calls, calling, part_of, prompt, routing, speaking
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
from vivavoce.assistant.templating import fill
from vivavoce.core.assistant import MODEL_OPENS, Cast, Rules, Version
from vivavoce.core.clock import Clock
from vivavoce.core.event import Event, HandedOver, Message, Moved, Recalled, Speaker, ToolCall, ToolCalled, Usage
from vivavoce.core.flow import AskCondition, CallCondition, ComponentNode, EndNode, PromptNode, SpeakNode, ToolNode
from vivavoce.core.mind import Mind
from vivavoce.core.model import Answer, Model, ModelFailure, Prompt, Reply, Trouble
from vivavoce.core.transcript import Transcript

RECENT_WORDS = 6
"""How many messages documents are searched with."""

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
            done = await _ask(scene, models, tools, clock, listener)
        case Need.SPEECH:
            done = (await _say(scene, models, clock, listener),)
        case Need.ARGUMENTS:
            done = (await _fill_in(scene, models, clock),)
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
    now = clock.now()
    if version.templating.rules is Rules.NESTED:
        variables = {**braces.standing(version, state.transcript, now), **variables}
    elif version.flow is not None:
        variables = {**variables, **flow_variables(version, state.transcript, spoken=state.spoken)}
    return Scene(cast, version, state, variables, now)


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
            known, pending = _callable(scene), transcript.pending_calls()
            fills = at_once(known, pending, scene)
            speaks = not fills and bool(to_say(known, pending)) and not _spoke(before_calls(transcript))
            return fills or (Need.SPEECH if speaks else Need.TOOLS)
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
    words = fill(version.greeting, scene_of(cast, state, clock).filling)
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
    kinds = AskCondition | CallCondition if scene.state.spoken and flow.routes == "after" else CallCondition
    open_ = [way for way in ways(scene, flow, here.node) if isinstance(way.condition, kinds)]
    return part_of(scene.version, here.node, open_)


def _mind(scene: Scene) -> Mind:
    """The model that decides at this node."""
    standing = stands(scene)
    node = standing[1].node if standing is not None else None
    return (node.mind if node is not None and not isinstance(node, ComponentNode) else None) or scene.version.mind


def _callable(scene: Scene) -> Known:
    """What the pending calls can mean: the tool of a tool node, or what the model was offered."""
    standing = stands(scene)
    if standing is not None and isinstance(standing[1].node, ToolNode):
        here = standing[1]
        behind = scene.transcript.events[here.entered + 1 :]
        own = next((event.call for event in behind if isinstance(event, ToolCalled)), None)
        if own is not None and scene.transcript.result_of(own.id) is None:
            tool = tool_of(scene.version, standing[0], standing[1].node.tool)
            return {own.name: tool} if tool is not None else {}
    return _part(scene).offered


async def _ask(
    scene: Scene, models: Models, tools: Tools, clock: Clock, listener: Listener | None
) -> tuple[Event, ...]:
    part, transcript = _part(scene), scene.transcript
    with_tools = rounds(_own_work(scene)) < MAX_ROUNDS
    shown = _shown(transcript) if part.recall is not None else None
    found = () if shown is not None else await _recalled(part, transcript, tools, clock)
    passages = next((one.passages for one in (shown, *found) if one is not None), ())
    asked = prompt(part, transcript, scene.filling, with_tools=with_tools, memory=scene.state.memory, passages=passages)
    started = clock.ticks()
    model = await models.chosen(part.mind, scene.version.fallback, scene.variables)
    overheard = listener if not part.silent else None
    reply = await (model.reply(asked) if overheard is None else _overheard(model, asked, overheard))
    if part.silent:
        reply = replace(reply, text="")
    return (*found, *said(reply, asked, transcript.plus(found), clock, started))


def _own_work(scene: Scene) -> Transcript:
    """What the model has done of itself. A flow that looks where to go before the assistant answers bounds itself what
    it does, and many nodes that call tools may lead to one that talks."""
    standing = stands(scene)
    if standing is None or standing[0].routes == "after":
        return scene.transcript
    return Transcript(scene.transcript.events[standing[1].entered + 1 :])


def _shown(transcript: Transcript) -> Recalled | None:
    """What was found for the same words at the same place: a round of tool calls later nobody has to search again."""
    found = (
        event
        for event in reversed(transcript.events)
        if isinstance(event, Recalled | Moved | HandedOver) or (isinstance(event, Message) and not event.fills)
    )
    last = next(found, None)
    return last if isinstance(last, Recalled) else None


async def _recalled(part: Part, transcript: Transcript, tools: Tools, clock: Clock) -> tuple[Recalled, ...]:
    """What documents say of the last that was said; nothing where there is none to search, or nothing was said."""
    words = [message.text for _, message in transcript.messages() if message.text][-RECENT_WORDS:]
    if part.recall is None or not words:
        return ()
    started = clock.ticks()
    passages = await tools.recalled(part.recall, "\n".join(words))
    took_ms = round((clock.ticks() - started) * 1000)
    return (Recalled(passages, clock.now(), took_ms),) if passages else ()


async def _say(scene: Scene, models: Models, clock: Clock, listener: Listener | None) -> Event:
    """Words that a tool or a node prescribes in substance."""
    pending = scene.transcript.pending_calls()
    mind = _mind(scene)
    part = Part(_part(scene).instructions, mind, {})
    asked = speaking(part, scene.transcript, scene.filling, _wish(scene, pending), scene.state.memory)
    started = clock.ticks()
    model = await models.chosen(mind, scene.version.fallback, scene.variables)
    reply = await (model.reply(asked) if listener is None else _overheard(model, asked, listener))
    took_ms = round((clock.ticks() - started) * 1000)
    return Message(Speaker.ASSISTANT, reply.text.strip(), clock.now(), took_ms, reply.usage, fills=bool(pending))


def _wish(scene: Scene, pending: Sequence[ToolCall]) -> str:
    if pending:
        return to_say(_callable(scene), pending)
    standing = stands(scene)
    node = standing[1].node if standing is not None else None
    assert isinstance(node, SpeakNode | ToolNode | EndNode), "only these prescribe words"
    return node.message


def _spoke(transcript: Transcript) -> bool:
    last = transcript.events[-1] if transcript.events else None
    return isinstance(last, Message) and last.speaker is Speaker.ASSISTANT and bool(last.text)


async def _fill_in(scene: Scene, models: Models, clock: Clock) -> Event:
    """The call of a tool node, with the arguments that the model finds."""
    standing = stands(scene)
    assert standing is not None, "only a flow has nodes"
    flow, here = standing
    assert isinstance(here.node, ToolNode), "only a tool node calls a tool"
    tool = tool_of(scene.version, flow, here.node.tool)
    assert tool is not None, "only a tool that is there has arguments"
    mind = _mind(scene)
    name = as_name(tool.name)
    asked = calling(
        Part(scene.version.instructions, mind, {name: tool}), scene.transcript, scene.filling, scene.state.memory
    )
    started = clock.ticks()
    model = await models.chosen(mind, scene.version.fallback, scene.variables)
    reply = await model.reply(asked)
    took_ms = round((clock.ticks() - started) * 1000)
    call = next((call for call in reply.calls if call.name == name), None)
    made = called(replace(scene, now=clock.now()), tool.name, call.arguments if call else {})
    return replace(made, took_ms=took_ms, usage=reply.usage)


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
    asked = {edge.id: fill(question, scene.filling) for edge, question in questions(scene, flow, here.node)}
    started = clock.ticks()
    model = await models.chosen(_mind(scene), scene.version.fallback, scene.variables)
    try:
        answer = await model.decide(routing(tuple(asked.values()), scene.transcript), Routing)
    except ModelFailure as failure:
        if failure.trouble is not Trouble.GARBLED:
            raise
        answer = Answer(Routing(()), Usage(model.name))  # who cannot say that one holds has not said so
    holding = {edge for number, edge in enumerate(asked, 1) if number in answer.value.holding}
    took_ms = round((clock.ticks() - started) * 1000)
    return routed(replace(scene, now=clock.now()), flow, holding, took_ms, answer.usage)
