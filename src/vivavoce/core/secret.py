"""A secret that is named by what needs it, and shown to nobody."""

from dataclasses import dataclass
from typing import Literal

from vivavoce.core.event import Millis

SecretType = Literal["bearer", "basic"]


@dataclass(frozen=True, slots=True)
class Secret:
    """What may be known of a secret: its ``identifier`` is what others name it by."""

    id: str
    identifier: str
    type: SecretType
    created_at: Millis
    updated_at: Millis
