"""Who answers the agents of a manager's users: the handlers of the manager, with the user before what is asked.

While a connection gives way to another one of the same user, both hear of what is asked; it is handed out once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, cast

from openclaw_client.client.options import kinds_of
from openclaw_client.client.port import Port
from openclaw_client.errors import UsageError
from openclaw_client.interactions.handling import InteractionHandler
from openclaw_client.runs.interactions import Interaction, Kind

MAX_HANDED_OUT = 1024
"""Approvals and questions of which it is remembered that they were handed out; another connection of the same user
hears of one within seconds."""


class ManagerAnswers:
    """kinds: what is answered, by handlers or otherwise."""

    def __init__(self, kinds: Collection[str]) -> None:
        self.kinds: frozenset[Kind] = kinds_of(kinds)
        self._handlers: list[tuple[Kind, Callable[[Any, Any], object]]] = []
        self._handed_out: dict[tuple[Hashable, str, int], object] = {}
        self._begun = False

    def add(self, kind: Kind, handler: Callable[[Any, Any], object]) -> None:
        """Raises UsageError behind the first connection: the gateways were not told that somebody answers."""
        if self._begun and kind not in self.kinds:
            raise UsageError(
                message=f"{kind} are answered from now on, but connections were made that did not say so",
                remedy=f'Register the handler before the first connection_for(), or pass answers=["{kind}"]',
            )
        self.kinds = kinds_of((*self.kinds, kind))
        self._handlers.append((kind, handler))

    def attach(self, port: Port, user: Hashable) -> None:
        """A client of a user was made."""
        self._begun = True
        for number, (kind, handler) in enumerate(self._handlers):
            port.interactions.handlers.append((kind, self._for_user(number, handler, user)))

    def _for_user(self, number: int, handler: Callable[[Any, Any], object], user: Hashable) -> InteractionHandler:
        def handle(item: Interaction) -> object:
            key, mine = (user, item.id, number), object()
            # One step: handlers run in many threads.
            if self._handed_out.setdefault(key, mine) is not mine:
                return None
            if len(self._handed_out) > MAX_HANDED_OUT:
                self._handed_out.pop(next(iter(self._handed_out)), None)
            return handler(user, item)

        handle.__qualname__ = getattr(handler, "__qualname__", type(handler).__qualname__)
        return cast(InteractionHandler, handle)
