"""How this API writes times, and which it reads (contract, section 1.2)."""

from vivavoce.core.times import iso, maybe_iso, millis

__all__ = ["iso", "maybe_iso", "millis"]
