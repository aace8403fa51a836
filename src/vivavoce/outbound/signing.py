"""Signatures on what this server sends, and on what is sent to it.

Those with a key pair are Ed25519 over ``timestamp|body`` (contract, 6.3); those with a shared secret are HMAC-SHA256
(testing contract, section 3.6). The library for the former is imported with the first signature: it takes 7 MB, and
many servers never sign anything.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from vivavoce.core.event import Millis

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TOLERANCE_S = 300
"""How old a signed message may be, and how far ahead its clock, before it is refused."""


class Signer:
    """Signs with one private key, whose 32 bytes ``seed`` gives, and with one secret that is made from it."""

    def __init__(self, seed: Callable[[], bytes]) -> None:
        self._seed = seed

    @cached_property
    def _key(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed())

    @property
    def public_key(self) -> str:
        """What a receiver needs to check a signature: 32 bytes in base64."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return base64.b64encode(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def headers(self, prefix: str, body: bytes, now: Millis) -> dict[str, str]:
        """The two headers of a signed request; ``prefix`` is that of the API that asked for it, such as ``acme_``."""
        timestamp = str(now // 1000)
        signature = base64.b64encode(self._key.sign(timestamp.encode() + b"|" + body)).decode()
        word = prefix.replace("_", "-")
        return {f"{word}timestamp": timestamp, f"{word}signature-ed25519": signature}

    @property
    def shared_secret(self) -> str:
        """What a receiver needs to check a signature of ``sealed``: 64 hexadecimal digits, which nobody else may
        know."""
        return hmac.new(self._seed(), b"shared secret", hashlib.sha256).hexdigest()

    def sealed(self, header: str, body: bytes, now: Millis) -> dict[str, str]:
        """The one header of a request that is signed with the shared secret: ``v=<milliseconds>,d=<digest>``, where the
        digest is the HMAC-SHA256 of the body with the milliseconds behind it, in hexadecimal digits."""
        digest = hmac.new(self.shared_secret.encode(), body + str(now).encode(), hashlib.sha256).hexdigest()
        return {header: f"v={now},d={digest}"}


def signed(public_key: str, timestamp: str, signature: str, body: bytes, now: Millis) -> bool:
    """Whether the holder of the key said this, and not long ago. Never raises for what was sent."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        return False
    if abs(now // 1000 - int(timestamp)) > TOLERANCE_S:
        return False
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + b"|" + body)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
