"""Whether a refused method is one that the gateway does not have, and which one was meant.

A gateway answers a name that it does not have to everybody without operator.admin with "missing scope: operator.admin",
so that only admins learn which names there are. What it advertises tells the two apart.
"""

from __future__ import annotations

from collections.abc import Collection

from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

_ADMIN = "operator.admin"
UNNAMED = frozenset(
    [
        "browser.request",
        "chat.inject",
        "config.openFile",
        "device.pair.setupCode",
        "device.pair.setupStatus",
        "nativeHook.invoke",
        "web.login.start",
        "web.login.wait",
        "assistant.media.get",
        "poll",
        "push.test",
        "push.web.subscribe",
        "push.web.test",
        "push.web.unsubscribe",
        "push.web.vapidPublicKey",
        "sessions.get",
        "sessions.resolve",
        "sessions.steer",
        "sessions.usage",
        "sessions.usage.logs",
        "sessions.usage.timeseries",
    ]
)
"""Methods that gateways have and do not advertise, on any release from 2026.2.17 to 2026.9.6."""


def says_unknown(method: str, error: ErrorShape) -> bool:
    """Whether the gateway itself says that it does not know the method."""
    return error.message == f"unknown method: {method}"


def is_absent(method: str, error: ErrorShape, advertised: Collection[str]) -> bool:
    """Whether a refusal means that the gateway has no such method, as far as it can be known."""
    if says_unknown(method, error):
        return True
    named = method in advertised or method in UNNAMED
    return bool(advertised) and not named and codes.missing_scope_of(error) == _ADMIN


def nearest(method: str, advertised: Collection[str]) -> str | None:
    """The method that was probably meant, of those that the gateway advertises."""
    # Here because few calls need it, and every program that connects would load it.
    from difflib import get_close_matches

    names = {name.lower(): name for name in sorted({*advertised, *UNNAMED})} if advertised else {}
    found = get_close_matches(method.lower(), names, n=1)
    return names[found[0]] if found and names[found[0]] != method else None
