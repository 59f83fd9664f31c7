"""The breakers of this process, one per gateway, and which credentials have been let in."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict

from openclaw_client.os_threads import lock
from openclaw_client.policy.breaker import AuthBreaker
from openclaw_client.policy.credentials import AuthInput
from openclaw_client.policy.urls import GatewayUrl

SWEEP = 256
"""Idle breakers are dropped after every so many new gateways: there may be one per user."""
REMEMBERED = 16_384
"""Credentials that were let in, of all gateways; 200 bytes each. Those used least lately are forgotten, and have to
wait their turn again where others were refused."""

_breakers: dict[str, AuthBreaker] = {}
_known: OrderedDict[bytes, None] = OrderedDict()
_salt = os.urandom(16)


def breaker_for(url: GatewayUrl, now: float) -> AuthBreaker:
    """The breaker that all clients of this process share for a gateway. Safe from any thread.

    A gateway is an origin with its path: behind one host there may be one for each user. Not to be kept: one that
    remembers nothing any more gives way to a new one. now: by the clients' clock.
    """
    key = _gateway(url)
    found = _breakers.get(key)
    if found is not None:
        return found
    if len(_breakers) % SWEEP == SWEEP - 1:
        for known, breaker in tuple(_breakers.items()):
            if breaker.quiet(now):
                _breakers.pop(known, None)
    return _breakers.setdefault(key, AuthBreaker(guard=lock()))


def credentials_key(url: GatewayUrl, given: AuthInput) -> bytes | None:
    """What stands for credentials at a gateway, and shows nothing of them; None for none.

    Made with a salt of this process, so that it tells nobody else whether two are the same.
    """
    if given == AuthInput():
        return None
    made = hashlib.blake2b(_gateway(url).encode(), key=_salt, digest_size=16)
    for value in (given.token, given.device_token, given.password, given.bootstrap_token):
        made.update(b"\0" if value is None else b"\1" + value.encode("utf-8", "surrogatepass") + b"\0")
    return made.digest()


def is_known(who: object) -> bool:
    """Whether the gateway has let these credentials in, and not refused them since."""
    return who in _known


def learn(who: bytes | None) -> bool:
    """The gateway has let these in; whether that was news."""
    if who is None:
        return False
    news = who not in _known
    _known[who] = None
    _known.move_to_end(who)
    if len(_known) > REMEMBERED:
        _known.popitem(last=False)
    return news


def unlearn(who: bytes | None) -> None:
    """The gateway has refused these."""
    if who is not None:
        _known.pop(who, None)


def forgive(url: GatewayUrl, given: AuthInput) -> None:
    """Nobody uses these credentials any more: the others need not wait for what became of them."""
    breaker, who = _breakers.get(_gateway(url)), credentials_key(url, given)
    if breaker is not None and who is not None:
        breaker.forgive(who)


def _gateway(url: GatewayUrl) -> str:
    return url.origin.replace(url.host, url.host.lower(), 1)


if hasattr(os, "register_at_fork"):
    # A child has the parent's address, and attempts of its own from now on.
    os.register_at_fork(after_in_child=_breakers.clear)
