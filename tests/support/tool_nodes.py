"""A flow that comes to a tool, for tests of what happens there."""

from typing import Any

from tests.support.scenes import Stage, before, edge
from vivavoce.assistant.ports import ToolOutput
from vivavoce.core.event import ToolCall
from vivavoce.core.flow import (
    Edge,
    Flow,
    HeardCondition,
    PromptNode,
    ResultCondition,
    ToolNode,
)
from vivavoce.core.mind import Mind
from vivavoce.core.model import Reply
from vivavoce.core.tool import (
    FunctionTool,
    Tool,
)

SCHEMA = {"type": "object", "properties": {"number": {"type": "string"}}}
LOOK, FIND = FunctionTool("look_up"), FunctionTool("look_up", "", SCHEMA)
HELLO, TELL = PromptNode("hello", "Greet.", says="Hello."), PromptNode("tell", "Tell.")
SORRY = PromptNode("sorry", "Sorry.")
FAILED = ToolOutput("no", ok=False)


def calls(name: str, **arguments: Any) -> Reply:
    return Reply("", (ToolCall("0", name, arguments),))


def at_a_tool(
    tool: Tool | None, message: str = "", *, generated: bool = False, edges: tuple[Edge, ...] | None = None
) -> Flow:
    """Hello, then the tool, then ``tell`` or, where it failed, ``sorry``."""
    node = ToolNode("tool", "t1", message, "The tool", generated=generated, filled_by="model", mind=Mind("clever"))
    onward = edges or (edge("tool", "sorry", ResultCondition(False)), edge("tool", "tell"))
    ways = (edge("hello", "tool", HeardCondition()), *onward)
    return before(HELLO, node, TELL, SORRY, edges=ways, tools={"t1": tool} if tool is not None else {})


async def behind(play: Stage, *lines: str) -> list[str]:
    """What happened since the tool's node was entered."""
    return (await play.play(*lines))[4:]
