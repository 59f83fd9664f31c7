"""Who answers the agents of a manager's users: the handlers of the manager, with the user before what is asked.

While a connection gives way to another one of the same user, both hear of what is asked; it is handed out once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, cast
from weakref import ref

from openclaw_client.client.options import kinds_of
from openclaw_client.client.port import InteractionPort, Port
from openclaw_client.errors import UsageError
from openclaw_client.interactions.handling import InteractionHandler
from openclaw_client.logs import handler_name
from openclaw_client.runs.interactions import Interaction, Kind
from openclaw_client.sync import unpatched

MAX_HANDED_OUT = 1024
"""Approvals and questions of which it is remembered that they were handed out; another connection of the same user
hears of one within seconds."""


class ManagerAnswers:
    """kinds: what is answered, by handlers or otherwise."""

    def __init__(self, kinds: Collection[str]) -> None:
        self.kinds: frozenset[Kind] = kinds_of(kinds)
        self._handlers: list[tuple[Kind, Callable[[Any, Any], object]]] = []
        # By whom; handlers run in many threads.
        self._handed_out: dict[tuple[Hashable, str, int], ref[InteractionPort]] = {}
        self._lock = unpatched.lock()
        self._begun = False

    def add(self, kind: Kind, handler: Callable[[Any, Any], object]) -> None:
        """Raises UsageError behind the first connection: those that are there would not be heard."""
        if self._begun:
            raise UsageError(
                message=f"{kind} are answered from now on, but there were connections before",
                remedy="Register the handler before the first connection_for()",
            )
        self.kinds = kinds_of((*self.kinds, kind))
        self._handlers.append((kind, handler))

    def attach(self, port: Port, user: Hashable) -> None:
        """A client of a user was made."""
        self._begun = True
        for number, (kind, handler) in enumerate(self._handlers):
            port.interactions.handlers.append((kind, self._for_user(number, handler, user, ref(port.interactions))))

    def _for_user(
        self, number: int, handler: Callable[[Any, Any], object], user: Hashable, mine: ref[InteractionPort]
    ) -> InteractionHandler:
        def handle(item: Interaction) -> object:
            return handler(user, item) if self._takes((user, item.id, number), mine) else None

        # A log line is to name the user's.
        handle.__qualname__ = handler_name(handler)
        return cast(InteractionHandler, handle)

    def _takes(self, key: tuple[Hashable, str, int], mine: ref[InteractionPort]) -> bool:
        """Whether a connection hands one out: another one has not, or was given up since."""
        with self._lock:
            other = self._handed_out.pop(key, mine)()
            free = other is None or other is mine() or not other.alive
            self._handed_out[key] = mine if free or other is None else ref(other)
            while len(self._handed_out) > MAX_HANDED_OUT:
                del self._handed_out[next(iter(self._handed_out))]
        return free
