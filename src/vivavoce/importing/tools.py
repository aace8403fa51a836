"""What the providers' tools have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.tool import (
    Act,
    FunctionTool,
    LineTarget,
    LineTool,
    Tool,
    VariablesTool,
    WebhookTool,
)

LONGEST_MS = 60_000
_SCHEMA_WORDS = frozenset({"type", "description", "enum", "items", "properties", "required", "format", "default"})
_FAMILIES = {"gpt": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "claude": "anthropic", "gemini": "google"}


def within(timeout_s: float | None) -> int:
    """Seconds, or None, as milliseconds that a webhook can have."""
    return 5000 if timeout_s is None else max(1, min(round(timeout_s * 1000), LONGEST_MS))


def secret(identifier: str) -> str:
    """The template of a secret, which is found here when one of the same name is kept here."""
    return f"{{{{#integration_secret}}}}{identifier}{{{{/integration_secret}}}}"


def mind(model: str, provider: str = "") -> Mind:
    """A model by its name with its maker before it: ``gpt-4o`` is ``openai/gpt-4o``."""
    if not model:
        return Mind()
    maker = provider or next((maker for start, maker in _FAMILIES.items() if model.startswith(start)), "")
    return Mind(f"{maker}/{model}" if maker and "/" not in model else model)


def endpoint(base_url: str, model: str) -> Mind:
    """Somebody's own endpoint."""
    return Mind(endpoint=Endpoint(base_url.removesuffix("/chat/completions"), model or "default"))


def schema(properties: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any] | None:
    """A JSON Schema object of these properties, with words of JSON Schema only; None where there are none."""
    if not properties:
        return None
    kept = {name: _clean(value) for name, value in properties.items()}
    needed = [name for name in required if name in kept]
    return {"type": "object", "properties": kept, **({"required": needed} if needed else {})}


def _clean(value: Any, depth: int = 0) -> Any:
    """Depth is bounded so that nobody's nesting is our recursion."""
    if not isinstance(value, dict) or depth > 20:
        return {}
    found = {key: one for key, one in cast("dict[str, Any]", value).items() if key in _SCHEMA_WORDS and one is not None}
    if "items" in found:
        found["items"] = _clean(found["items"], depth + 1)
    if isinstance(found.get("properties"), dict):
        inner = cast("dict[str, Any]", found["properties"])
        found["properties"] = {name: _clean(one, depth + 1) for name, one in inner.items()}
    return found


def joined(tools: Iterable[Tool | None]) -> tuple[Tool, ...]:
    """An assistant has one tool of most kinds, and no two of one name: places to transfer to and variables come
    together in the first one, others of its kind are left out."""
    found: dict[str, Tool] = {}
    for tool in tools:
        if tool is None:
            continue
        before = found.get(_place(tool))
        if before is None:
            found[_place(tool)] = tool
        elif isinstance(before, LineTool) and isinstance(tool, LineTool):
            found[_place(tool)] = replace(before, targets=tuple(dict.fromkeys((*before.targets, *tool.targets))))
        elif isinstance(before, VariablesTool) and isinstance(tool, VariablesTool):
            more = {one.name: one for one in (*before.variables, *tool.variables)}
            found[_place(tool)] = replace(before, variables=tuple(more.values()))
    return tuple(found.values())


def _place(tool: Tool) -> str:
    match tool:
        case WebhookTool() | FunctionTool():
            return f"named {tool.name}"
        case LineTool(act=act):
            return act.value
        case _:
            return tool.kind


def transfer(targets: Iterable[LineTarget], description: str = "") -> LineTool | None:
    """Puts a call through to one of these places; None where there is none."""
    places = tuple(targets)
    return LineTool(Act.TRANSFER, "transfer", places, "", description) if places else None


def tones() -> LineTool:
    """Presses keys."""
    return LineTool(Act.TONES, "send_dtmf")
