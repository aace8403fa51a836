"""Which model speaks ⇄ core (contract, sections 2.1 and 6.9)."""

from collections.abc import Mapping
from typing import Any, cast

from vivavoce.core.mind import Endpoint, Mind


def load_mind(wire: Mapping[str, Any]) -> Mind | None:
    """The three fields that name a model, of an assistant, a node or a fallback; None where none of them is there."""
    mind = Mind(wire.get("model"), wire.get("llm_api_key_ref"), _endpoint(wire.get("external_llm")))
    return None if mind == Mind() else mind


def _endpoint(wire: object) -> Endpoint | None:
    if not isinstance(wire, Mapping):
        return None
    given = cast("Mapping[str, Any]", wire)
    return Endpoint(
        given["base_url"], given["model"], given.get("llm_api_key_ref"), bool(given.get("forward_metadata"))
    )
