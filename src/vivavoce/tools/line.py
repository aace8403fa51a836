"""What a tool for calls does in a conversation of text: it says what would happen on the line."""

from collections.abc import Mapping, Sequence
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.targets import named, reachable
from vivavoce.assistant.templating import Filling
from vivavoce.assistant.variables import as_text
from vivavoce.core.tool import Act, LineTarget, LineTool

NOTHING_CHARGED = "Card details can only be taken on a phone call; nothing was charged."

_DONE = {
    Act.TRANSFER: "The caller is transferred to {}.",
    Act.REFER: "The caller is referred to {}.",
    Act.INVITE: "{} was invited into the conversation.",
}
_TONES = frozenset("0123456789ABCDabcd*#wW ")


def act(tool: LineTool, arguments: Mapping[str, Any], filling: Filling) -> ToolOutput:
    """The effect in text. The model names a ``target`` by its name or its address, and may leave it out where there
    is only one; for tones it gives ``digits``."""
    if tool.act is Act.PAY:
        return ToolOutput(NOTHING_CHARGED, ok=False)
    if tool.act is Act.TONES:
        return _press(as_text(arguments.get("digits")))
    known = reachable(tool, filling)
    if not known:
        return ToolOutput("There is nobody to reach: the tool has no target.", ok=False)
    wanted = as_text(arguments.get("target")).strip()
    chosen = _chosen(known, wanted)
    if chosen is None:
        names = ", ".join(named(one) for one in known)
        said = f"There is no target {wanted!r}." if wanted else "A target is needed."
        return ToolOutput(f"{said} There is: {names}.", ok=False)
    return ToolOutput(_DONE[tool.act].format(_shown(chosen)), ok=True)


def _chosen(known: Sequence[LineTarget], wanted: str) -> LineTarget | None:
    if not wanted:
        return known[0] if len(known) == 1 else None
    word = wanted.casefold()
    fitting = (one for one in known if word in (one.name.casefold(), one.address.casefold()))
    return next(fitting, None)


def _shown(target: LineTarget) -> str:
    return f"{target.name} ({target.address})" if target.name else target.address


def _press(digits: str) -> ToolOutput:
    if not digits.strip() or not set(digits) <= _TONES:
        return ToolOutput("Only the keys 0-9, A-D, * and # can be pressed; w waits.", ok=False)
    return ToolOutput(f"The keys {digits.strip()} were pressed.", ok=True)
