"""Which messages of a user are told while several of the user's connections hear them: each once, and no reply.

Any of them may be the only one that hears a message, and each may hear it first. Pure; for one thread at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import Generic
from weakref import WeakSet

from openclaw_client.manager.effects import C

MAX_HEARD = 1024
"""Messages that were heard on several connections. The others hear the same one within seconds."""


class MessageFilter(Generic[C]):
    """knows(client, run_id): whether a run is one of this client's own, or its message was heard there."""

    def __init__(self, knows: Callable[[C, str], bool]) -> None:
        self._knows = knows
        # By user and run: which clients have left the message to others, None once it was told.
        self._heard: OrderedDict[tuple[Hashable, str], WeakSet[C] | None] = OrderedDict()

    def passes(self, client: C, others: Collection[C], run_id: str, *, current: bool) -> bool:
        """Whether a message that a client hands out is to be told. others: the user's other clients. current: whether
        this one is who is asked for."""
        key = (client.user, run_id)
        if key not in self._heard:
            if current and not others:
                return True
            self._heard[key] = WeakSet()
        left = self._heard[key]
        if left is None:
            return False
        # Another one that knows it tells it, or has a run of its own to which it belongs. But not one that has left it.
        elsewhere = any(other not in left and self._knows(other, run_id) for other in others)
        if elsewhere:
            left.add(client)
        else:
            self._heard[key] = None
        self._heard.move_to_end(key)
        if len(self._heard) > MAX_HEARD:
            self._heard.popitem(last=False)
        return not elsewhere

    def forget(self) -> None:
        """Everybody is gone."""
        self._heard.clear()
