"""Who looks at the dashboard."""

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from starlette.requests import Request

from vivavoce.core.scope import Scope
from vivavoce.storage.orgs import DEFAULT
from vivavoce.storage.sessions import Session

COOKIE = "viva_session"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person with a session. ``csrf`` is the token that the forms on their pages carry."""

    session: Session
    csrf: str

    @property
    def org(self) -> str:
        """The organisation whose things they see."""
        return self.session.org

    @property
    def org_name(self) -> str:
        """That organisation as people call it."""
        return self.session.org_name or DEFAULT

    @property
    def may_run(self) -> bool:
        """Whether they may trigger tests and talk to assistants."""
        return self.session.scope.allows(Scope.RUN)

    @property
    def may_change(self) -> bool:
        """Whether they may also change what is defined."""
        return self.session.scope.allows(Scope.ADMIN)


def csrf_of(token: str) -> str:
    """The token for forms that belongs to a session's. Whoever knows it does not know the session's."""
    return sha256(f"csrf:{token}".encode()).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether both are the same, told in constant time."""
    return compare_digest(given.encode(), wanted.encode())


def visitor(request: Request) -> Visitor:
    """Who sent this request; the gate let only those through who have a session."""
    return request.state.visitor
