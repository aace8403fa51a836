"""What only this server's key opens: AES-256-GCM, with the place a text belongs to bound into it.

A sealed text that is moved to another row does not open there. The library is imported when the first secret is sealed
or opened: it takes 7 MB, and many servers keep no secrets.
"""

import os
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_FORM = b"\x01"


class Unreadable(Exception):
    """Sealed with another key, or damaged."""


def derived(key: str, purpose: str) -> bytes:
    """32 bytes for one purpose from the server's key (HKDF, RFC 5869). The key should be long and random."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, None, f"vivavoce {purpose}".encode()).derive(key.encode())


class Seal:
    """Seals and opens with one key."""

    def __init__(self, key: str) -> None:
        self._key = key

    @cached_property
    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(derived(self._key, "secrets"))

    def close(self, text: str, place: str) -> bytes:
        """Seal the text for this place."""
        nonce = os.urandom(_NONCE)
        return _FORM + nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """The text that was sealed for this place. Raises ``Unreadable``."""
        if sealed[:1] != _FORM:
            raise Unreadable("it was sealed in a form that is not known here")
        from cryptography.exceptions import InvalidTag

        nonce, rest = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._cipher.decrypt(nonce, rest, place.encode()).decode()
        except (InvalidTag, ValueError):  # a nonce that was cut off is a value error
            raise Unreadable("it was sealed with another key (VIVA_SECRET_KEY), or is damaged") from None
