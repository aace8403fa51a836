"""The examination that goes over every node and every edge of ``retell_every_node``, and what runs its program."""

import http.server
import json
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.retell_every_node import PROGRAM
from tests.support.retell_scenes import mock
from tests.support.retell_sdk import NEWEST


@dataclass(frozen=True)
class Case:
    """A caller who says these lines one after the other; what must have happened, and how it must have ended."""

    lines: Sequence[str]
    metrics: Sequence[str]
    ending: str = "agent_end_call"
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    mocks: Sequence[Mapping[str, Any]] = ()

    @property
    def brief(self) -> str:
        first, *others = (json.dumps(line) for line in self.lines)
        return "\n".join([f"on start: say {first}", *(f"once on hear /./: say {line}" for line in others)])


def _late() -> list[dict[str, Any]]:
    return [mock('{"order": {"state": "late"}}', {"number": "A-2"})]


def _failing(name: str) -> list[dict[str, Any]]:
    return [mock("It did not work.", name=name, result=False)]


SWAP = Case(
    ["Give me your colleague.", "Who are you?"],
    ['says "I am the colleague"', "calls agent_swap once", "the caller hangs up"],
    "user_end_call",
)
SWAP_FAILS = Case(["Give me your colleague.", "Again."], ['says "I am sorry"', "the caller hangs up"], "user_end_call")
"""The same flow, when the colleague is not there any more."""

CASES: Mapping[str, Case] = {
    "every operator": Case(
        [
            "Sort it.",
            "Hm.",
            "Sort a letter of 1.",
            "Sort a wineglass of 3.",
            "Sort a box of 40.",
            "Sort a box of 25.",
            "Sort a box of 0.5, please.",
            "Sort a bag of 2.",
            "Sort a crate of 10.",
            "Sort a box of 10, and fast.",
            "Sort a box of 11.",
            "Hm.",
            "Sort a box of 12 marked urgent.",
            "Bye.",
        ],
        [
            "calls extract_dynamic_variables 11 times",
            'says "Sorted: letter 1." before "Sorted: wineglass 3."',
            'says "Sorted: box 25." before "Sorted: box 0.5."',
            'says "Sorted: crate 10." before "Sorted: box 10."',
            'never says "Sorted: box 11."',
            'says "Sorted: box 12."',
            "the assistant hangs up",
        ],
    ),
    "not sorted": Case(
        ["Sort, oh, never mind.", "Sort a bomb of 1."], ['never says "Sorted"', 'says "Goodbye, and thank you."']
    ),
    "functions": Case(
        ["Find A-1.", "Hm.", "Find A-3.", "Find A-2.", "Again.", "Write it, quickly.", "Write it.", "Hm.", "Bye."],
        [
            "calls `find` 3 times",
            'calls `find` with number "A-1"',
            'says "One moment."',
            'says "I write it down."',
            "calls `log` twice",
            'says "I am sorry" before calling `log`',
        ],
        mocks=_late(),
    ),
    "few": Case(
        ["Count.", "Hm.", "Count roughly.", "Bye."], ["calls `count` twice", 'says "Pardon?"'], variables={"items": "a"}
    ),
    "many": Case(["Count roughly.", "Hm.", "Bye."], ["calls `count`", 'says "Pardon?"'], variables={"items": "a b c"}),
    "keys": Case(
        ["The keys.", "Thanks.", "Keys.", "What?", "Hm.", "Bye."], ["calls press_digit twice", 'says "Pardon?"']
    ),
    "busy": Case(["The keys.", "Thanks."], ["calls press_digit once", 'says "Goodbye"'], variables={"line": "busy"}),
    "texts": Case(["Text me.", "Hm.", "Bye."], ["calls send_sms once", 'says "Pardon?"']),
    "no texts": Case(
        ["Text me.", "No."], ['says "I am sorry"', 'says "Goodbye, and thank you."'], mocks=_failing("send_sms")
    ),
    "days": Case(
        ["The day, roughly.", "The day, please.", "Hm.", "The day of A-1.", "Bye."],
        ["calls find_order 3 times", 'calls find_order with number "A-1"', 'says "Pardon?"'],
    ),
    "broken": Case(
        ["I return it.", "It is broken.", "Again.", "Bye."], ["calls `stock` once", 'says "It is noted."', "hangs up"]
    ),
    "refunds": Case(
        ["I return it.", "I want a refund.", "Hm.", "I return another one.", "No reason.", "Bye."],
        ["never calls `stock`", 'says "Pardon?"'],
    ),
    "insured": Case(
        ["Insure it.", "Yes.", "Hm.", "Insure this.", "No.", "Bye."], ['says "It is insured now."', 'says "Goodbye"']
    ),
    "rich": Case(["Insure it.", "No."], ['never says "It is insured now."'], variables={"value": "1001"}),
    "help": Case(
        ["Help me.", "Well.", "Where is A-1?", "Thanks.", "Help.", "That is all."],
        ['says "I see."', 'says "It is shipped."', "calls `find` once", "the assistant hangs up"],
    ),
    "known": Case(["Help me.", "My name is Dana.", "Well?", "Bye."], ['calls `remember` with name "Dana"']),
    "boss": Case(["The boss.", "Hello?"], ['says "I put you through."', "calls transfer_call once"], "transfer_call"),
    "no boss": Case(
        ["The boss.", "Again.", "Bye."],
        ["calls transfer_call once", 'says "I am sorry" before "Goodbye"'],
        mocks=_failing("transfer_call"),
    ),
    "bridge": Case(["Please join us."], ["calls bridge_transfer once"], "transfer_call"),
    "cancel": Case(["I give up."], ['says "Then not."']),
    "vip": Case(["Hello."], ['never says "Goodbye"'], variables={"vip": "yes"}),
    "angry": Case(
        ["I am angry.", "I am calm.", "No, angry.", "I sort it out, never mind.", "Angry!", "Leave me."],
        ['says "I am sorry that you are upset." before "Please say that once more."', 'says "Goodbye"'],
    ),
    "lost": Case(["I am lost.", "I found it.", "Bye."], ['says "Where are you?"']),
    "led back": Case(
        ["Hello." if NEWEST else "I am lost.", "I found it."],
        ['says "Where are you?"', 'says "What can I do for you?"'],
        "user_end_call",
        {"lost": "yes", "route": "home"},
    ),
}


# --- what runs its program --------------------------------------------------------------------------------------------


@contextmanager
def sandbox() -> Generator[str]:
    """The address of a stand-in for a sandbox: it knows one program, and what that computes."""

    class Sandbox(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known = asked["code"] == PROGRAM
            told = {"result": {"total": len(asked["variables"]["items"].split())}} if known else {"error": "unknown"}
            answer = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Nothing on the terminal."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sandbox)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/run"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
