"""Which scopes are asked for, and which were granted."""

from __future__ import annotations

from collections.abc import Iterable

from openclaw_client.errors import UsageError

DEFAULT_SCOPES = ("operator.read", "operator.write", "operator.approvals")
NEEDED_BY_DEFAULT = ("operator.read", "operator.write")
"""What a client that named no scopes cannot do without: chat needs both. Approvals are a bonus."""

_PREFIX = "operator."
_IMPLIED = {"operator.write": ("operator.read", "operator.talk")}


def normalise_scopes(scopes: Iterable[str] | None) -> tuple[str, ...] | None:
    """The scopes as the gateway names them ("read" is "operator.read"), doubles left out, in the order given."""
    if scopes is None:
        return None
    if isinstance(scopes, str):
        raise UsageError(message=f"scopes={scopes!r} is a string", remedy='Pass a list, such as ["operator.read"]')
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
