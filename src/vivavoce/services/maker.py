"""What making and changing things needs of whoever does it: the services' context has it, and so has the command
line."""

from typing import Protocol

from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId


class Maker(Protocol):
    """Says what time it is, and makes ids."""

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def new_id(self) -> NewId:
        """A source of ids."""
        ...
