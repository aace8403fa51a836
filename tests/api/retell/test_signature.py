"""Requests of functions, checked by the vendor's own code (contract, section 3.6)."""

import hashlib
import hmac
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from retell.lib import webhook_auth
from tests.outbound.local_server import LOCAL, always, serving

from vivavoce.api.retell.wire.tools import to_tool
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Rules, Templating
from vivavoce.core.tool import WebhookTool
from vivavoce.outbound.fetch import Session, open_session
from vivavoce.outbound.signing import Signer
from vivavoce.tools.reach import Reach
from vivavoce.tools.webhook import call_webhook

NOW = 1_800_000_000_123
SIGNER = Signer(lambda: bytes(32))
FILLING = Filling({"user": "Ann"}, Templating("", Rules.NESTED, "UTC"), NOW)


@pytest.fixture
async def session() -> AsyncGenerator[Session]:
    async with open_session(LOCAL) as opened:
        yield opened


def is_good(body: bytes, secret: str, signature: str, now: int = NOW) -> bool:
    sdk: Any = webhook_auth  # it has no types
    return sdk.symmetric["verify"](body.decode(), secret, signature, {"timestamp": now})


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("args_at_root", [True, False])
async def test_section_3_6_the_vendor_s_code_takes_the_signature(
    session: Session, method: str, args_at_root: bool
) -> None:
    raw = {"type": "custom", "name": "find", "description": "ü", "method": method, "args_at_root": args_at_root}
    raw |= {"parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}
    async with serving(always({})) as server:
        tool = to_tool({**raw, "url": server.url})
        assert isinstance(tool, WebhookTool)
        reach = Reach(sign=lambda body, header: SIGNER.sealed(header, body, NOW), conversation="c")
        output = await call_webhook(session, tool, {"id": "ä"}, key="k", filling=FILLING, reach=reach)
    assert output.ok
    (seen,) = server.seen
    signature = seen.headers["X-Retell-Signature"]
    assert is_good(seen.body, SIGNER.shared_secret, signature)
    assert not is_good(seen.body, "another secret", signature)
    assert not is_good(seen.body + b" ", SIGNER.shared_secret, signature)
    assert not is_good(seen.body, SIGNER.shared_secret, signature, NOW + 300_001)
    digest = hmac.new(SIGNER.shared_secret.encode(), seen.body + b"1800000000123", hashlib.sha256).hexdigest()
    assert signature == f"v=1800000000123,d={digest}"
    if method != "POST":
        assert seen.body == b""
    elif args_at_root:
        assert seen.json == {"id": "ä"}
    else:
        assert (seen.json["name"], seen.json["args"]) == ("find", {"id": "ä"})
        assert seen.json["call"]["retell_llm_dynamic_variables"] == {"user": "Ann"}
        assert "playground" in seen.json["call"]["call_id"]
