"""What every service works with, built once by the application."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe

from vivavoce.channels.dialer import Dialer, NoCarrier
from vivavoce.channels.messenger import Messenger
from vivavoce.core.budget import Budget
from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId
from vivavoce.core.telemetry import NOBODY, Telemetry
from vivavoce.engine.leases import Ceilings
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import Session
from vivavoce.outbound.signing import Signer
from vivavoce.services.prices import Price
from vivavoce.services.turns import Turns
from vivavoce.services.watching import Watcher
from vivavoce.storage import beginnings, hooks
from vivavoce.storage.beginnings import Beginning
from vivavoce.storage.database import Database
from vivavoce.storage.journal import Journal
from vivavoce.storage.seal import Seal
from vivavoce.storage.together import Together
from vivavoce.tools.background import Background
from vivavoce.tools.code import Sandbox


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults for scenarios that set none, and for conversations that nobody ends. ``concurrency`` is how many
    examinations one server conducts at the same time, ``repeat_limit`` how often somebody can say the same thing in one
    of them. ``run_timeout_s`` is how long one attempt at a run may take in all, and ``run_retries`` how often a run is
    tried again because something that it needs was away. Runs and conversations are kept for so many days, and for
    ever where that is 0."""

    turn_limit: int
    max_duration_s: int
    idle_minutes: int = 30
    concurrency: int = 256
    utterance_limit: int = 400
    repeat_limit: int = 3
    run_timeout_s: float = 3600.0
    run_retries: int = 2
    keep_runs_days: int = 0
    keep_conversations_days: int = 0


def _beginnings() -> Together[str, Beginning]:
    return Together(beginnings.get_many)


def _hooked() -> Together[str, bool]:
    return Together(hooks.get_hooked)


@dataclass(frozen=True, slots=True)
class Context:
    """``outbound`` makes guarded requests to addresses that users name; ``numbers`` maps phone numbers and SIP
    addresses to assistants. ``wake`` tells whoever drives runs and does duties in this process that new ones were
    committed; ``draw`` gives a random number from 0 up to 1. ``import_urls`` are where the providers are from which
    assistants can be imported, by their names; ``background`` does what tools do not wait for; ``sandbox`` runs their
    code, where there is one. ``token`` gives so many random bytes as text; ``watcher`` tells clients of this process
    what happens; ``ceilings`` hold for the runs of all workers together. ``beginnings`` are read of runs by their ids,
    ``hooked`` says which organisations want to be told."""

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
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    budget: Budget = field(default_factory=Budget)
    token: Callable[[int], str] = token_urlsafe
    telemetry: Telemetry = NOBODY
    watcher: Watcher = field(default_factory=Watcher)
    ceilings: Ceilings = field(default_factory=Ceilings)
    beginnings: Together[str, Beginning] = field(default_factory=_beginnings)
    hooked: Together[str, bool] = field(default_factory=_hooked)
