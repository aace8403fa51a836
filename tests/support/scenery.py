"""A dashboard with something to look at: suites over weeks, tests that fail for reasons, people who write and call.

Everything is written beside a server that is there already, with times of its own. Nothing waits to be driven.
"""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.scenery_talks import EXAMS, Exam, happened, turn_of
from tests.support.store import Hand, a_conversation, set_row
from vivavoce.channels.messenger import Loopback
from vivavoce.core.appointment import Appointment, Standing
from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.event import Ending, Event, Left, Speaker, Usage
from vivavoce.core.flow import AskCondition, Edge, EndNode, Flow, NodeTarget, PromptNode, ToolNode
from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.ids import uuid7
from vivavoce.core.insight import Finding, FindingStatus, Found, Insight, InsightGroup
from vivavoce.core.mind import Mind
from vivavoce.core.rollout import Rollout, Rule, Slot
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.schedule import Firing, Outcome, Schedule
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.core.tool import FunctionTool, HangupTool, WebhookTool
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Quote, Verdict
from vivavoce.models.config import ModelSettings
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.guard import Guard
from vivavoce.outbound.signing import Signer
from vivavoce.services import assistants, runs, scenarios
from vivavoce.services.context import Context, Limits
from vivavoce.services.turns import Turns
from vivavoce.storage import (
    appointments,
    conversations,
    findings,
    hooks,
    insights,
    rollouts,
    schedules,
    texts,
)
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage.codec import usage_codec, verdicts_codec
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.journal import Journal
from vivavoce.storage.orgs import DEFAULT
from vivavoce.storage.seal import Seal

DAY = 86_400_000
HOUR = 3_600_000
DESK, CLINIC = "support desk", "clinic reception, out of hours"
LONG = "Reads out a very long name: " + "the-caller-spells-everything-" * 4 + "and then some"
_OURS, _THEIRS = "+442079460101", "+447700900123"
INSTRUCTIONS = """\
You are the support desk of {{shop_name}}, which sells lamps. Be friendly and brief.

Look an order up before you say anything about it, and say what you found as it stands there. Never guess a date.
Refunds are decided by people: open a ticket, and say that a refund takes up to five working days.
When somebody is angry, or asks for a person, put them through at once.

on hear /\\b([A-Z]-\\d{4})\\b/: call lookup_order {"order_number": "$1"}
on hear "refund": say "I am sorry about that. I can open a ticket for our refunds team."
on hear "order": say "Gladly. What is your order number?"
on hear "bye": say "Goodbye."; hang up
else: say "I am sorry, could you say that in other words?"
"""


@dataclass(frozen=True)
class Scenery:
    """Where to look: ids of one of everything."""

    assistant: str
    version: str
    flow: str
    test: str
    failed: str
    passed: str
    errored: str
    running: str
    batch: str
    batch_before: str
    conversation: str
    chat: str
    insight: str
    schedule: str
    ours: str = _OURS
    theirs: str = _THEIRS

    @property
    def paths(self) -> dict[str, str]:
        """A page of every kind, by what the router calls it; a query shows what a page can show beside that."""
        home = f"/ui/assistants/{self.assistant}"
        return {
            "/": "/",
            "/ui/suites": "/ui/suites",
            "/ui/suites/{name:path}": "/ui/suites/support%20desk",
            "/ui/runs": "/ui/runs",
            "/ui/runs/{run_id}": f"/ui/runs/{self.failed}",
            "/ui/tests": "/ui/tests",
            "/ui/tests/new": "/ui/tests/new?suite=support%20desk",
            "/ui/tests/{test_id}": f"/ui/tests/{self.test}",
            "/ui/tests/{test_id}/delete": f"/ui/tests/{self.test}/delete",
            "/ui/batches": "/ui/batches",
            "/ui/batches/{batch_id}": f"/ui/batches/{self.batch}",
            "/ui/compare": f"/ui/compare?left={self.batch_before}&right={self.batch}",
            "/ui/assistants": "/ui/assistants",
            "/ui/assistants/{id}": home,
            "/ui/assistants/{id}/edit": f"{home}/edit",
            "/ui/assistants/{id}/compare": f"{home}/compare",
            "/ui/assistants/{id}/traffic": f"{home}/traffic",
            "/ui/chat/{assistant_id}": f"/ui/chat/{self.assistant}",
            "/ui/chat/{assistant_id}/{id}": f"/ui/chat/{self.assistant}/{self.chat}",
            "/ui/conversations": "/ui/conversations",
            "/ui/conversations/{id}": f"/ui/conversations/{self.conversation}",
            "/ui/insights": "/ui/insights",
            "/ui/insights/{id}": f"/ui/insights/{self.insight}",
            "/ui/schedules": "/ui/schedules",
            "/ui/schedules/new": "/ui/schedules/new",
            "/ui/schedules/{id}": f"/ui/schedules/{self.schedule}",
            "/ui/schedules/{id}/edit": f"/ui/schedules/{self.schedule}/edit",
            "/ui/scheduled": "/ui/scheduled",
            "/ui/inbox": "/ui/inbox",
            "/ui/inbox/thread": f"/ui/inbox/thread?ours=%2B{self.ours[1:]}&theirs=%2B{self.theirs[1:]}",
            "/ui/settings": "/ui/settings",
        }

    @property
    def more(self) -> tuple[str, ...]:
        """Pages that show something else than the one of their kind above."""
        return (
            f"/ui/runs/{self.errored}",
            f"/ui/runs/{self.running}",
            f"/ui/compare?left={self.passed}&right={self.failed}",
            f"/ui/assistants/{self.flow}",
            f"/ui/assistants/{self.assistant}?version={self.version}",
            "/ui/runs?status=failed&suite=no+such",
            "/ui/suites/no%20such%20suite",
        )


