"""Which scopes are asked for, and which were granted."""

from __future__ import annotations

from collections.abc import Iterable

from openclaw_client.errors import UsageError

DEFAULT_SCOPES = ("operator.read", "operator.write", "operator.approvals")
NEEDED_BY_DEFAULT = ("operator.read", "operator.write")
"""What a client that named no scopes cannot do without: chat needs both. Approvals are a bonus."""

OBSERVED_NEEDS = {
    "chat.history": ("operator.read",),
    "chat.send": ("operator.write",),
    "chat.abort": ("operator.write",),
    "chat.inject": ("operator.admin",),
}
"""What the methods that this package calls by name need; the same on all releases from 2026.2.17 to 2026.9.6."""

MAX_NEEDS = 1024
"""Methods whose needs are remembered: their names are the caller's. Beyond that all but the observed needs are
forgotten, and learnt again where a gateway refuses them."""

_PROBES = (("operator.read", "last-heartbeat"), ("operator.pairing", "device.pair.list"))
"""A scope, and a method that needs it, changes nothing and is answered from memory."""

_PREFIX = "operator."
_IMPLIED = {"operator.write": ("operator.read", "operator.talk")}


def normalise_scopes(scopes: Iterable[str] | None) -> tuple[str, ...] | None:
    """The scopes as the gateway names them ("read" is "operator.read"), doubles left out, in the order given."""
    if scopes is None:
        return None
    if isinstance(scopes, str) or not isinstance(scopes, Iterable):
        what = "a string" if isinstance(scopes, str) else "no list of scopes"
        raise UsageError(message=f"scopes={scopes!r} is {what}", remedy='Pass a list, such as ["operator.read"]')
    names: dict[str, None] = {}
    for scope in scopes:
        if not isinstance(scope, str) or not scope.strip():
            raise UsageError(message=f"{scope!r} is no scope", remedy='Scopes are names such as "operator.read"')
        name = scope.strip()
        names[name if "." in name else _PREFIX + name] = None
    return tuple(names)


def covers(granted: Iterable[str], scope: str) -> bool:
    """Whether the granted scopes include one: admin includes every operator scope, write includes read and talk."""
    held = set(granted)
    if scope in held or ("operator.admin" in held and scope.startswith(_PREFIX)):
        return True
    return any(scope in _IMPLIED.get(name, ()) for name in held)


def missing_scopes(needed: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """The needed scopes that the granted ones do not include."""
    held = tuple(granted)
    return tuple(scope for scope in needed if not covers(held, scope))


def effective_scopes(told: Iterable[str], requested: Iterable[str], *, of_token: bool) -> tuple[str, ...]:
    """The scopes of a connection, from what hello-ok tells.

    of_token: what was told are the scopes of the device token. A connection that asked for less has less (observed on
    2026.2.17, 2026.4.15 and 2026.6.1).
    """
    held = tuple(told)
    return tuple(scope for scope in requested if covers(held, scope)) if of_token else held


def probe_for(needed: Iterable[str]) -> str | None:
    """A cheap method whose refusal shows that a connection lacks what is needed; None where none is known."""
    wanted = tuple(needed)
    return next((method for scope, method in _PROBES if covers(wanted, scope)), None)


class MethodScopes:
    """Which scopes methods need, as far as that is known: observed ones, and what a gateway says when it refuses."""

    def __init__(self) -> None:
        self._needs: dict[str, tuple[str, ...]] = dict(OBSERVED_NEEDS)

    def learn(self, method: str, scopes: tuple[str, ...]) -> None:
        """A gateway refused the method to a connection without these scopes."""
        if scopes and len(self._needs) >= MAX_NEEDS:
            self._needs = dict(OBSERVED_NEEDS)
        if scopes:
            self._needs[method] = scopes

    def missing(self, method: str, granted: tuple[str, ...] | None) -> tuple[str, ...]:
        """What a method needs beyond the granted scopes; () where nothing is known to be missing."""
        return () if granted is None else missing_scopes(self._needs.get(method, ()), granted)
