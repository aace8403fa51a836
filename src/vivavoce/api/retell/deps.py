"""What every route of this API is given, besides what those of all APIs are."""

from typing import Annotated

from fastapi import Path

from vivavoce.api.deps import Ctx, Org

__all__ = ["Ctx", "Id", "Org"]

Id = Annotated[str, Path(max_length=256)]
