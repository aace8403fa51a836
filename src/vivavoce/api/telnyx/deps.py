"""What every route of this API is given, besides what those of all APIs are."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends, Path, Request

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.telnyx.wire.paging import window
from vivavoce.engine.leases import Job
from vivavoce.storage.page import Window

__all__ = ["Ctx", "Hand", "Id", "Org", "Paged", "Submit"]

Submit = Callable[[Sequence[Job]], None]


def _submit(request: Request) -> Submit:
    return request.app.state.submit


Hand = Annotated[Submit, Depends(_submit)]
Paged = Annotated[Window, Depends(window)]
Id = Annotated[str, Path(max_length=256)]
