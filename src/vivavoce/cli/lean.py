"""What a process that stays does before it imports anything large."""

import gc
import sys
from typing import cast


def hurry() -> None:
    """Have nothing collected while a thousand modules are imported: nearly all that they make stays
    (``process.settle_memory`` ends it). And leave rich out, which structlog would import for tracebacks in colours that
    no server prints: 4 MB. Whoever needs it can import it afterwards."""
    gc.disable()
    if not {"rich", "structlog"} & sys.modules.keys():
        modules = cast("dict[str, object]", sys.modules)
        modules["rich"] = None  # an import then fails, which structlog is prepared for
        try:
            import structlog  # noqa: F401  # pyright: ignore[reportUnusedImport]
        finally:
            del modules["rich"]
