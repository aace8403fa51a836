"""One of everything that an organisation can have, kept."""

from dataclasses import dataclass, replace

from tests.support.store import NOW, a_conversation, a_scenario, an_assistant, put_run, set_row
from vivavoce.core.appointment import Appointment
from vivavoce.core.assistant import Assistant, Form, Origin, Plays, Version
from vivavoce.core.batch import Batch
from vivavoce.core.budget import Budget
from vivavoce.core.component import Component
from vivavoce.core.conversation import Conversation
from vivavoce.core.document import Document
from vivavoce.core.flow import ComponentNode, EndNode, Flow
from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.insight import Finding, FindingStatus, Found, Insight, InsightGroup
from vivavoce.core.integration import Connection
from vivavoce.core.knowledge import Library
from vivavoce.core.library import SharedTool
from vivavoce.core.run import Run
from vivavoce.core.scenario import Medium, Scenario
from vivavoce.core.schedule import Schedule
from vivavoce.core.secret import Secret
from vivavoce.core.server import McpServer
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.core.tool import FunctionTool
from vivavoce.storage import (
    appointments,
    assistants,
    batches,
    budgets,
    components,
    connections,
    conversations,
    documents,
    duties,
    findings,
    hooks,
    insights,
    keys,
    libraries,
    scenarios,
    schedules,
    secrets,
    servers,
    texts,
    tools,
)
from vivavoce.storage.database import Tx
from vivavoce.storage.keys import Key

OURS, THEIRS = "+15550001", "+15550002"
ORIGIN = Origin("elsewhere", "agent-1")


@dataclass
class Things:
    """One of everything, in one organisation."""

    assistant: Assistant
    deleted: Assistant
    scenario: Scenario
    run: Run
    batch: Batch
    conversation: Conversation
    tool: SharedTool
    server: McpServer
    connection: Connection
    secret: Secret
    insight: Insight
    group: InsightGroup
    finding: Finding
    appointment: Appointment
    sent: Text
    waiting: Text
    document: Document
    library: Library
    component: Component
    flow: Assistant
    schedule: Schedule
    key: Key
    hook: Hook

    @property
    def user(self) -> Version:
        """A version that names the tool."""
        return self.assistant.main


def furnish(tx: Tx, org: str) -> Things:
    """Every organisation gets the same names, so that only ``org`` tells them apart."""
    scenario = a_scenario(suite="suite", target="t")
    scenarios.add(tx, org, scenario)
    run = put_run(tx, scenario=scenario, org=org)
    id_ = run.id
    batch = Batch(f"batch-{id_}", "assistant", "version", 0, 1, NOW, NOW)
    batches.add(tx, org, batch)
    set_row(tx, run.id, batch_id=batch.id)
    budgets.add(tx, org, batch.id, Budget(100))
    tool = SharedTool(f"tool-{id_}", "tool", "function", FunctionTool("tool"), NOW)
    tools.add(tx, org, tool)
    deleted = an_assistant()
    assistant = replace(an_assistant(shared=(tool.id,), plays=Plays(deleted.id)), origin=ORIGIN, tags=("tag",))
    for one in (assistant, deleted):
        assistants.add(tx, org, one)
    assistants.set_deleted(tx, deleted.id, NOW)
    metadata = {"a": "b", "assistant_id": assistant.id}
    conversation = a_conversation(name="talk", assistant_id=assistant.id, metadata=metadata)
    conversations.add(tx, org, [conversation])
    server = McpServer(f"server-{id_}", "server", "http", "http", "https://example.com/mcp", NOW)
    servers.add(tx, org, server)
    connection = Connection(f"connection-{id_}", "github", "secret", NOW)
    connections.put(tx, org, connection)
    secret = Secret(f"secret-{id_}", "secret", "bearer", NOW, NOW)
    secrets.add(tx, org, secret, secret.id.encode())
    insight = Insight(f"insight-{id_}", "insight", "why?", NOW)
    insights.add(tx, org, insight)
    group = InsightGroup(f"group-{id_}", "group", NOW)
    insights.add_group(tx, org, group)
    insights.join(tx, group.id, insight.id)
    finding = Finding(f"finding-{id_}", conversation.id, group.id, FindingStatus.PENDING, NOW)
    findings.add(tx, org, finding)
    finding = replace(finding, results=(Found(insight.id, "insight", f"what {id_} is about"),))
    findings.put(tx, org, finding)
    appointment = Appointment(f"appointment-{id_}", assistant.id, Medium.PHONE_CALL, OURS, THEIRS, NOW, NOW)
    appointments.add(tx, org, appointment)
    medium, out, in_ = Medium.SMS_CHAT, Direction.OUTBOUND, Direction.INBOUND
    talk = conversation.id
    sent = Text(
        f"text-1-{id_}", out, medium, OURS, THEIRS, "Hi", TextStatus.SENT, NOW, conversation.id, "", "carrier-1"
    )
    waiting = Text(f"text-2-{id_}", in_, medium, THEIRS, OURS, "Hi", TextStatus.RECEIVED, NOW, talk)
    for text in (sent, waiting):
        texts.add(tx, org, text)
    duties.want(tx, duties.Wanted(f"duty-{id_}", org, "reply", waiting.id, NOW))
    document = Document(f"document-{id_}", "bucket", "name", "digest", NOW)
    documents.add(tx, org, document, ["words"], "model", [b"1234"])
    library = Library(f"library-{id_}", "library", NOW, NOW)
    libraries.add(tx, org, library)
    documents.add(tx, org, replace(document, id=f"source-{id_}", bucket=library.id), ["words"], "model", [b"1234"])
    schedule = Schedule(f"schedule-{id_}", "schedule", "0 3 * * *", NOW, NOW, suite="suite", next_at=NOW)
    schedules.add(tx, org, schedule)
    component = Component(f"component-{id_}", "component", Flow("end", (EndNode("end"),)), NOW, NOW)
    components.add(tx, org, component)
    nodes = (ComponentNode("part", component.id), EndNode("end"))
    flow = replace(an_assistant(flow=Flow("part", nodes)), form=Form.FLOW)
    assistants.add(tx, org, flow)
    key = Key(f"key-{id_}", org, "key", "hint", NOW)
    keys.add(tx, key, f"secret of {id_}")
    hook = Hook(f"hook-{id_}", "https://a.example", (Occasion.RUN,), NOW)
    hooks.add(tx, org, hook)
    return Things(
        assistant,
        deleted,
        scenario,
        run,
        batch,
        conversation,
        tool,
        server,
        connection,
        secret,
        insight,
        group,
        finding,
        appointment,
        sent,
        waiting,
        document,
        library,
        component,
        flow,
        schedule,
        key,
        hook,
    )
