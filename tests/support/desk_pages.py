"""What the pages about assistants and conversations show: an assistant with a script, and everything called EVIL."""

from dataclasses import replace
from typing import Any

from tests.support.pages import EVIL
from tests.support.store import NOW, ORG, a_conversation, a_scenario, a_version, an_assistant, said
from vivavoce.core.appointment import Appointment, Standing
from vivavoce.core.assistant import Assistant
from vivavoce.core.event import Ending, Left, Speaker
from vivavoce.core.flow import AskCondition, Edge, EndNode, Flow, Global, NodeTarget, PromptNode
from vivavoce.core.insight import Finding, FindingStatus, Found, Insight, InsightGroup
from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot
from vivavoce.core.scenario import Medium
from vivavoce.core.schedule import Firing, Outcome, Schedule
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.core.tool import FunctionTool, HangupTool, Header, WebhookTool
from vivavoce.services.context import Context
from vivavoce.storage import (
    appointments,
    assistants,
    conversations,
    findings,
    insights,
    rollouts,
    scenarios,
    schedules,
    texts,
)
from vivavoce.storage.database import Tx

SCRIPT = (
    'Be kind.\non hear "order": say "It is on its way."\non hear "bye": say "Goodbye."; hang up\nelse: say "Pardon?"'
)


async def keep(ctx: Context, *, org: str = ORG, **given: Any) -> Assistant:
    """An assistant that follows a script; keywords change its version."""
    chosen: dict[str, Any] = {
        "instructions": SCRIPT,
        "model": "scripted",
        "greeting": "Hello, this is the desk.",
        "tools": (HangupTool(),),
    }
    made = an_assistant(**chosen | given)
    await ctx.database.write(lambda tx: assistants.add(tx, org, made))
    return made


async def add_version(ctx: Context, assistant: Assistant, **given: Any) -> str:
    """Another version of it, which is not main; its id."""
    made = a_version(assistant_id=assistant.id, **given)
    await ctx.database.write(lambda tx: assistants.add_version(tx, made))
    return made.id


def wicked(ctx: Context, tx: Tx, org: str = ORG) -> dict[str, str]:
    """One of everything in whose every text stands EVIL; the ids by what they are of."""
    nodes = (PromptNode("a", EVIL, name=EVIL), EndNode("b", EVIL, name=EVIL))
    edges = (Edge("e", "a", AskCondition(EVIL), NodeTarget("b")),)
    flow = Flow(
        "a", nodes, edges, globals=(Global("g", "b", AskCondition(EVIL)),), tools={EVIL: FunctionTool(EVIL, EVIL)}
    )
    hook = WebhookTool("hook", EVIL, f"https://a.example/{EVIL}", headers=(Header("x-key", "a secret"),))
    one = an_assistant(
        name=EVIL,
        instructions=EVIL,
        greeting=EVIL,
        label=EVIL,
        description=EVIL,
        model=EVIL,
        variables={EVIL: EVIL, "deep": {EVIL: EVIL}},
        tools=(hook,),
        flow=flow,
        insight_group="group",
    )
    one = replace(one, tags=(EVIL,))
    assistants.add(tx, org, one)
    other = a_version(assistant_id=one.id, label=EVIL, name=EVIL, instructions=f"{EVIL}\nmore {EVIL}")
    assistants.add_version(tx, other)
    clause = Clause(EVIL, Operator.IN, (EVIL,))
    rules = (Rule((clause,), other.id), Rule((), None, (Slot(other.id, 5),)))
    rollouts.put(tx, one.id, Rollout(rules, NOW, NOW))
    test = a_scenario(name=EVIL, suite=EVIL, target=one.id)
    scenarios.add(tx, org, test)
    metadata = {"assistant_id": one.id, "assistant_version_id": other.id, EVIL: EVIL}
    talk = a_conversation(name=EVIL, metadata=metadata)
    conversations.add(tx, org, [talk])
    words = (said(EVIL), said(EVIL, Speaker.ASSISTANT), Left(Ending.HANGUP, NOW, reason=EVIL))
    conversations.append(tx, talk.id, words, NOW)
    insight = Insight(ctx.new_id(), EVIL, EVIL, NOW, schema={"properties": {EVIL: {"enum": [EVIL]}}})
    insights.add(tx, org, insight)
    group = InsightGroup(ctx.new_id(), EVIL, NOW, EVIL)
    insights.add_group(tx, org, group)
    insights.join(tx, group.id, insight.id)
    finding = Finding(ctx.new_id(), talk.id, group.id, FindingStatus.FAILED, NOW, EVIL)
    findings.add(tx, org, finding)
    findings.put(tx, org, replace(finding, results=(Found(insight.id, EVIL, EVIL),)))
    last = Firing(NOW, NOW, Outcome.FAILED, "batch", 1, EVIL)
    schedule = Schedule(ctx.new_id(), EVIL, "0 3 * * *", NOW, NOW, suite=EVIL, next_at=NOW, last=last)
    schedules.add(tx, org, schedule)
    call = Appointment(ctx.new_id(), one.id, Medium.SMS_CHAT, EVIL, EVIL, NOW, NOW, Standing.FAILED, EVIL)
    appointments.add(tx, org, replace(call, errors=(EVIL,)))
    for direction in Direction:
        text = Text(ctx.new_id(), direction, Medium.SMS_CHAT, "+1", "+2", EVIL, TextStatus.FAILED, NOW, talk.id, EVIL)
        texts.add(tx, org, text)
    return {
        "assistant": one.id,
        "version": other.id,
        "conversation": talk.id,
        "insight": insight.id,
        "schedule": schedule.id,
    }


def addresses(of: dict[str, str]) -> list[str]:
    """The pages that show these things."""
    home = f"/ui/assistants/{of['assistant']}"
    return [
        "/ui/assistants",
        home,
        f"{home}?version={of['version']}",
        f"{home}/edit",
        f"{home}/compare",
        f"{home}/traffic",
        f"/ui/chat/{of['assistant']}",
        "/ui/conversations",
        f"/ui/conversations/{of['conversation']}",
        "/ui/insights",
        f"/ui/insights/{of['insight']}",
        "/ui/schedules",
        f"/ui/schedules/{of['schedule']}",
        f"/ui/schedules/{of['schedule']}/edit",
        "/ui/schedules/new",
        "/ui/scheduled",
        "/ui/inbox",
        "/ui/inbox/thread?ours=%2B1&theirs=%2B2",
        "/ui/settings",
    ]
