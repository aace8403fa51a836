"""Signatures: Ed25519 over ``timestamp|body`` in two headers (section 6.3), HMAC in one (testing contract, 3.6)."""

import base64
import hashlib
import hmac

import pytest

from vivavoce.outbound.signing import TOLERANCE_S, Signer, signed

# RFC 8032, section 7.1, the first test
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
NOW = 1_800_000_000_123
BODY = '{"a": "ä"}'.encode()


def headers() -> tuple[str, str]:
    found = Signer(lambda: SEED).headers("acme_", BODY, NOW)
    assert list(found) == ["acme-timestamp", "acme-signature-ed25519"]
    timestamp, signature = found.values()
    return timestamp, signature


def test_the_public_key_is_that_of_the_standard() -> None:
    assert base64.b64decode(Signer(lambda: SEED).public_key) == PUBLIC


def test_rule_6_3_signed_is_the_time_in_seconds_a_bar_and_the_body() -> None:
    timestamp, signature = headers()
    assert timestamp == "1800000000"
    assert len(base64.b64decode(signature)) == 64
    assert signed(Signer(lambda: SEED).public_key, timestamp, signature, BODY, NOW)


def test_nobody_else_and_nothing_else() -> None:
    timestamp, signature = headers()
    key = Signer(lambda: SEED).public_key
    assert not signed(Signer(lambda: bytes(32)).public_key, timestamp, signature, BODY, NOW)
    assert not signed(key, timestamp, signature, BODY + b" ", NOW)
    assert not signed(key, "1800000001", signature, BODY, NOW)
    other = Signer(lambda: bytes(32)).headers("acme_", BODY, NOW)["acme-signature-ed25519"]
    assert not signed(key, timestamp, other, BODY, NOW)


def test_what_is_too_old_or_from_the_future_is_refused() -> None:
    timestamp, signature = headers()
    key, second = Signer(lambda: SEED).public_key, NOW // 1000 * 1000
    for turned in (-TOLERANCE_S, TOLERANCE_S):
        assert signed(key, timestamp, signature, BODY, second + turned * 1000)
    for turned in (-TOLERANCE_S - 1, TOLERANCE_S + 1):
        assert not signed(key, timestamp, signature, BODY, second + turned * 1000)


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1.8e9", "١٨٠٠٠٠٠٠٠٠", "1" * 400, " 1800000000"])
def test_timestamps_that_are_none(timestamp: str) -> None:
    assert not signed(Signer(lambda: SEED).public_key, timestamp, headers()[1], BODY, NOW)


@pytest.mark.parametrize("text", ["", "!", "ä", "AAAA", "=", "A" * 87])
def test_keys_and_signatures_that_are_none(text: str) -> None:
    timestamp, signature = headers()
    assert not signed(Signer(lambda: SEED).public_key, timestamp, text, BODY, NOW)
    assert not signed(text, timestamp, signature, BODY, NOW)


def test_a_signer_does_not_show_its_key() -> None:
    shown = repr(Signer(lambda: SEED)) + str(vars(Signer(lambda: SEED)))
    assert SEED.hex() not in shown
    assert base64.b64encode(SEED).decode() not in shown


def test_section_3_6_with_a_shared_secret_the_body_and_the_milliseconds_are_signed() -> None:
    signer = Signer(lambda: SEED)
    (header,) = signer.sealed("X-Signed", BODY, NOW).items()
    digest = hmac.new(signer.shared_secret.encode(), BODY + b"1800000000123", hashlib.sha256).hexdigest()
    assert header == ("X-Signed", f"v=1800000000123,d={digest}")


def test_the_shared_secret_is_the_server_s_own_and_tells_nothing_of_its_key() -> None:
    secret = Signer(lambda: SEED).shared_secret
    assert secret == Signer(lambda: SEED).shared_secret != Signer(lambda: bytes(32)).shared_secret
    assert len(bytes.fromhex(secret)) == 32
    assert secret not in (SEED.hex(), PUBLIC.hex())
