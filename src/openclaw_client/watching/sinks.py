"""Who is told of what is followed."""

from __future__ import annotations

from typing import Protocol, TypeVar

from openclaw_client.errors import GatewayError

T_contra = TypeVar("T_contra", contravariant=True)


class WatchSink(Protocol[T_contra]):
    """One reader. On the loop's thread; must not block and must not raise."""

    def put(self, event: T_contra) -> None: ...

    def end(self, error: GatewayError) -> None:
        """Nothing follows."""
