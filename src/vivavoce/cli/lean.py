"""What a process that stays does before it imports anything large."""

import gc
import sys
import warnings
from typing import cast


def hurry() -> None:
    """Have nothing collected while a thousand modules are imported: nearly all that they make stays
    (``process.settle_memory`` ends it). And have less imported and made than libraries would by themselves."""
    gc.disable()
    modules = cast("dict[str, object]", sys.modules)
    if not {"rich", "structlog"} & modules.keys():
        # For tracebacks in colours that no server prints: 4 MB. Whoever needs rich can import it afterwards.
        modules["rich"] = None  # an import then fails, which structlog is prepared for
        try:
            import structlog  # noqa: F401  # pyright: ignore[reportUnusedImport]
        finally:
            del modules["rich"]
    # For templates that fail, in colours: all of Pygments' lexers, 5 MB. Of Mako, Alembic's own templates are all there
    # is here, and no server makes migrations.
    modules.setdefault("mako.ext.pygmentplugin", None)
    from pydantic import BaseModel
    from pydantic.warnings import UnsupportedFieldAttributeWarning

    # A shape is compiled when it is first used by itself. Most are only parts of others, which are compiled with their
    # parts in them: 6 MB, and a tenth of the start.
    BaseModel.model_config["defer_build"] = True
    # FastAPI knows of it and hears nothing while it makes a route; what is compiled later would be told of.
    warnings.filterwarnings("ignore", category=UnsupportedFieldAttributeWarning)
