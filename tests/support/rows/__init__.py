"""The rows of the table of routes, by area; ``tests.support.routes`` puts them together."""
