"""Assistants imported from other providers (contract, section 5.1, imports)."""

from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response

from vivavoce.api.idempotency import Work, once_ready
from vivavoce.api.shape import sent
from vivavoce.api.telnyx.assistants import check, dump
from vivavoce.api.telnyx.deps import Ctx, Org
from vivavoce.api.telnyx.errors import Refused
from vivavoce.api.telnyx.wire.assistant import TEMPLATING
from vivavoce.api.telnyx.wire.imports import ImportBody, adopted
from vivavoce.core.assistant import Origin, Version
from vivavoce.importing.provider import Draft, Provider, Unfit
from vivavoce.services import imports
from vivavoce.services.errors import Rejected
from vivavoce.storage.database import Tx

router = APIRouter(tags=["imports"])
log = structlog.get_logger(__name__)


@router.post("/ai/assistants/import")
async def create(request: Request, ctx: Ctx, org: Org, body: ImportBody) -> Response:
    """Import assistants from another provider; those that were imported before get a new version.

    Of a whole account, what cannot be imported is left out and named in `skipped`.
    """

    async def ready() -> Work:
        ids = sent(body).get("import_ids")
        found = await imports.fetch(ctx, org, body.provider, body.api_key_ref, ids, prefix=TEMPLATING.prefix)
        fit: list[tuple[Origin, Version]] = []
        unfit: list[Unfit] = []
        for one in found:
            version = _fitting(one, body)
            if isinstance(version, Unfit):
                unfit.append(version)
            else:
                fit.append((Origin(body.provider.value, one.id), version))
        if unfit and ids is not None:
            raise Rejected(f"Assistant {unfit[0].id!r} cannot be imported: {unfit[0].reason}.", "import_ids")
        for one in unfit:
            log.warning("an assistant was not imported", provider=body.provider, id=one.id, reason=one.reason)

        def work(tx: Tx) -> dict[str, Any]:
            kept = imports.keep(ctx, tx, org, fit, check)
            skipped = [{"import_id": one.id, "detail": one.reason} for one in unfit]
            return {"data": [dump(ctx, one) for one in kept], **({"skipped": skipped} if skipped else {})}

        return work

    return await once_ready(request, ctx, 200, ready)


def _fitting(found: Draft | Unfit, body: ImportBody) -> Version | Unfit:
    if isinstance(found, Unfit):
        return found
    # Only that provider's voices are somebody's own, and opened by the same key.
    version = adopted(found, body.api_key_ref if body.provider is Provider.ELEVENLABS else None)
    if isinstance(version, Version):
        try:
            check(version)
        except Refused as failure:
            return Unfit(found.id, str(failure))
    return version
