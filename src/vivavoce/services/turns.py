"""One message at a time in each conversation."""

import asyncio
from contextlib import AbstractAsyncContextManager
from weakref import WeakValueDictionary


class Turns:
    """A lock for each conversation that somebody is talking in; others wait. It lasts as long as it is held."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, conversation_id: str) -> AbstractAsyncContextManager[None]:
        """Hold the conversation while the block runs."""
        return self._locks.setdefault(conversation_id, asyncio.Lock())
