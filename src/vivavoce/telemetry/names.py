"""Names in labels are few, whatever users name."""

MOST_MODELS = 100
LONGEST = 100
OTHER = "other"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Models:
    """The models that have labels of their own: the first that answered. A name that nobody serves gets none, or
    whoever makes names up could take the places of all others."""

    def __init__(self, most: int = MOST_MODELS) -> None:
        self._most = most
        self._known = set[tuple[str, str]]()

    def label(self, provider: str, model: str, *, answered: bool) -> str:
        """The name for a label."""
        known = (provider, model) in self._known
        if not known and answered and len(self._known) < self._most and len(model) <= LONGEST:
            self._known.add((provider, model))
            known = True
        return model if known else OTHER


def method(given: str) -> str:
    """An HTTP method for a label."""
    return given if given in _METHODS else "_OTHER"
