"""What the scripted tester says when its brief holds no script: the brief's own sentences."""

import re
from collections.abc import Sequence

from vivavoce.examination.checks.texts import sentences

MAX_SENTENCES = 10
"""Sentences of a brief that are said, one a turn."""

# Such a sentence tells the tester who it is; said aloud it would be nonsense.
_PERSONA = re.compile(
    r"(?:you(?:'re|’re| are| were| will| should| must| have to)\b|your (?:name|role|goal|task)\b"
    r"|(?:please )?(?:act|pretend|imagine|role-?play|play|speak|behave|stay|be)\b)",
    re.IGNORECASE,
)
_LEADING_MARK = re.compile(r"(?:[-*•#>]+|[0-9]{1,2}[.)])\s+")
_ADDRESSED = re.compile(r"your?\b", re.IGNORECASE)
_FIRST_PERSON = (
    (re.compile(r"\byou are\b", re.IGNORECASE), "I am"),
    (re.compile(r"\byou(?:'|’)re\b", re.IGNORECASE), "I'm"),
    (re.compile(r"\byourself\b", re.IGNORECASE), "myself"),
    (re.compile(r"\byours\b", re.IGNORECASE), "mine"),
    (re.compile(r"\byour\b"), "my"),
    (re.compile(r"\byour\b", re.IGNORECASE), "My"),
    (re.compile(r"\byou\b", re.IGNORECASE), "I"),
)


def lines_of(prose: Sequence[str]) -> list[str]:
    """The sentences of a brief that a caller can say.

    Sentences about who the caller is are left out, unless the brief is nothing else. What begins with *you* or *your*
    is put into the first person; the rest is said as it stands.
    """
    plain = "\n".join(_LEADING_MARK.sub("", line.strip(), count=1) for line in prose)
    found = [sentence for sentence in sentences(plain) if any(char.isalnum() for char in sentence)]
    spoken = [sentence for sentence in found if not _PERSONA.match(sentence)]
    return [_in_first_person(sentence) for sentence in (spoken or found)[:MAX_SENTENCES]]


def _in_first_person(sentence: str) -> str:
    if not _ADDRESSED.match(sentence):
        return sentence
    for pattern, words in _FIRST_PERSON:
        sentence = pattern.sub(words, sentence)
    return sentence
