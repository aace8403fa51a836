"""Criteria that are computed from the record instead of being judged. The grammar is in docs/reference/checks.md."""

from vivavoce.core.scenario import Criterion
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Verdict
from vivavoce.examination.checks.claims import Calls, Claim, Order
from vivavoce.examination.checks.deciding import Finding, decide
from vivavoce.examination.checks.grammar import read_claims, read_fact
from vivavoce.examination.checks.patterns import PatternError

COMPUTED = "computed"
"""Who decides what is computed, as ``Verdict.decided_by``."""


def compute_fact(criterion: Criterion, transcript: Transcript, *, tools_recorded: bool = True) -> Verdict | None:
    """The verdict on a criterion whose whole text is a statement about times, tool calls or the ending.

    None where the text is anything else, or leaves open what is right in this conversation: then a judge decides.
    With ``tools_recorded`` false the record is of an assistant elsewhere, whose tool calls nobody saw, and
    nothing is concluded from their absence. Turns in reasons count from 0.
    """
    claim = read_fact(criterion.text)
    return None if claim is None else _verdict(criterion, (claim,), transcript, tools_recorded)


def compute_words(criterion: Criterion, transcript: Transcript, *, tools_recorded: bool = True) -> Verdict | None:
    """As ``compute_fact``, also for what was or was not said, and for several statements joined by *and*.

    Any statement unmet makes the criterion unmet; all of them met make it met; else it is inconclusive.
    A quote is verbatim from its turn.
    """
    claims = read_claims(criterion.text)
    return None if claims is None else _verdict(criterion, claims, transcript, tools_recorded)


def _verdict(
    criterion: Criterion, claims: tuple[Claim, ...], transcript: Transcript, tools_recorded: bool
) -> Verdict | None:
    found = [_finding(claim, transcript, tools_recorded) for claim in claims]
    findings = [finding for finding in found if finding is not None]
    unmet = [finding for finding in findings if finding.decision is Decision.UNMET]
    if not unmet and len(findings) < len(found):
        return None
    deciding = unmet or [finding for finding in findings if finding.decision is Decision.INCONCLUSIVE] or findings
    reason = "; ".join(finding.reason for finding in deciding)
    quote = next((finding.quote for finding in deciding if finding.quote), None)
    return Verdict(criterion.name, deciding[0].decision, reason, COMPUTED, quote)


def _finding(claim: Claim, transcript: Transcript, tools_recorded: bool) -> Finding | None:
    if _unseen(claim) and not tools_recorded:
        return None
    try:
        return decide(claim, transcript)
    except PatternError:
        return None  # a message is too long for the pattern


def _unseen(claim: Claim) -> bool:
    parts = (claim.first, claim.second) if isinstance(claim, Order) else (claim,)
    return any(isinstance(part, Calls) for part in parts)
