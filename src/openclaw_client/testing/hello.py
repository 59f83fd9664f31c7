"""hello-ok, in the shape of the release."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openclaw_client.testing.answer_schema import answer_events
from openclaw_client.testing.auth import Accepted
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.node_schema import node_events
from openclaw_client.testing.traits import Profile

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
_WORK_EVENTS: Final = ("session.operation", "task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What hello-ok tells of this life of the gateway. boot_at: milliseconds since 1970."""

    boot_id: str
    boot_at: int
    auth_mode: str
    max_payload: int
    max_buffered: int
    tick_interval: float


def hello(
    profile: Profile, life: Life, connection_id: str, verdict: Accepted, methods: Sequence[str], now: Mapping[str, Any]
) -> dict[str, Any]:
    """The payload of hello-ok for a connection. methods: the names that it advertises. now: the presence and the
    health of the gateway, and their versions."""
    events = (
        *_EVENTS,
        *(_SESSION_EVENTS if profile.session_methods else ()),
        *answer_events(profile),
        *node_events(profile),
    )
    if profile.more_methods:
        events = (*events, *_WORK_EVENTS)
    server: dict[str, Any] = {"version": profile.reported_version}
    if profile.reports_boot:
        server |= {"bootId": life.boot_id}
    if profile.reported_version == "dev":
        server["host"] = platform.node()
    server["connId"] = connection_id
    payload: dict[str, Any] = {
        "type": "hello-ok",
        "protocol": profile.protocol,
        "server": server,
        "features": {"methods": list(methods), "events": list(events)},
        "snapshot": _snapshot(profile, life, now),
    }
    if profile.reports_capabilities:
        payload["features"]["capabilities"] = ["published-model-catalog"] if profile.more_methods else []
    auth = _auth(profile, verdict)
    if auth is not None:
        payload["auth"] = auth
    payload["policy"] = _policy(profile, life)
    return payload


def _auth(profile: Profile, verdict: Accepted) -> dict[str, Any] | None:
    token = verdict.device.token if verdict.device is not None else None
    if token is None and not profile.reports_auth:
        return None
    auth: dict[str, Any] = {"method": verdict.method} if profile.reports_method else {}
    auth |= {"role": verdict.role, "scopes": list(verdict.reported_scopes)}
    if token is not None:
        auth |= {"deviceToken": token.value, "issuedAtMs": token.created_at}
    return auth


def _snapshot(profile: Profile, life: Life, now: Mapping[str, Any]) -> dict[str, Any]:
    snapshot: dict[str, Any] = {
        **now,
        "uptimeMs": now_ms() - life.boot_at,
        "sessionDefaults": {
            "defaultAgentId": "main",
            "mainKey": "main",
            "mainSessionKey": "agent:main:main",
            "scope": "per-sender",
        },
        "authMode": life.auth_mode,
    }
    if profile.reports_boot:
        snapshot["suspension"] = {"phase": "accepting"}
    return snapshot


def _policy(profile: Profile, life: Life) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "maxPayload": life.max_payload,
        "maxBufferedBytes": life.max_buffered,
        "tickIntervalMs": round(life.tick_interval * 1000),
    }
    if profile.reports_attachments:
        policy["attachments"] = {"maxBytes": 19_464_192, "maxImageBytes": profile.image_limit}
    return policy
