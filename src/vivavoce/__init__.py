"""Viva Voce: an oral exam for AI assistants."""

__version__ = "0.1.0"
