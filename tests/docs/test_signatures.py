"""What docs/reference/webhooks.md tells receivers to do, done with what the server sends."""

import json
import time
from typing import Any

import pytest
from telnyx import Telnyx
from tests.support.fences import ROOT, fences

from vivavoce.outbound.signing import Signer

PROGRAMS = [one.text for one in fences(ROOT / "docs/reference/webhooks.md") if one.language == "py"]
BODY = json.dumps({"data": {"event_type": "conversation.insights", "payload": {}}}).encode()


def run(word: str, **known: Any) -> dict[str, Any]:
    """Run the program in which the word stands, with these names and what placeholders stand for."""
    [program] = [one for one in PROGRAMS if word in one]
    signer = Signer(lambda: b"\1" * 32)
    program = program.replace("<what viva keys webhooks printed>", signer.public_key)
    program = program.replace("<what viva keys webhooks --shared printed>", signer.shared_secret)
    exec(compile(program, "webhooks.md", "exec", dont_inherit=True), known)
    return {**known, "signer": signer}


@pytest.fixture
def now() -> int:
    return int(time.time() * 1000)


def headers(prefix: str, now: int) -> dict[str, str]:
    return Signer(lambda: b"\1" * 32).headers(prefix, BODY, now)


def test_the_sdk_of_the_first_api(now: int) -> None:
    known = run("unwrap", Telnyx=Telnyx, body=BODY.decode(), headers=headers("telnyx_", now))
    assert known["event"] is not None
    with pytest.raises(Exception, match=r"."):
        run("unwrap", Telnyx=Telnyx, body=BODY.decode() + " ", headers=headers("telnyx_", now))


def test_the_sdk_of_the_second_api(now: int) -> None:
    sent = Signer(lambda: b"\1" * 32).sealed("X-Retell-Signature", BODY, now)
    run("import verify", body=BODY.decode(), headers=sent)
    with pytest.raises(PermissionError):
        run("import verify", body=BODY.decode() + " ", headers=sent)


def test_what_is_told_of_runs_and_batches(now: int) -> None:
    known = run("Ed25519PublicKey")
    known["check"](known["signer"].public_key, headers("viva_", now), BODY)
    for late, body in ((now - 400_000, BODY), (now, BODY + b" ")):
        with pytest.raises(Exception, match=r".?"):
            known["check"](known["signer"].public_key, headers("viva_", late), body)
