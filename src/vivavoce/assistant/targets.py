"""Whom a tool for calls can reach."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from vivavoce.assistant.templating import Filling, fill
from vivavoce.assistant.variables import as_text
from vivavoce.core.tool import LineTarget, LineTool


def reachable(tool: LineTool, filling: Filling) -> tuple[LineTarget, ...]:
    """Its targets, with variables filled in. One template may become a JSON array of targets, or one address; while
    its variable is not set it reaches nobody."""
    if tool.targets_template:
        return tuple(_written(fill(tool.targets_template, filling).strip()))
    return tuple(replace(one, address=fill(one.address, filling), name=fill(one.name, filling)) for one in tool.targets)


def named(target: LineTarget) -> str:
    """What the model calls it."""
    return target.name or target.address


def _written(text: str) -> Iterator[LineTarget]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if text and "{{" not in text:
            yield LineTarget(text)
        return
    if isinstance(value, bool | int | float):
        value = text  # a number of digits only is JSON as well
    for one in cast("list[Any]", value) if isinstance(value, list) else [value]:
        given = cast("Mapping[str, Any]", one) if isinstance(one, Mapping) else {"to": one}
        address = as_text(given.get("to") or given.get("sip_address"))
        if address:
            yield LineTarget(address, as_text(given.get("name")))
