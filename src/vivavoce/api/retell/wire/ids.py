"""Ids as this API writes them: a prefix and the digits of the id that the server keeps (contract, section 1.4).

The same object has the same digits in every API of the server.
"""

import re
from typing import Literal

Kind = Literal[
    "test_case",
    "test_batch",
    "test_job",
    "llm",
    "conversation_flow",
    "conversation_flow_component",
    "agent",
    "chat",
    "knowledge_base",
    "source",
]
_ASSISTANTS = ("llm", "conversation_flow", "agent")
_OWN = "assistant-"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIGITS = re.compile(r"[0-9a-f]{32}")


def shown(kind: Kind, id_: str) -> str:
    """The server's id in this API's form."""
    plain = id_.removeprefix(_OWN) if kind in _ASSISTANTS else id_
    return f"{kind}_{plain.replace('-', '') if _UUID.fullmatch(plain) else plain}"


def read(kind: Kind, text: str) -> str:
    """The server's id for what a client sent; for what is no id of this kind, one that nobody has."""
    plain = text.removeprefix(f"{kind}_")
    if plain == text:
        return text
    if _DIGITS.fullmatch(plain):
        plain = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
    return _OWN + plain if kind in _ASSISTANTS else plain


def is_written(kind: Kind, text: str) -> bool:
    """Whether this has the form of an id of this kind; there need be no such thing."""
    return text.startswith(f"{kind}_") and _DIGITS.fullmatch(text.removeprefix(f"{kind}_")) is not None
