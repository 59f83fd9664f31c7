"""Who is connected, as the gateway shows it: system-presence, the snapshot of hello-ok, and the events about it.

Knows rows, and whom a release lists. Refuses to know sockets.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any, Final

from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.traits import Profile

MAX_ROWS: Final = 200
"""Clients that are listed, those that left included, beside the gateway itself: the gateways' own number."""
KEPT_MS: Final = 300_000
"""For how long one that left is listed, in milliseconds: the gateways' own number."""
_NAMES: Final = ("version", "platform", "deviceFamily", "modelIdentifier", "mode", "instanceId")


class Presence:
    """The rows of one life of a gateway. version: goes up with every change."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._rows: dict[str, dict[str, Any]] = {}
        self.version = 1

    def entering(
        self,
        ident: str,
        client: Mapping[str, Any],
        device_id: str | None,
        scopes: Sequence[str],
        *,
        role: str = "operator",
    ) -> None:
        """A client is let in: from its own hello-ok on it is listed, unless it is a tool of the machine."""
        if client["mode"] in self._profile.unlisted_modes:
            return
        host = client.get("displayName") or client["id"]
        row: dict[str, Any] = {"host": host, **{name: client[name] for name in _NAMES if name in client}}
        if self._profile.more_methods:
            row["clientId"] = client["id"]
        if device_id is not None:
            row["deviceId"] = device_id
        row |= {"roles": [role], "scopes": list(scopes), "reason": "connect", "ts": now_ms()}
        self._put(ident, row | {"text": f"Node: {host} · mode {client['mode']}"})

    def joined(self, ident: str) -> bool:
        """A client got its hello-ok; whether it is listed."""
        listed = ident in self._rows
        self.version += listed
        return listed

    def left(self, ident: str) -> bool:
        """A client is gone; whether it was listed."""
        row = self._rows.pop(ident, None)
        if row is None:
            return False
        self.version += 1
        self._put(ident, {**row, "reason": "disconnect", "ts": now_ms()})
        return True

    def rows(self) -> list[dict[str, Any]]:
        """The gateway itself, and the clients, the last that changed first."""
        now = now_ms()
        gone = [key for key, row in self._rows.items() if row["reason"] != "connect" and now - row["ts"] > KEPT_MS]
        for key in gone:
            del self._rows[key]
        return [self._own(now), *reversed(self._rows.values())]

    def _put(self, key: str, row: dict[str, Any]) -> None:
        if len(self._rows) == MAX_ROWS:
            del self._rows[next(iter(self._rows))]
        self._rows[key] = row

    def _own(self, now: int) -> dict[str, Any]:
        host, version = platform.node(), self._profile.reported_version
        names: Mapping[str, Any] = {"host": host, "ip": "127.0.0.1", "version": version, "platform": "embedded"}
        text = f"Gateway: {host} (127.0.0.1) · app {version} · mode gateway · reason self"
        return {**names, "mode": "gateway", "reason": "self", "text": text, "ts": now}
