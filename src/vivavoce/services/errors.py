"""What can go wrong for a reason that a person can mend. The APIs turn these into their own answers."""


class NotFound(Exception):
    """There is no such object, or it belongs to somebody else."""

    def __init__(self, noun: str, id_: str) -> None:
        super().__init__(f"{noun} {id_!r} was not found.")
        self.noun, self.id = noun, id_


class Rejected(Exception):
    """The request is well formed and cannot be done; ``part`` names what in it is to blame, as the core calls it."""

    def __init__(self, message: str, part: str | None = None) -> None:
        super().__init__(message)
        self.part = part


class Busy(Exception):
    """Somebody else is doing this right now; trying again later helps."""


class Broken(Exception):
    """Something the server depends on failed (a model, a provider); the message is for a person."""
