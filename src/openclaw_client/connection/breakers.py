"""The breakers of this process, one per gateway host."""

from __future__ import annotations

import os

from openclaw_client.policy.breaker import AuthBreaker
from openclaw_client.policy.urls import GatewayUrl

_breakers: dict[tuple[str, int], AuthBreaker] = {}


def breaker_for(url: GatewayUrl) -> AuthBreaker:
    """The breaker that all clients of this process share for the host of a URL. Safe from any thread."""
    return _breakers.setdefault((url.host.lower(), url.port), AuthBreaker())


if hasattr(os, "register_at_fork"):
    # A child has the parent's address, and attempts of its own from now on.
    os.register_at_fork(after_in_child=_breakers.clear)
