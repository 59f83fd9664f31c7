"""Who asks and who listens: what methods and runs see of the connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from openclaw_client.wire.frames import ErrorShape

Params = dict[str, Any]


class Audience(Protocol):
    """Whoever gets events; the hub of the gateway."""

    def now_ms(self) -> int: ...
    def broadcast(self, event: str, payload: Mapping[str, Any], session_key: str | None = None) -> None: ...
    def to_starter(self, owner: Owner, event: str, payload: Mapping[str, Any]) -> None: ...
    def to_watchers(self, session_key: str, event: str, payload: Mapping[str, Any]) -> None: ...
    def to_session_lists(self, event: str, payload: Mapping[str, Any]) -> None: ...


class Listed(Protocol):
    """Who is connected."""

    def rows(self) -> list[dict[str, Any]]: ...


class Switchboard(Audience, Protocol):
    """What the methods do with the gateway's connections."""

    def subscribe_messages(self, owner: Owner, key: str, *, on: bool) -> None: ...
    def subscribe_sessions(self, owner: Owner, *, on: bool) -> None: ...
    @property
    def presence(self) -> Listed: ...
    def announce_request(self, request_id: str) -> None: ...
    def announce_verdict(self, request_id: str, device_id: str, decision: str) -> None: ...
    def expel(self, device_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Owner:
    """Who started a run. connection is void after a reconnect, the device is not; scopes are those of the time."""

    connection: str
    device: str | None
    name: str = ""
    scopes: tuple[str, ...] = ()


class Caller(Protocol):
    """A connection, as far as the methods need it."""

    @property
    def owner(self) -> Owner: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...
    @property
    def device_id(self) -> str | None: ...
    @property
    def client(self) -> dict[str, Any]: ...
    @property
    def caps(self) -> frozenset[str]: ...
    @property
    def role(self) -> str: ...
    @property
    def by_device_token(self) -> bool: ...
    def respond(self, ident: str, payload: Any = None, error: ErrorShape | None = None) -> None: ...


class Herald(Protocol):
    """Who hands events to some of the connections; the hub of the gateway."""

    def now_ms(self) -> int: ...
    def to_scope(self, scope: str, event: str, payload: Mapping[str, Any]) -> None: ...
    def who(self, chosen: Callable[[Caller], bool]) -> list[str]: ...
    def to_connections(self, idents: Iterable[str], event: str, payload: Mapping[str, Any]) -> None: ...


class MethodError(Exception):
    """A request that is refused; a payload may stand beside the error."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "INVALID_REQUEST",
        details: Any = None,
        payload: Any = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.error = ErrorShape(code, message, details, retryable=retryable or None)
        self.payload = payload
