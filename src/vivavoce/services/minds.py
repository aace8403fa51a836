"""Which model speaks: from what an assistant names to a model that can be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.models.fallback import PATIENCE, Backed, spared
from vivavoce.services import secrets
from vivavoce.services.context import Context
from vivavoce.storage.seal import Unreadable


@dataclass(frozen=True, slots=True)
class Minds:
    """Implements ``vivavoce.assistant.ports.Models`` for the assistants of one organisation."""

    ctx: Context
    org: str

    async def chosen(self, mind: Mind, fallback: Mind | None, variables: Mapping[str, Any]) -> Model:
        """The model (contract, sections 2.1 and 6.9); with a fallback, one that gives up soon and lets it answer.

        Secrets are looked up each time, so a new value counts at once. Raises ``ModelFailure`` with ``UNRESOLVED``
        where nobody serves it here, its secret is missing, or its endpoint may not be called.
        """
        if mind.endpoint is None and mind.key_ref is None and fallback is None:
            return self.ctx.models.resolve(mind.model, "assistant")
        if fallback is None:
            return await self._found(mind, variables)

        async def spare() -> Model:
            return await self._found(fallback, variables)

        try:
            # The assistant's own fallback comes before the server's default model.
            first = await self._found(mind, variables, max_attempts=PATIENCE, stand_in=False)
        except ModelFailure as failure:
            return await spared(spare, failure)
        return Backed(first, spare)

    async def _found(
        self, mind: Mind, variables: Mapping[str, Any], *, max_attempts: int | None = None, stand_in: bool = True
    ) -> Model:
        if mind.endpoint is not None:
            return await self._at(mind.endpoint, variables, max_attempts)
        key = await self._key(mind.key_ref)
        return self.ctx.models.resolve(mind.model, "assistant", key=key, max_attempts=max_attempts, stand_in=stand_in)

    async def _at(self, endpoint: Endpoint, variables: Mapping[str, Any], max_attempts: int | None) -> Model:
        extra = {"extra_metadata": dict(variables)} if endpoint.forwards else None
        return self.ctx.models.endpoint(
            self.ctx.outbound,
            endpoint.base_url,
            endpoint.model,
            key=await self._key(endpoint.key_ref),
            extra=extra,
            max_attempts=max_attempts,
        )

    async def _key(self, ref: str | None) -> str:
        """The key that a secret holds, or nothing where none is named."""
        if not ref:
            return ""
        try:
            value = await secrets.find(self.ctx, self.org, ref)
        except Unreadable as failure:
            raise ModelFailure(
                Trouble.UNRESOLVED, f"the integration secret {ref!r} cannot be read: {failure}"
            ) from None
        if value is None:
            raise ModelFailure(Trouble.UNRESOLVED, f"there is no integration secret {ref!r} with the model's key")
        return value
