"""What a method of the embedded gateway is: who may call it, and what performs it.

Knows the scopes by name. Refuses to know which methods there are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openclaw_client.testing.callers import Caller, MethodError, Params

READ: Final = "operator.read"
WRITE: Final = "operator.write"
ADMIN: Final = "operator.admin"
PAIRING: Final = "operator.pairing"

Handler = Callable[[Caller, Params], Any | Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method. scope: what its caller needs; None where nothing is needed. asks: what these parameters need, where
    that is not always the same."""

    perform: Handler
    scope: str | None = ADMIN
    asks: Callable[[Params], str | None] | None = None

    def needs(self, params: Any) -> str | None:
        """What a caller needs for these parameters, which were not checked yet."""
        return self.scope if self.asks is None or not isinstance(params, dict) else self.asks(params)


@dataclass(frozen=True, slots=True)
class TwoAnswers:
    """What a handler returns that answers at once, and under the same id again when it knows more."""

    first: Any
    second: Awaitable[Any]


def missing_scope(scope: str, required: Sequence[str], *, forbidden: bool) -> MethodError:
    """The refusal of a caller that lacks a scope. forbidden: whether the release gives it a code of its own."""
    message = f"missing scope: {scope}"
    if not forbidden:
        return MethodError(message)
    details = {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": list(required)}
    return MethodError(message, code="FORBIDDEN", details=details)


Family = Mapping[str, Method]
"""Methods by name."""


def joined(families: Iterable[Family]) -> dict[str, Method]:
    """The methods of all families. ValueError where two of them serve the same: one would never be performed."""
    methods: dict[str, Method] = {}
    for family in families:
        twice = sorted(methods.keys() & family.keys())
        if twice:
            raise ValueError(f"two families serve {', '.join(twice)}")
        methods |= family
    return methods
