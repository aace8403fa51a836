"""Why there is nothing to run suites on."""


class CannotStart(Exception):
    """There is no server to be had; the message says why in a line."""
