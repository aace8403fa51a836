"""What every route of this API is given, besides what those of all APIs are."""

from typing import Annotated

from fastapi import Depends, Path

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.telnyx.wire.paging import window
from vivavoce.storage.page import Window

__all__ = ["Ctx", "Id", "Org", "Paged"]

Paged = Annotated[Window, Depends(window)]
Id = Annotated[str, Path(max_length=256)]
