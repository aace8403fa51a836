"""A conversation flow with every type of node and every kind of edge.

It is the desk of a shop. All that stands alone in a node is called ``else``, so that ids of edges are not unique.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from tests.support.retell_scenes import find_tool, static
from tests.support.retell_sdk import NEWEST

PROGRAM = "return { total: dv.items.split(' ').length }"
TYPES = {
    "conversation",
    "subagent",
    "function",
    "code",
    "extract_dynamic_variables",
    "branch",
    "transfer_call",
    "agent_swap",
    "press_digit",
    "sms",
    "mcp",
    "component",
    "end",
    "bridge_transfer",
    "cancel_transfer",
}
OPERATORS = {"==", "!=", ">", ">=", "<", "<=", "contains", "not_contains", "exists", "not_exist"}
FIXED = {
    "skip_response_edge": "Skip response",
    "always_edge": "Always",
    "edge": "Transfer failed",
    "success_edge": "Sent successfully",
    "failed_edge": "Failed to send",
    "else_edge": "Else",
}
"""The edges that stand alone in a node, and what their conditions have to say."""

BACK = {"calm", "route"}
"""The edges that lead back from global nodes."""

GLOBAL_PROMPT = r"""You are the desk of Birch & Sons.
on told "written down": say "I write it down."
on told "goodbye": say "Goodbye, and thank you."
on told "insured": say "It is insured now."
fill extract_dynamic_variables on hear /a (\w+) of ([0-9]+) marked (\w+)/: {"word": "$1", "weight": "$2", "tag": "$3"}
fill extract_dynamic_variables on hear /a (\w+) of ([0-9]+(?:\.[0-9])?)/: {"word": "$1", "weight": "$2"}
fill extract_dynamic_variables on hear /is (broken)/: {"reason": "$1"}
fill find on hear /\b([A-Z]-[0-9])\b/: {"number": "$1"}
fill find_order on hear /\b([A-Z]-[0-9])\b/: {"number": "$1"}
fill send_sms: {"text": "Your parcel is in town."}"""

DESK = """else: say "Please say that once more."
on enter: say "What can I do for you?"
"""

HELPER = r"""on enter: say "How can I help?"
on hear /[Mm]y name is (\w+)/: call remember {"name": "$1"}
on hear /\b([A-Z]-[0-9])\b/: call find {"number": "$1"}
on hear "that is all": call close
on result find: say "It is ${order.state}."
on result remember: say "I remember that."
else: say "I see."
"""

# --- edges ------------------------------------------------------------------------------------------------------------


def asked(id_: str, prompt: str, to: str | None) -> dict[str, Any]:
    edge: dict[str, Any] = {"id": id_, "transition_condition": {"type": "prompt", "prompt": prompt}}
    return edge if to is None else {**edge, "destination_node_id": to}


def heard(words: str, to: str | None) -> dict[str, Any]:
    return asked(words, f'the caller says "{words}"', to)


def compared(id_: str, to: str | None, *equations: tuple[str, ...], joined: str = "&&") -> dict[str, Any]:
    """``equations`` are (variable, operator) or (variable, operator, right side)."""
    written = [
        {"left": f"{{{{{left}}}}}", "operator": operator} | ({"right": right[0]} if right else {})
        for left, operator, *right in equations
    ]
    condition = {"type": "equation", "operator": joined, "equations": written}
    edge: dict[str, Any] = {"id": id_, "transition_condition": condition}
    return edge if to is None else {**edge, "destination_node_id": to}


def alone(**to: str) -> dict[str, Any]:
    """The edges that stand alone in a node: from their kinds to where they lead."""
    return {kind: asked(kind.split("_", maxsplit=1)[0], FIXED[kind], node) for kind, node in to.items()}


# --- nodes ------------------------------------------------------------------------------------------------------------


def prompt(text: str) -> dict[str, Any]:
    return {"type": "prompt", "text": text}


def node(id_: str, type_: str, *edges: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": id_, "type": type_, **({"edges": list(edges)} if edges else {}), **fields}


def speaks(instruction: Mapping[str, Any]) -> dict[str, Any]:
    return {"speak_during_execution": True, "instruction": dict(instruction)}


def variable(name: str, type_: str = "string") -> dict[str, Any]:
    return {"type": type_, "name": name, "description": f"The {name}, where it was named."}


def tool(id_: str, url: str, **fields: Any) -> dict[str, Any]:
    spoken = {"speak_during_execution": False, "speak_after_execution": True}
    number = {"type": "object", "properties": {"number": {"type": "string"}}}
    stored = {"response_variables": {"state": "order.state"}}
    return find_tool(url, tool_id=id_, **spoken) | {"name": id_, "parameters": number} | stored | fields


def everywhere() -> list[dict[str, Any]]:
    """Global nodes. Only the newest release has more than a text for when they are entered."""
    words = 'the caller says "lost"'
    condition = {
        "type": "equation_prompt",
        "operator": "||",
        "equations": [{"left": "{{lost}}", "operator": "==", "right": "yes"}],
        "prompt_condition": {"type": "prompt", "prompt": words},
    }
    calm = {"condition": 'the caller says "angry"', "cool_down": 3, "go_back_conditions": [heard("calm", None)]}
    lost = compared("route", None, ("route", "exists"))
    found = {"condition": condition if NEWEST else words, "go_back_conditions": [lost]}
    return [
        node(
            "angry",
            "conversation",
            heard("leave me", "gone"),
            instruction=prompt('on enter: say "I am sorry that you are upset."'),
            global_node_setting=calm,
        ),
        node(
            "lost",
            "conversation",
            heard("found it", "desk"),
            instruction=prompt('on enter: say "Where are you?"\nelse: say "Go on."'),
            global_node_setting=found,
        ),
    ]


def talking() -> list[dict[str, Any]]:
    return [
        node("welcome", "conversation", instruction=static("Welcome."), **alone(skip_response_edge="desk")),
        node(
            "desk",
            "conversation",
            compared("vip", "vip", ("vip", "==", "yes")),
            heard("sort", "note"),
            heard("find", "find"),
            heard("write", "log"),
            heard("count", "count"),
            heard("keys", "keys"),
            heard("text me", "text"),
            heard("day", "day"),
            heard("return", "returns"),
            heard("insure", "insurance"),
            heard("help", "helper"),
            heard("boss", "boss"),
            heard("colleague", "colleague"),
            heard("join us", "bridge"),
            heard("give up", "cancel"),
            heard("bye", "bye"),
            instruction=prompt(DESK),
        ),
        node("puzzled", "conversation", instruction=static("Pardon?"), **alone(always_edge="desk")),
        node(
            "sorry",
            "conversation",
            heard("again", "desk"),
            instruction=prompt('on enter: say "I am sorry."'),
            **alone(else_edge="gone"),
        ),
        node(
            "sorted",
            "conversation",
            instruction=static("Sorted: {{word}} {{weight}}."),
            **alone(skip_response_edge="desk"),
        ),
        node(
            "helper",
            "subagent",
            compared("known", "desk", ("name", "==", "Dana")),
            heard("thanks", "desk"),
            instruction=prompt(HELPER),
            tool_ids=["find"],
            tools=[
                {"type": "end_call", "name": "close"},
                {
                    "type": "extract_dynamic_variable",
                    "name": "remember",
                    "description": "Remembers the name.",
                    "variables": [variable("name")],
                },
            ],
        ),
        node(
            "keys",
            "press_digit",
            compared("busy", "gone", ("line", "==", "busy")),
            heard("thanks", "desk"),
            instruction=prompt('on enter: call press_digit {"digits": "1"}'),
            **alone(else_edge="puzzled"),
        ),
    ]


def working(agent_id: str) -> list[dict[str, Any]]:
    return [
        node(
            "note",
            "extract_dynamic_variables",
            compared("bomb", "gone", ("word", "==", "bomb")),
            heard("never mind", "desk"),
            variables=[variable("word"), variable("weight", "number"), variable("tag")],
            **alone(else_edge="branch"),
        ),
        node(
            "branch",
            "branch",
            compared("nothing", "puzzled", ("word", "not_exist")),
            compared("mail", "sorted", ("word", "==", "letter"), ("word", "==", "card"), joined="||"),
            compared("fragile", "sorted", ("word", "contains", "glass"), ("weight", "<=", "5")),
            compared("heaviest", "sorted", ("weight", ">", "30")),
            compared("heavy", "sorted", ("weight", ">=", "20")),
            compared("lightest", "sorted", ("weight", "<", "1")),
            compared("light", "sorted", ("weight", "<=", "2"), ("word", "!=", "box")),
            compared("round", "sorted", ("word", "not_contains", "o")),
            compared("marked", "sorted", ("tag", "exists")),
            heard("fast", "sorted"),
            **alone(else_edge="puzzled"),
        ),
        node(
            "find",
            "function",
            compared("late", "sorry", ("state", "==", "late")),
            asked("third", 'the assistant calls `find` with number "A-3"', "desk"),
            tool_id="find",
            tool_type="local",
            wait_for_result=True,
            **speaks(static("One moment.")),
            **alone(else_edge="puzzled"),
        ),
        node(
            "log",
            "function",
            heard("quickly", "desk"),
            tool_id="log",
            tool_type="local",
            wait_for_result=False,
            **speaks(prompt("Say that it is written down.")),
            **alone(else_edge="puzzled"),
        ),
        node(
            "count",
            "code",
            compared("many", "puzzled", ("total", ">=", "3")),
            heard("roughly", "desk"),
            code=PROGRAM,
            wait_for_result=True,
            response_variables={"total": "total"},
            **alone(else_edge="puzzled"),
        ),
        node(
            "day",
            "mcp",
            compared("friday", "desk", ("day", "==", "Friday")),
            heard("roughly", "desk"),
            mcp_id="shop",
            mcp_tool_name="find.order",
            wait_for_result=True,
            response_variables={"day": "arrives"},
            **alone(else_edge="puzzled"),
        ),
        node(
            "text",
            "sms",
            instruction=prompt("Where the parcel is."),
            **alone(success_edge="puzzled", failed_edge="sorry"),
        ),
        node(
            "boss",
            "transfer_call",
            transfer_destination={"type": "predefined", "number": "+12025550123"},
            transfer_option={"type": "cold_transfer"},
            **speaks(static("I put you through.")),
            **alone(edge="sorry"),
        ),
        node(
            "colleague",
            "agent_swap",
            agent_id=agent_id,
            post_call_analysis_setting="both_agents",
            **alone(edge="sorry"),
        ),
        node("bridge", "bridge_transfer"),
        node("cancel", "cancel_transfer", **speaks(static("Then not."))),
        node("vip", "end"),
        node("bye", "end", **speaks(static("Goodbye."))),
        node("gone", "end", **speaks(prompt("Say goodbye."))),
    ]


def standing(shared_id: str) -> list[dict[str, Any]]:
    return [
        node(
            "returns",
            "component",
            compared("broken", "sorry", ("reason", "==", "broken")),
            heard("refund", "puzzled"),
            component_id="returned",
            component_type="local",
            **alone(else_edge="desk"),
        ),
        node(
            "insurance",
            "component",
            compared("rich", "bye", ("value", ">", "1000")),
            heard("yes", "puzzled"),
            component_id=shared_id,
            component_type="shared",
            **alone(else_edge="desk"),
        ),
    ]


def returned(url: str) -> dict[str, Any]:
    """A component of the flow's own, with a tool of its own."""
    return {
        "name": "returned",
        "start_node_id": "why",
        "tools": [tool("stock", url)],
        "nodes": [
            node(
                "why",
                "conversation",
                heard("broken", "reason"),
                instruction=prompt('on enter: say "Why do you send it back?"'),
                **alone(else_edge="unknown"),
            ),
            node("reason", "extract_dynamic_variables", variables=[variable("reason")], **alone(else_edge="stock")),
            node(
                "stock",
                "function",
                tool_id="stock",
                tool_type="local",
                wait_for_result=True,
                **alone(else_edge="noted"),
            ),
            node("noted", "end", **speaks(static("It is noted."))),
            node("unknown", "end"),
        ],
    }


