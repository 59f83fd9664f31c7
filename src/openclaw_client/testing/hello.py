"""hello-ok, in the shape of the release."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, Final

from openclaw_client.testing.auth import Accepted
from openclaw_client.testing.methods import advertised

if TYPE_CHECKING:
    from openclaw_client.testing.connection import Connection
    from openclaw_client.testing.hub import Hub

_EVENTS: Final = (
    "connect.challenge",
    "agent",
    "chat",
    "presence",
    "tick",
    "shutdown",
    "health",
    "heartbeat",
    "cron",
    "device.pair.requested",
    "device.pair.resolved",
)
_SESSION_EVENTS: Final = ("session.message", "session.tool", "sessions.changed")


def hello(hub: Hub, connection: Connection, verdict: Accepted) -> dict[str, Any]:
    """The payload of hello-ok for this connection."""
    profile = hub.profile
    events = (*_EVENTS, *(_SESSION_EVENTS if profile.session_methods else ()))
    server: dict[str, Any] = {"version": profile.reported_version}
    if profile.reports_boot:
        server |= {"bootId": hub.boot_id}
    if profile.reported_version == "dev":
        server["host"] = platform.node()
    server["connId"] = connection.id
    payload: dict[str, Any] = {
        "type": "hello-ok",
        "protocol": profile.protocol,
        "server": server,
        "features": {"methods": list(advertised(profile)), "events": list(events)},
        "snapshot": _snapshot(hub),
    }
    if profile.reports_boot:
        payload["features"]["capabilities"] = []
    auth = _auth(hub, verdict)
    if auth is not None:
        payload["auth"] = auth
    payload["policy"] = _policy(hub)
    return payload


def _auth(hub: Hub, verdict: Accepted) -> dict[str, Any] | None:
    profile = hub.profile
    token = verdict.device.token if verdict.device is not None else None
    if token is None and not profile.reports_auth:
        return None
    auth: dict[str, Any] = {"method": verdict.method} if profile.reports_method else {}
    auth |= {"role": verdict.role, "scopes": list(verdict.reported_scopes)}
    if token is not None:
        auth |= {"deviceToken": token.value, "issuedAtMs": token.created_at}
    return auth


def _snapshot(hub: Hub) -> dict[str, Any]:
    snapshot: dict[str, Any] = {
        "presence": [],
        "health": {"ok": True, "ts": hub.now_ms(), "channels": {}},
        "stateVersion": {"presence": 1, "health": 1},
        "uptimeMs": hub.now_ms() - hub.boot_at,
        "sessionDefaults": {
            "defaultAgentId": "main",
            "mainKey": "main",
            "mainSessionKey": "agent:main:main",
            "scope": "per-sender",
        },
        "authMode": hub.settings.secrets.mode,
    }
    if hub.profile.reports_boot:
        snapshot["suspension"] = {"phase": "accepting"}
    return snapshot


def _policy(hub: Hub) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "maxPayload": hub.max_payload,
        "maxBufferedBytes": hub.max_buffered,
        "tickIntervalMs": round(hub.settings.tick_interval * 1000),
    }
    if hub.profile.reports_attachments:
        policy["attachments"] = {"maxBytes": 19_464_192, "maxImageBytes": hub.profile.image_limit}
    return policy
