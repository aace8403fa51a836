"""What a key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """Each includes those before it: ``READ`` looks at things, ``RUN`` also triggers tests and talks to assistants,
    ``ADMIN`` also changes what is defined: assistants, tests, secrets, schedules, webhooks, keys."""

    READ = "read"
    RUN = "run"
    ADMIN = "admin"

    def allows(self, needed: "Scope") -> bool:
        """Whether a key with this scope may do what needs that one."""
        order = tuple(Scope)
        return order.index(self) >= order.index(needed)

    @property
    def told(self) -> str:
        """What it allows, in words."""
        return {Scope.READ: "only read", Scope.RUN: "only read and run", Scope.ADMIN: "do everything"}[self]
