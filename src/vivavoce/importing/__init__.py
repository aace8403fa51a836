"""Assistants that other providers keep, fetched and turned into ours. The only room that knows those providers."""
