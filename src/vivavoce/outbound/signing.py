"""Signatures on what this server sends, and on what is sent to it: Ed25519 over ``timestamp|body`` (contract, 6.3)."""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vivavoce.core.event import Millis

TOLERANCE_S = 300
"""How old a signed message may be, and how far ahead its clock, before it is refused."""


class Signer:
    """Signs with one private key, given as 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> str:
        """What a receiver needs to check a signature: 32 bytes in base64."""
        return base64.b64encode(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def headers(self, prefix: str, body: bytes, now: Millis) -> dict[str, str]:
        """The two headers of a signed request; ``prefix`` is that of the API that asked for it, such as ``acme_``."""
        timestamp = str(now // 1000)
        signature = base64.b64encode(self._key.sign(timestamp.encode() + b"|" + body)).decode()
        word = prefix.replace("_", "-")
        return {f"{word}timestamp": timestamp, f"{word}signature-ed25519": signature}


def signed(public_key: str, timestamp: str, signature: str, body: bytes, now: Millis) -> bool:
    """Whether the holder of the key said this, and not long ago. Never raises for what was sent."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        return False
    if abs(now // 1000 - int(timestamp)) > TOLERANCE_S:
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + b"|" + body)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
