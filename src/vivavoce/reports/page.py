"""One HTML file that needs nothing else: no script, no font, no request. Slow to import (Jinja2)."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from vivavoce.client.answers import Turn, Verdict
from vivavoce.reports.results import Report, State, counted
from vivavoce.reports.telling import TONES, clean, fault, rate, reason, seconds, summary, turn

_HERE = Path(__file__).parent


def page(report: Report) -> str:
    """The report as HTML: every test with its verdicts; of what did not pass the conversation with the words that the
    verdicts rest on."""
    return _template().render(
        report=report,
        title=summary(report),
        counts=[(state.value, many, TONES[state]) for state, many in counted(report.tests).items()],
        passed=State.PASSED,
        tones=TONES,
        rate=rate,
        reason=reason,
        fault=fault,
        seconds=seconds,
        turn=turn,
        clean=clean,
        pieces=pieces,
        quotes=quotes,
        started=report.started_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
    )


def quotes(verdicts: tuple[Verdict, ...], one: Turn) -> tuple[str, ...]:
    """The words of this turn that verdicts rest on."""
    return tuple(verdict.quote.text for verdict in verdicts if verdict.quote and verdict.quote.turn == one.turn)


def pieces(text: str, found: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """The text in pieces, each with whether it is one of these words; joined they are the text."""
    marks = [False] * len(text)
    for words in found:
        at = text.find(words) if words else -1
        if at >= 0:
            marks[at : at + len(words)] = [True] * len(words)
    made: list[tuple[str, bool]] = []
    for letter, marked in zip(text, marks, strict=True):
        if made and made[-1][1] is marked:
            made[-1] = (made[-1][0] + letter, marked)
        else:
            made.append((letter, marked))
    return tuple(made)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
