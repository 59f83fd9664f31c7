"""What every client is told of the gateway itself: who is there, and how it is.

Knows when the releases tell it. Refuses to know connections, but for whom they list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from openclaw_client.testing.presence import Presence
from openclaw_client.testing.traits import Profile

HEALTH_SECONDS: Final = 60.0
"""After how long the newest release tells again how it is: its own number."""


class Broadcast(Protocol):
    """To every connection that may read."""

    def __call__(
        self,
        event: str,
        payload: Mapping[str, Any],
        session_key: str | None = None,
        versions: Mapping[str, int] | None = None,
    ) -> None: ...


class GatewayState:
    """The state of one life of a gateway."""

    def __init__(self, profile: Profile, broadcast: Broadcast, health: Callable[[], dict[str, Any]]) -> None:
        self._profile = profile
        self._broadcast = broadcast
        self._health = health
        self._health_version = 1
        self.presence = Presence(profile)

    def snapshot(self) -> dict[str, Any]:
        """As hello-ok shows it."""
        return {"presence": self.presence.rows(), "health": self._health(), "stateVersion": self._versions()}

    def joined(self, ident: str) -> None:
        """A client got its hello-ok."""
        if self.presence.joined(ident) and self._profile.arrivals_told:
            self._show_presence()
        if self._profile.health_told == "connect":
            self._show_health()

    def left(self, ident: str) -> None:
        """A client is gone."""
        if self.presence.left(ident):
            self._show_presence()

    def minute(self) -> None:
        """A minute has passed."""
        self._show_health()

    def _show_presence(self) -> None:
        self._broadcast("presence", {"presence": self.presence.rows()}, versions=self._versions())

    def _show_health(self) -> None:
        self._health_version += 1
        self._broadcast("health", self._health(), versions=self._versions())

    def _versions(self) -> dict[str, int]:
        return {"presence": self.presence.version, "health": self._health_version}
