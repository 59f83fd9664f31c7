"""The steps between asking for a connection and having it.

Values that the keeper hands to a face, which carries them out in its own thread or task, outside the lock.
"""

from __future__ import annotations

from collections.abc import Generator
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
    def user(self) -> Any: ...


C = TypeVar("C", bound=Managed)


@dataclass(frozen=True, slots=True)
class AskFor:
    """Call credentials(user); the answer is its result."""

    user: Any


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


Step: TypeAlias = AskFor | Connect[C] | CloseIdle[C] | LetGo[C] | WaitAt
Steps: TypeAlias = Generator[Step[C], Any, Slot[C]]