@dataclass
class _World:
    ctx: Context
    hand: Hand
    chance: random.Random
    made: dict[str, str] = field(default_factory=dict[str, str])


async def furnish(database: Database, now: int, days: int) -> Scenery:
    """Fill the first organisation with what happened in the ``days`` before ``now``."""
    hand, chance = Hand(now - days * DAY), random.Random(7)
    async with _context(database, hand, chance) as ctx:
        world = _World(ctx, hand, chance)

        def work(tx: Tx) -> None:
            desk, versions = _desk(world, tx)
            clinic = _clinic(world, tx)
            tests = {exam.name: _test(world, tx, exam, desk.id, DESK) for exam in EXAMS}
            for exam in EXAMS[2:4]:
                _test(world, tx, replace(exam, name=f"{exam.name}, at night"), clinic.id, CLINIC)
            _test(world, tx, replace(EXAMS[3], name=LONG), clinic.id, CLINIC)
            _insights(world, tx)
            for day in range(days):
                hand.ms = now - (days - day) * DAY + 20 * HOUR
                _batch(world, tx, DESK, versions[min(len(versions) - 1, day * len(versions) // days)], day, days)
                if day % 3 == 2:
                    _batch(world, tx, CLINIC, clinic.main, day, days)
            _errors(world, tx, tests["Refund for a broken lamp"])
            _running(world, tx, tests["Where is my order"])
            _talks(world, tx, desk, now)
            _calendar(world, tx, now)
            hooks.add(
                tx, DEFAULT, Hook(ctx.new_id(), "https://ci.example.com/hooks/viva", tuple(Occasion)[:1], hand.ms)
            )

        await database.write(work)
    return Scenery(**world.made)


@asynccontextmanager
async def _context(database: Database, hand: Hand, chance: random.Random) -> AsyncGenerator[Context]:
    async with open_session(Guard(), ticks=hand.ticks) as session:
        new_id = uuid7(hand, chance.randbytes)
        yield Context(
            database=database,
            journal=Journal(database),
            clock=hand,
            new_id=new_id,
            models=Models(ModelSettings()),
            outbound=session,
            limits=Limits(turn_limit=10, max_duration_s=600),
            numbers={},
            turns=Turns(),
            seal=Seal("a key for tests"),
            signer=Signer(lambda: bytes(32)),
            messenger=Loopback(new_id),
            wake=lambda: None,
            draw=chance.random,
        )


def _desk(world: _World, tx: Tx) -> tuple[Assistant, list[Version]]:
    number = {"type": "string", "description": "As printed on the receipt, for example A-1001"}
    one = {"type": "object", "properties": {"order_number": number}, "required": ["order_number"]}
    draft = Version(
        "",
        "",
        "Birch & Sons support desk",
        INSTRUCTIONS.replace("Never guess a date.", "Tell the day."),
        world.hand.ms,
        mind=Mind("scripted"),
        greeting="Hello, this is {{shop_name}}. How can I help?",
        description="Answers the phone and the chat of the web shop.",
        label="first draft",
        variables={"shop_name": "Birch & Sons", "closes_at": "six", "languages": {"default": "en", "others": ["fr"]}},
        tools=(
            WebhookTool(
                "lookup_order",
                "Look an order up by its number.",
                "https://shop.example.com/orders/{order_number}",
                method="GET",
                path_parameters=one,
            ),
            FunctionTool("open_ticket", "Open a ticket for the refunds team.", one),
            HangupTool("End the conversation when the caller is done."),
        ),
    )
    made = assistants.create(world.ctx, tx, DEFAULT, draft, lambda _: None, tags=("production", "voice"))
    known = [made.main]
    changes: Sequence[dict[str, Any]] = (
        {"label": "tickets for refunds", "instructions": INSTRUCTIONS.replace("up to five", "about ten")},
        {"label": "kinder words", "instructions": INSTRUCTIONS},
        {"label": "", "instructions": INSTRUCTIONS.replace("friendly and brief", "warm, calm and brief")},
    )
    for place, change in enumerate(changes):
        world.hand.turn(3 * 3_600)
        made = assistants.write(
            world.ctx,
            tx,
            DEFAULT,
            made,
            lambda main, change=change: replace(main, **change),
            lambda _: None,
            promote=place < 2,
        )
    every = kept_assistants.get_versions(tx, made.id)
    main = assistants.get(tx, DEFAULT, made.id).main
    newest = max(every, key=lambda one: one.number)
    rollouts.put(tx, made.id, Rollout((Rule((), None, (Slot(newest.id, 10),)),), world.hand.ms, world.hand.ms))
    world.made |= {"assistant": made.id, "version": newest.id}
    return replace(made, main=main), [*known, main]


def _clinic(world: _World, tx: Tx) -> Assistant:
    nodes = (
        PromptNode("ask", "Ask for the name and the date of birth.", name="Who is calling"),
        PromptNode("triage", "Ask what happened and whether it hurts.", name="What is it about"),
        ToolNode("look", "find_slots", name="Look for a slot"),
        EndNode("end", "You are booked. Get well soon.", name="Say goodbye"),
        EndNode("emergency", "Please hang up and call 999.", name="Emergency"),
    )
    edges = (
        Edge("1", "ask", AskCondition("the caller has said name and date of birth"), NodeTarget("triage")),
        Edge("2", "triage", AskCondition("it sounds like an emergency"), NodeTarget("emergency")),
        Edge("3", "triage", AskCondition("the caller wants an appointment"), NodeTarget("look")),
        Edge("4", "look", AskCondition("a slot was found"), NodeTarget("end")),
        Edge("5", "look", AskCondition("nothing is free"), NodeTarget("triage")),
    )
    flow = Flow("ask", nodes, edges, tools={"find_slots": FunctionTool("find_slots", "Free slots of a day.")})
    draft = Version(
        "", "", "Clinic reception", "You answer when the practice is closed.", world.hand.ms, mind=Mind("scripted")
    )
    made = assistants.create(world.ctx, tx, DEFAULT, replace(draft, flow=flow), lambda _: None)
    world.made["flow"] = made.id
    return made


def _test(world: _World, tx: Tx, exam: Exam, target: str, suite: str) -> Scenario:
    draft = Scenario(
        "",
        exam.name,
        target,
        exam.brief,
        tuple(Criterion(name, text) for name, text in exam.criteria),
        world.hand.ms,
        suite=suite,
        persona=exam.persona,
        variables={"customer": "Dana Whitfield"} if exam.persona else {},
        max_duration_s=300,
    )
    made = scenarios.create(world.ctx, tx, DEFAULT, draft)
    world.made.setdefault("test", made.id)
    return made


def _batch(world: _World, tx: Tx, suite: str, version: Version, day: int, days: int) -> None:
    known = {exam.name: exam for exam in EXAMS}
    ctx = world.ctx
    made = runs.trigger_suite(ctx, tx, DEFAULT, suite, version.id, "scheduled" if day % 4 else "manual")
    last = day == days - 1
    for run in made:
        name = scenarios.get(tx, DEFAULT, run.scenario_id).name
        exam = known.get(name.partition(",")[0], EXAMS[3])
        # It gets better over the weeks, and the last change broke something again.
        bad = world.chance.random() < 0.45 * (1 - day / days) + 0.05
        if suite == DESK and last:
            bad = exam.name in ("Where is my order", "Refund for a broken lamp")
        elif suite == DESK and day == days - 2:
            bad = False
        done = _ran(world, tx, run, exam, bad=bad)
        world.hand.turn(20)
        if suite == DESK and exam.name == "Where is my order":
            world.made["failed" if bad else "passed"] = done.id
            world.made["conversation"] = done.conversation_id
    if suite == DESK:
        world.made["batch_before"] = world.made.get("batch", made[0].batch_id or "")
        world.made["batch"] = made[0].batch_id or ""


def _ran(world: _World, tx: Tx, run: Run, exam: Exam, *, bad: bool) -> Run:
    at = run.created_at + 1_500
    events = happened(exam.bad if bad else exam.good, at, world.chance.uniform(0.7, 1.4))
    verdicts: list[Verdict] = []
    for name, text in exam.criteria:
        miss = exam.misses.get(name) if bad else None
        why = miss or exam.met.get(name)
        quote = Quote(turn_of(events, why.quote), why.quote) if why else None
        by = "computed" if " calls " in text or "responds within" in text else "some/judge-model"
        said = why.reason if why else "It did so, and at the right moment."
        verdicts.append(Verdict(name, Decision.UNMET if miss else Decision.MET, said, by, quote))
    unmet = [one.criterion for one in verdicts if one.decision is Decision.UNMET]
    over = events[-1].at
    transcript = Transcript(events)
    columns: dict[str, Any] = {
        "status": "failed" if unmet else "passed",
        "ending": transcript.ending.value if transcript.ending else None,
        "fault": "assistant" if unmet else None,
        "verdicts": verdicts_codec.dumps(tuple(verdicts)),
        "reason": "unmet: " + ", ".join(unmet) if unmet else "every criterion is met",
        "started_at": at,
        "completed_at": over + 3_200,
        "updated_at": over + 3_200,
        "talked_ms": transcript.talked_ms,
        "response_ms": [taken for _, taken in transcript.response_times()],
        "tokens": {"some/model": [6_200 + 40 * len(events), 420]},
        "usage": usage_codec.dumps(Usage("some/model", 6_200 + 40 * len(events), 420)),
        "story": f"the conversation took {transcript.talked_ms / 1000:.1f} s\nthe judge decided",
    }
    conversations.set_ended(tx, run.conversation_id, over)
    return _became(tx, run, columns, events)


def _became(tx: Tx, run: Run, columns: dict[str, Any], events: Sequence[Event]) -> Run:
    set_row(tx, run.id, **columns)
    conversations.append(tx, run.conversation_id, events, events[-1].at)
    return run


def _errors(world: _World, tx: Tx, test: Scenario) -> None:
    run = runs.trigger(world.ctx, tx, DEFAULT, test.id, None)
    reason = "the model provider did not answer within 60 s (HTTP 529, overloaded), three times in a row"
    began = happened(EXAMS[1].good[:3], run.created_at)
    left = Left(Ending.INFRASTRUCTURE_FAULT, began[-1].at + 60_000, Speaker.ASSISTANT, reason)
    columns: dict[str, Any] = {
        "status": "error",
        "ending": "infrastructure_fault",
        "fault": "infrastructure",
        "reason": f"the conversation ended by infrastructure_fault: {reason}",
        "verdicts": verdicts_codec.dumps(
            tuple(
                Verdict(one, Decision.INCONCLUSIVE, "not examined: infrastructure_fault", "nobody")
                for one in run.criteria
            )
        ),
        "started_at": run.created_at,
        "completed_at": left.at,
        "talked_ms": 64_000,
        "attempts": 3,
        "setbacks": ["the worker stopped", "the model was away"],
    }
    world.made["errored"] = _became(tx, run, columns, (*began, left)).id


def _running(world: _World, tx: Tx, test: Scenario) -> None:
    run = runs.trigger(world.ctx, tx, DEFAULT, test.id, None)
    never = run.created_at + 10_000 * DAY
    # As if another worker drove it.
    columns = {"status": "running", "started_at": run.created_at, "lease_until": never, "lease_token": "another"}
    _became(tx, run, columns, happened(EXAMS[0].good[:4], run.created_at))
    world.made["running"] = run.id


def _talks(world: _World, tx: Tx, desk: Assistant, now: int) -> None:
    ctx = world.ctx
    metadata = {"assistant_id": desk.id, "assistant_version_id": desk.main.id}
    for place, exam in enumerate(EXAMS):
        talk = a_conversation(
            id=ctx.new_id(), created_at=now - place * HOUR, last_message_at=now - place * HOUR, metadata=metadata
        )
        conversations.add(tx, DEFAULT, [talk])
        said = happened(exam.good[:-1] if place == 0 else exam.good, now - place * HOUR)
        conversations.append(tx, talk.id, said, now)
        if place == 0:
            world.made["chat"] = talk.id
    talk_id = world.made["conversation"]
    finding = Finding(ctx.new_id(), talk_id, world.made["group"], FindingStatus.COMPLETED, now - HOUR, "")
    findings.add(tx, DEFAULT, finding)
    results = (
        Found(world.made["insight"], "Mood of the caller", '{"mood": "annoyed", "why": "Asked twice for the day."}'),
    )
    findings.put(tx, DEFAULT, replace(finding, results=results, completed_at=now - HOUR))
    del world.made["group"]
    bodies = ("Is my lamp ready?", "It arrives on Friday, 27 November.", "Thanks!", "You are welcome. Goodbye!")
    for place, body in enumerate(bodies):
        out = bool(place % 2)
        direction = Direction.OUTBOUND if out else Direction.INBOUND
        ends = (_OURS, _THEIRS) if out else (_THEIRS, _OURS)
        status = TextStatus.DELIVERED if out else TextStatus.HANDLED
        at = now - 3 * HOUR + place * 60_000
        texts.add(tx, DEFAULT, Text(ctx.new_id(), direction, Medium.SMS_CHAT, *ends, body, status, at))
    due = Appointment(ctx.new_id(), desk.id, Medium.SMS_CHAT, _OURS, _THEIRS, now + 2 * HOUR, now, text="It is ready.")
    appointments.add(tx, DEFAULT, due)
    appointments.add(
        tx, DEFAULT, replace(due, id=ctx.new_id(), standing=Standing.FAILED, errors=("the number is not in service",))
    )


def _insights(world: _World, tx: Tx) -> None:
    ctx, at = world.ctx, world.hand.ms
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["content", "annoyed", "angry"]}, "why": {"type": "string"}},
    }
    mood = Insight(
        ctx.new_id(), "Mood of the caller", "How did the caller feel at the end, and why?", at, schema=schema
    )
    insights.add(tx, DEFAULT, mood)
    group = InsightGroup(ctx.new_id(), "After every call", at, "What the team looks at on Mondays.")
    insights.add_group(tx, DEFAULT, group)
    insights.join(tx, group.id, mood.id)
    world.made |= {"insight": mood.id, "group": group.id}


def _calendar(world: _World, tx: Tx, now: int) -> None:
    ctx = world.ctx
    last = Firing(now - 4 * HOUR, now - 4 * HOUR, Outcome.STARTED, world.made["batch"], len(EXAMS))
    every = Schedule(
        ctx.new_id(),
        "Support desk, every night",
        "0 3 * * *",
        now - 20 * DAY,
        now - 20 * DAY,
        timezone="Europe/London",
        suite=DESK,
        next_at=now + 8 * HOUR,
        last=last,
        batch_id=world.made["batch"],
    )
    schedules.add(tx, DEFAULT, every)
    failed = Firing(now - DAY, now - DAY, Outcome.FAILED, None, 0, "there is no such suite: returns")
    schedules.add(
        tx,
        DEFAULT,
        replace(every, id=ctx.new_id(), name="Returns on Mondays", suite="returns", last=failed, paused=True),
    )
    world.made["schedule"] = every.id
