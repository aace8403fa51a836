"""What every route of this API is given, besides what those of all APIs are."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends, Path, Request

from vivavoce.api.deps import Ctx, Org
from vivavoce.engine.leases import Job

__all__ = ["Ctx", "Hand", "Id", "Org", "Submit"]

Submit = Callable[[Sequence[Job]], None]


def _submit(request: Request) -> Submit:
    return request.app.state.submit


Hand = Annotated[Submit, Depends(_submit)]
Id = Annotated[str, Path(max_length=256)]
