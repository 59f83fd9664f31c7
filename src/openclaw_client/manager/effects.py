"""What a manager has to do between asking for a connection and having it, as values.

`ManagerCore` yields them. A face carries each out in its own thread or task, outside the lock, and sends back the
answer.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from openclaw_client.client.options import ConnectionState
from openclaw_client.manager.table import Slot


class Managed(Protocol):
    """What a manager needs to know of a client. It need not live in this process."""

    @property
    def state(self) -> ConnectionState: ...
    @property
    def busy(self) -> bool: ...
    @property
    def idle_seconds(self) -> float: ...
    @property
    def user(self) -> Hashable: ...


C = TypeVar("C", bound=Managed)


@dataclass(frozen=True, slots=True)
class AskFor:
    """Call credentials(user); the answer is its result."""

    user: Hashable


@dataclass(frozen=True, slots=True)
class Connect(Generic[C]):
    client: C


@dataclass(frozen=True, slots=True)
class CloseIdle(Generic[C]):
    """close_if_idle(); the answer is its result."""

    client: C


@dataclass(frozen=True, slots=True)
class LetGo(Generic[C]):
    """let_go(client), on the loop."""

    client: C


@dataclass(frozen=True, slots=True)
class WaitAt:
    gate: Any


Effect: TypeAlias = AskFor | Connect[C] | CloseIdle[C] | LetGo[C] | WaitAt
Effects: TypeAlias = Generator[Effect[C], Any, Slot[C]]
