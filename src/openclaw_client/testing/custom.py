"""Methods that a test gives the embedded gateway: what their handlers get, and how they refuse.

Knows the handlers of users. Refuses to know connections: a handler cannot answer twice, or somebody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from openclaw_client.errors import UsageError
from openclaw_client.testing.callers import Caller, MethodError, Params
from openclaw_client.testing.registry import READ, Method


class Refusal(Exception):
    """Raised by a handler: the request is answered with this error."""

    def __init__(self, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class MethodCaller:
    """Who calls a method. client_id: what the client calls itself. device_id: None for a client without a device."""

    connection_id: str
    client_id: str
    device_id: str | None
    scopes: tuple[str, ...]


MethodHandler = Callable[[Params, MethodCaller], Any | Awaitable[Any]]
"""Gets the parameters, {} where none came, and returns the payload; plain or async."""


def custom_method(name: str, handler: MethodHandler, scope: str | None = READ) -> Method:
    """The method that a handler makes. Raises UsageError for a name that no request can reach."""
    if not name or name == "connect":
        raise UsageError(message=f"{name!r} is no name of a method", remedy='Use one like "cron.list"')

    def perform(caller: Caller, params: Params) -> Any | Awaitable[Any]:
        try:
            result = handler(params, _seen(caller))
        except Refusal as refusal:
            raise _error(refusal) from None
        return _later(result) if isinstance(result, Awaitable) else result

    return Method(perform, scope)


async def _later(result: Awaitable[Any]) -> Any:
    try:
        return await result
    except Refusal as refusal:
        raise _error(refusal) from None


def _error(refusal: Refusal) -> MethodError:
    return MethodError(refusal.message, code=refusal.code, details=refusal.details)


def _seen(caller: Caller) -> MethodCaller:
    owner = caller.owner
    return MethodCaller(owner.connection, owner.name, caller.device_id, caller.scopes)
