"""The root of the error tree, and the errors that concern no connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from openclaw_client.errors.peer_text import one_line

ID_SHOWN = 8
"""Characters of a connection's id that are shown: enough to find it in a gateway's log."""

AGE_SHOWN = 1.0
"""Seconds from which on the age of the last frame is shown: below, the gateway was plainly there."""


def _rebuild(cls: type[GatewayError], fields: dict[str, Any]) -> GatewayError:
    error = cls.__new__(cls)
    error.__dict__.update(fields)
    return error


def _join(*parts: str) -> str:
    """Sentences with one full stop each, empty ones left out."""
    return " ".join(part.rstrip(". ") + "." for part in parts if part.strip(". "))


@dataclass(eq=False, kw_only=True, repr=False)
class GatewayError(Exception):
    """Root of all errors of this package.

    message: what happened. remedy: what to do next; may be empty. The rest is what was known of the connection, each
    None where it was not: close_code and close_reason are those of the WebSocket close (code 1006: the socket ended
    without one); connection_id is the gateway's name for the connection, which its log uses; attempt counts connects
    from 1 since the client last was connected; gateway_version is what the gateway said of itself, on this connection
    or on an earlier one; last_frame_age is the seconds between the last frame from the gateway and the error.
    """

    message: str = ""
    remedy: str = ""
    close_code: int | None = None
    close_reason: str | None = None
    connection_id: str | None = None
    attempt: int | None = None
    gateway_version: str | None = None
    last_frame_age: float | None = None

    def sentence(self) -> str:
        """What happened, made from the fields; subclasses add what they know."""
        return self.message or (type(self).__doc__ or "").split("\n", 1)[0]

    def tags(self) -> list[str]:
        """What is known beside the sentence, in a few words each; subclasses add what they know."""
        found = []
        if self.close_code is not None:
            # A code says what the reason says, and better.
            known = not self.close_reason or self.close_reason in self.sentence() or getattr(self, "detail_code", None)
            found.append(f"close {self.close_code}" + ("" if known else f" {self.close_reason!r}"))
        if self.attempt is not None and self.attempt > 1:
            found.append(f"attempt {self.attempt}")
        if self.gateway_version:
            found.append(f"gateway {self.gateway_version}")
        if self.connection_id:
            found.append(f"connection {self.connection_id[:ID_SHOWN]}")
        if self.last_frame_age is not None and self.last_frame_age >= AGE_SHOWN:
            found.append(f"last frame {self.last_frame_age:.1f} s ago")
        return found

    def __str__(self) -> str:
        tags = self.tags()
        known = f" [{', '.join(tags)}]" if tags else ""
        # Whatever field it stands in: some are filled with what a gateway said.
        return one_line(_join(self.sentence().rstrip(". ") + known, self.remedy))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))

    def again(self) -> Self:
        """A copy to raise elsewhere: one exception object raised in several tasks mixes their tracebacks."""
        twin: Self = _rebuild(type(self), dict(self.__dict__))  # type: ignore[assignment]
        twin.__cause__ = self.__cause__
        return twin


class UsageError(GatewayError, ValueError):
    """The call cannot work as written; nothing was sent."""


class NotConnected(UsageError):
    """The client is not connected: call connect() first, or use it as a context manager."""


@dataclass(eq=False, kw_only=True, repr=False)
class IdentityError(GatewayError):
    """The device identity cannot be read or written; nothing was overwritten."""

    path: str | None = None

    def sentence(self) -> str:
        where = f" ({self.path})" if self.path else ""
        return (super().sentence().rstrip(".")) + where


@dataclass(eq=False, kw_only=True, repr=False)
class JournalError(GatewayError):
    """The journal cannot be used; what was to be written down is not.

    Attributes:
        path: Its file.
        reason: "in_use" (by another process), "full", "read_only", "corrupt", "newer" (made by a later version of this
            package) or "unavailable" (anything else).
    """

    path: str | None = None
    reason: str = "unavailable"

    def sentence(self) -> str:
        where = f" ({self.path})" if self.path else ""
        return super().sentence().rstrip(".") + where


@dataclass(eq=False, kw_only=True, repr=False)
class ManagerError(GatewayError):
    """The connection manager cannot serve this user."""


class ProtocolViolation(GatewayError):
    """The gateway sent something that cannot be understood."""
