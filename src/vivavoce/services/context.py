"""What every service works with, built once by the application."""

from collections.abc import Mapping
from dataclasses import dataclass

from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import Session
from vivavoce.services.turns import Turns
from vivavoce.storage.database import Database
from vivavoce.storage.journal import Journal


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults for scenarios that set none."""

    turn_limit: int
    max_duration_s: int


@dataclass(frozen=True, slots=True)
class Context:
    """``outbound`` makes guarded requests to addresses that users name; ``numbers`` maps phone numbers and SIP
    addresses to assistants."""

    database: Database
    journal: Journal
    clock: Clock
    new_id: NewId
    models: Models
    outbound: Session
    limits: Limits
    numbers: Mapping[str, str]
    turns: Turns
