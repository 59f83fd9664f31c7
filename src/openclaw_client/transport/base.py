"""The six calls that a connection makes, and the four that it gets. All on the event loop's thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias


class Listener(Protocol):
    """Whoever reads. `on_opened` is the first call, `on_closed` the last."""

    def on_opened(self, transport: Transport) -> None:
        """The socket is open. Messages may follow before the opener returns."""

    def try_fast_path(self, data: bytes) -> bool:
        """A whole message, or what a control frame holds: which of them would cost much to find out. Whether these
        bytes can only be a message, which then was received; else the transport looks, and may call `on_message`."""
        ...

    def on_message(self, data: bytes) -> None:
        """A whole text message."""

    def on_ignored(self, reason: str) -> None:
        """A message that is none of the protocol's (binary)."""

    def on_closed(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        """The socket is gone; code is None where it ended without a close frame.

        refused: the transport itself ended it, because what came is over the limit or no WebSocket frame, or, with code
        4000, because the peer does not read.
        """


class Transport(Protocol):
    """One open socket."""

    def send(self, data: bytes, more: bool = False) -> None:
        """Write a text message; does nothing once the socket is closing.

        more: others may follow in this turn of the loop; then they are held back until its end, to leave together.
        """

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; `on_closed` follows when the peer answers."""

    def abort(self) -> None:
        """End the socket at once; `on_closed` follows."""

    def forget(self) -> None:
        """Drop the socket without a byte to the peer and without `on_closed`: it belongs to a forked child's parent."""

    def pause(self) -> None:
        """Stop reading, so that the peer feels back-pressure."""

    def resume(self) -> None:
        """Read again."""


Opener: TypeAlias = Callable[[Listener], Awaitable[None]]
"""Opens one socket for one listener. Raises `Unreachable` (or a subclass of ConnectError) and nothing else on purpose;
when cancelled, no socket is left behind."""
