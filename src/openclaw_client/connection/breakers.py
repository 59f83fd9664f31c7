"""The breakers of this process, one per gateway host."""

from __future__ import annotations

import os

from openclaw_client.policy.breaker import AuthBreaker
from openclaw_client.policy.urls import GatewayUrl

SWEEP = 256
"""New hosts between two looks for those that nothing is known of any more: a process may meet a host per user."""

_breakers: dict[tuple[str, int], AuthBreaker] = {}


def breaker_for(url: GatewayUrl, now: float) -> AuthBreaker:
    """The breaker that all clients of this process share for the host of a URL. Safe from any thread.

    Not to be kept: one that remembers nothing any more gives way to a new one. now: by the clients' clock.
    """
    key = (url.host.lower(), url.port)
    found = _breakers.get(key)
    if found is not None:
        return found
    if len(_breakers) % SWEEP == SWEEP - 1:
        for known, breaker in tuple(_breakers.items()):
            if breaker.quiet(now):
                _breakers.pop(known, None)
    return _breakers.setdefault(key, AuthBreaker())


if hasattr(os, "register_at_fork"):
    # A child has the parent's address, and attempts of its own from now on.
    os.register_at_fork(after_in_child=_breakers.clear)
