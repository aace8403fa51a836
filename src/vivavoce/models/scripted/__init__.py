"""The scripted model: deterministic, without a network. The language is in docs/reference/scripted-model.md."""

from vivavoce.models.scripted.model import Rewriting, Scripted
from vivavoce.models.scripted.script import problems

__all__ = ["Rewriting", "Scripted", "problems"]
