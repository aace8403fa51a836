"""What only the vendors' rooms have and others are given from here: forms of files, and the demo's sample."""

from collections.abc import Mapping

from vivavoce.api.retell import files as retell
from vivavoce.api.telnyx import files as telnyx
from vivavoce.api.telnyx import sample
from vivavoce.services.transfer import Format

__all__ = ["FORMATS", "sample"]

FORMATS: Mapping[str, Format] = {"telnyx": telnyx.FORMAT, "retell": retell.FORMAT}
"""In which other forms tests and assistants can be taken in and given out as files."""
