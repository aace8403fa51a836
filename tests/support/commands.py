"""Command lines of ``viva`` as they stand in files and pages, and whether the real command line takes them."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from vivavoce.cli.main import app

FENCE = re.compile(r"^ *```(?:sh|bash)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
WRAPPERS = {"docker", "exec", "nohup", "sudo", "time"}
"""Commands that start another one, whose words follow somewhere after theirs."""
_COMMENT = re.compile(r"(?<!\S)#.*$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_ENDS, _REDIRECTS = set(";&|\n"), set("<>")


def statements(script: str) -> Iterator[list[str]]:
    """The words of each simple command of a shell script, without redirections and assignments before it."""
    text = _COMMENT.sub("", script.replace("\\\n", " "))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    redirected = False
    for token in [*lexer, "\n"]:
        if set(token) <= _ENDS:
            if words:
                yield words
            words, redirected = [], False
        elif set(token) <= _REDIRECTS:
            redirected = True
        elif not redirected and (words or not _ASSIGNMENT.fullmatch(token)):
            words.append(token)


def arguments(words: Sequence[str]) -> list[str] | None:
    """What ``viva`` is given in this command, or None where it is another command."""
    places = [place for place, word in enumerate(words) if word == "viva" or word.endswith("bin/viva")]
    if not places or (places[0] and words[0] not in WRAPPERS):
        return None
    given = list(words[places[-1] + 1 :])
    return given or None


def in_page(markdown: str) -> list[list[str]]:
    """The arguments of every ``viva`` in the shell blocks of a page."""
    found = (arguments(words) for script in FENCE.findall(markdown) for words in statements(script))
    return [given for given in found if given is not None]


def parse(given: Sequence[str]) -> dict[str, Any]:
    """The options of the command that these arguments name, by their names in Python. Nothing is done.

    Raises whatever the command line would end with: an unknown command or option, a missing or useless value.
    """
    command: Any = typer.main.get_command(app)
    left = list(given)
    if left in (["--version"], ["--help"]):
        return {}
    while (commands := getattr(command, "commands", None)) is not None:
        if not left or left[0] not in commands:
            raise AssertionError(f"viva {shlex.join(given)}: there is no such command")
        command = commands[left.pop(0)]
    return command.make_context(command.name, left).params
