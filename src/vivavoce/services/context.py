"""What every service works with, built once by the application."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vivavoce.channels.dialer import Dialer, NoCarrier
from vivavoce.channels.messenger import Messenger
from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import Session
from vivavoce.outbound.signing import Signer
from vivavoce.services.turns import Turns
from vivavoce.storage.database import Database
from vivavoce.storage.journal import Journal
from vivavoce.storage.seal import Seal
from vivavoce.tools.background import Background
from vivavoce.tools.code import Sandbox


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults for scenarios that set none, and for conversations that nobody ends. ``concurrency`` is how many
    examinations one server conducts at the same time, ``repeat_limit`` how often somebody can say the same thing in one
    of them."""

    turn_limit: int
    max_duration_s: int
    idle_minutes: int = 30
    concurrency: int = 256
    utterance_limit: int = 400
    repeat_limit: int = 3


@dataclass(frozen=True, slots=True)
class Context:
    """``outbound`` makes guarded requests to addresses that users name; ``numbers`` maps phone numbers and SIP
    addresses to assistants. ``wake`` tells whoever does duties that new ones were committed; ``draw`` gives a random
    number from 0 up to 1. ``import_urls`` are where the providers are from which assistants can be imported, by their
    names; ``background`` does what tools do not wait for; ``sandbox`` runs their code, where there is one."""

    database: Database
    journal: Journal
    clock: Clock
    new_id: NewId
    models: Models
    outbound: Session
    limits: Limits
    numbers: Mapping[str, str]
    turns: Turns
    seal: Seal
    signer: Signer
    messenger: Messenger
    wake: Callable[[], None]
    draw: Callable[[], float]
    import_urls: Mapping[str, str] = field(default_factory=dict[str, str])
    embedding_model: str | None = None
    background: Background = field(default_factory=Background)
    dialer: Dialer = field(default_factory=NoCarrier)
    sandbox: Sandbox | None = None