INSURED: dict[str, Any] = {
    "name": "insured",
    "start_node_id": "may",
    "nodes": [
        node("may", "conversation", instruction=static("May I insure it?"), **alone(always_edge="answer")),
        node("answer", "branch", heard("yes", "insured"), **alone(else_edge="uninsured")),
        node("insured", "end", **speaks(prompt("Say that it is insured."))),
        node("uninsured", "end"),
    ],
}
"""A shared component."""


def flow(*, shop: str, mcp: str, agent_id: str, shared_id: str) -> dict[str, Any]:
    """The body of the request, but for the model."""
    return {
        "start_speaker": "agent",
        "start_node_id": "welcome",
        "global_prompt": GLOBAL_PROMPT,
        "nodes": [*talking(), *working(agent_id), *standing(shared_id), *everywhere()],
        "tools": [tool("find", shop), tool("log", shop, parameters={"type": "object", "properties": {}})],
        "components": [returned(shop)],
        "mcps": [{"name": "shop", "url": mcp}],
    }


# --- what is in it ----------------------------------------------------------------------------------------------------

Way = tuple[str, str, str]
"""A node, an edge of it, and where that leads: empty for what leads back, and for the node that a way to a global
node begins at."""


def nodes_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All nodes, with those of the components that the flow has itself."""
    own = [one for part in body.get("components", ()) for one in part["nodes"]]
    return [*body["nodes"], *own]


def ways_of(nodes: Sequence[Mapping[str, Any]]) -> list[Way]:
    """Everything that is written as an edge, wherever it stands in the nodes, and every way to a global node."""
    found = [
        (node["id"], edge["id"], edge.get("destination_node_id", ""))
        for node in nodes
        for edge in objects(node)
        if "id" in edge and "transition_condition" in edge
    ]
    for node in nodes:
        if "global_node_setting" in node:
            condition: Any = node["global_node_setting"]["condition"]
            either = isinstance(condition, dict) and cast("dict[str, Any]", condition)["type"] == "equation_prompt"
            tails = ["", ":2"] if either else [""]
            found += [("", f"global:{node['id']}{tail}", node["id"]) for tail in tails]
    return found


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        inside = cast("dict[str, Any]", value)
        yield inside
        yield from (one for part in inside.values() for one in objects(part))
    elif isinstance(value, list):
        yield from (one for part in cast("list[object]", value) for one in objects(part))
