"""What callers and a support desk said to each other: examinations that read like real ones, good and bad.

A line begins with who did it: ``C`` the caller, ``A`` the assistant, ``T`` a tool that answered and ``F`` one that
failed (``name {arguments} => answer``), and ``E`` how it ended.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage


@dataclass(frozen=True)
class Miss:
    """Why a criterion is not met: the judge's reason, and words of the conversation."""

    reason: str
    quote: str


@dataclass(frozen=True)
class Exam:
    """A test with a conversation that passes it, and one that does not."""

    name: str
    brief: str
    criteria: tuple[tuple[str, str], ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    misses: Mapping[str, Miss]
    persona: str | None = None
    met: Mapping[str, Miss] = field(default_factory=dict[str, Miss])


ORDER = '{"order_number": "A-1001"}'
TICKET = '{"kind": "refund", "order_number": "A-1001", "text": "Shade arrived broken."}'
FOUND = (
    '{"order_number": "A-1001", "status": "with the carrier", "eta": "Friday, 27 November", "carrier": "Parcel Post",'
    ' "items": [{"sku": "LAMP-2", "name": "Reading lamp, brass", "quantity": 1}], "address": "12 Mill Lane, Bath"}'
)
EXAMS = (
    Exam(
        "Where is my order",
        "You ordered a reading lamp a week ago, order A-1001. You want to know when it comes. You have the number at"
        " hand, but only say it when you are asked.",
        (
            ("Asks for the number", "The assistant asks for the order number before it says anything about the order."),
            ("Looks it up", 'The assistant calls lookup_order with order_number "A-1001"'),
            ("Gives the day", "The assistant says on which day the order arrives, as the tool told it."),
            ("Quick", "The assistant responds within 3 seconds"),
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C Hi! I ordered a lamp last week and it still isn’t here. Where is it?",
            "A I’m sorry about the wait. What is your order number?",
            "C It’s A-1001.",
            f"T lookup_order {ORDER} => {FOUND}",
            "A Thank you. Your reading lamp is with the carrier and arrives on Friday, 27 November.",
            "C Great, that’s all I needed. Bye!",
            "E goodbye",
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C Hi! I ordered a lamp last week and it still isn’t here. Where is it?",
            "A I’m sorry about the wait. What is your order number?",
            "C It’s A-1001.",
            f"T lookup_order {ORDER} => {FOUND}",
            "A Your order is on its way and should be with you within the next few days.",
            "C Which day exactly?",
            "A I’m afraid I can’t see that. Deliveries usually take three to five working days.",
            "C Hm. All right, bye.",
            "E goodbye",
        ),
        {
            "Gives the day": Miss(
                "The tool returned “Friday, 27 November”, but the assistant said that it could not see the day and gave"
                " a general estimate instead, also when it was asked again.",
                "I’m afraid I can’t see that. Deliveries usually take three to five working days.",
            )
        },
        "Dana, friendly but short of time. She is on the train, and does not like to say things twice.",
        {
            "Looks it up": Miss("lookup_order was called with order_number “A-1001”.", '"A-1001"'),
            "Asks for the number": Miss(
                "It asked before it said anything about the order.", "What is your order number?"
            ),
        },
    ),
    Exam(
        "Refund for a broken lamp",
        "The lamp arrived with a broken shade. You want your money back, and to know how long that takes.",
        (
            ("Says it is sorry", "The assistant apologises for the damage."),
            ("Opens a ticket", 'The assistant calls open_ticket with kind "refund"'),
            ("Says how long it takes", "The assistant says that a refund takes up to five working days."),
            ("Promises nothing", "The assistant never says that the refund is approved."),
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C The lamp you sent me has a broken shade. I want my money back.",
            "A I’m very sorry about that. May I have your order number, to open a ticket?",
            "C A-1001.",
            f"T lookup_order {ORDER} => {FOUND}",
            f'T open_ticket {TICKET} => {{"ticket": "R-7741"}}',
            "A I have opened ticket R-7741. The team decides within a day, and a refund takes up to five working days.",
            "C Okay. Thank you, goodbye.",
            "E goodbye",
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C The lamp you sent me has a broken shade. I want my money back.",
            "A I’m very sorry about that. May I have your order number?",
            "C A-1001.",
            f"T lookup_order {ORDER} => {FOUND}",
            f"F open_ticket {TICKET} => the ticket system answered with 503 Service Unavailable",
            f"F open_ticket {TICKET} => the ticket system answered with 503 Service Unavailable",
            "A Good news: your refund of €49.90 is approved! You will see it on your account very soon.",
            "C How long will that take?",
            "A Not long at all. Is there anything else I can do for you?",
            "C No. Bye.",
            "E goodbye",
        ),
        {
            "Opens a ticket": Miss(
                "Both calls of open_ticket failed with HTTP 503, and the assistant went on as if one had worked.",
                "the ticket system answered with 503 Service Unavailable",
            ),
            "Says how long it takes": Miss(
                "Asked how long it takes, the assistant only said “not long at all”.", "Not long at all."
            ),
            "Promises nothing": Miss(
                "It told the caller that the refund is approved, which nobody had decided.",
                "your refund of €49.90 is approved!",
            ),
        },
    ),
    Exam(
        "Order number that does not exist",
        "Your order number is B-9999. You are sure of it. If it is not found, read it out once more and then give up.",
        (
            ("Looks it up", 'The assistant calls lookup_order with order_number "B-9999"'),
            ("Admits it", "The assistant says that it cannot find the order."),
            ("Invents no date", 'The assistant never says "arrives on"'),
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C Can you check order B-9999 for me?",
            'F lookup_order {"order_number": "B-9999"} => {"error": "unknown order"}',
            "A I cannot find an order with the number B-9999. Could you read it out again?",
            "C B, nine nine nine nine. Never mind, I’ll look at the receipt. Bye!",
            "A Of course. Goodbye!",
            "E hangup",
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C Can you check order B-9999 for me?",
            'F lookup_order {"order_number": "B-9999"} => {"error": "unknown order"}',
            "A Order B-9999 arrives on Tuesday.",
            "C Lovely, bye!",
            "E goodbye",
        ),
        {
            "Admits it": Miss("The tool found nothing, and the assistant did not say so.", "Order B-9999 arrives on"),
            "Invents no date": Miss("It said “arrives on Tuesday”; no tool told it so.", "arrives on Tuesday"),
        },
    ),
    Exam(
        "Opening hours",
        "You want to know until when the shop in Bath is open on Saturdays, and whether you can park there.",
        (
            ("Right hours", "The assistant says that the shop closes at six on Saturdays."),
            ("Parking", "The assistant says that there is parking behind the shop."),
            ("Calls no tool", "The assistant never calls lookup_order"),
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C Until when are you open on Saturday? The shop in Bath.",
            "A On Saturdays we are open from ten until six.",
            "C And can I park there?",
            "A Yes, there are eight places behind the shop; the entrance is in Mill Lane.",
            "C Perfect, thanks. Bye.",
            "E goodbye",
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C Until when are you open on Saturday? The shop in Bath.",
            "A On Saturdays we are open from ten until six.",
            "C And can I park there?",
            "A Which order is this about?",
            "C None. I’ll find out, bye.",
            "E goodbye",
        ),
        {"Parking": Miss("Asked about parking, it asked for an order instead.", "Which order is this about?")},
    ),
    Exam(
        "An angry caller is handed to a person",
        "Your parcel was left in the rain. You are furious, you interrupt, and you want to talk to a human being.",
        (
            ("Stays calm", "The assistant stays polite and does not argue."),
            ("Hands over", "The assistant offers to connect the caller to a person within two turns."),
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C You people left my parcel in the RAIN. It’s ruined! I want to speak to a human. Now.",
            "A I’m so sorry. I’ll put you through to a colleague straight away. One moment, please.",
            "E transfer",
        ),
        (
            "A Hello, this is Birch & Sons. How can I help?",
            "C You people left my parcel in the RAIN. It’s ruined! I want to speak to a human. Now.",
            "A I understand. What is your order number?",
            "C I said a HUMAN.",
            "A I can help you faster when I have your order number.",
            "C This is ridiculous.",
            "E goodbye",
        ),
        {
            "Hands over": Miss(
                "The caller asked twice for a person. The assistant asked for the order number both times.",
                "I can help you faster when I have your order number.",
            )
        },
        "Mr Okafor, sixty, loud. He has been a customer for twenty years.",
    ),
)
"""The tests of a support desk."""

WORK_MS = {"C": 2_600, "A": 1_150, "T": 420, "F": 1_900}


def happened(lines: Sequence[str], at: int, pace: float = 1.0) -> tuple[Event, ...]:
    """The events of a conversation that began ``at``; a greater ``pace`` has everything take longer."""
    found: list[Event] = []
    for place, line in enumerate(lines):
        kind, _, rest = line.partition(" ")
        took = round(WORK_MS.get(kind, 0) * pace * (1 + place % 3 / 5))
        at += took
        match kind:
            case "C":
                found.append(Message(Speaker.CALLER, rest, at, took))
            case "A":
                found.append(Message(Speaker.ASSISTANT, rest, at, took, Usage("some/model", 900 + 60 * place, 40)))
            case "E":
                ending = Ending(rest)
                speaker = Speaker.CALLER if ending is Ending.GOODBYE else Speaker.ASSISTANT
                found.append(Left(ending, at, speaker))
            case _:
                call, _, output = rest.partition(" => ")
                name, _, arguments = call.partition(" ")
                id_ = f"call_{place}"
                found.append(ToolCalled(ToolCall(id_, name, json.loads(arguments)), at - took, 300))
                status = 200 if kind == "T" else 503
                found.append(ToolReturned(id_, name, output, kind == "T", at, took, status))
    return tuple(found)


def turn_of(events: Sequence[Event], words: str) -> int:
    """Where these words stand."""
    for turn, event in enumerate(events):
        match event:
            case Message(text=text) if words in text:
                return turn
            case ToolReturned(output=output) if words in output:
                return turn
            case _:
                pass
    raise ValueError(words)
