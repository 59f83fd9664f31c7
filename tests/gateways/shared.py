"""One real gateway at a time, for all tests of its release.

Knows when it is started and ended. Does not know what tests do with it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from .config import asks_approval, merged
from .launch import RealGateway
from .model import StubModel

MANY_AT_ONCE = {"agents": {"defaults": {"maxConcurrent": 16}}}
"""Runs of different sessions that a gateway performs at the same time; 4 where nothing is said."""


class SharedGateway:
    """Starts the gateway of a release when it is first asked for, and ends it when another is, or with the `with`."""

    def __init__(self, model: StubModel) -> None:
        self.model = model
        self._gateway: RealGateway | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def of(self, release: str) -> RealGateway:
        """The gateway of this release: running, ready, its first turn taken. Raises `GatewayFailed`."""
        if self._gateway is None or self._gateway.version != release:
            self.close()
            config = merged(MANY_AT_ONCE, asks_approval(release))
            self._gateway = RealGateway(release, model_url=self.model.url, config=config)
        if not self._gateway.running:
            # Not yet started, or ended by a test that failed before it could start it again.
            self._gateway.start()
            self._gateway.wait_ready()
            self._gateway.warm_up()
        return self._gateway

    def close(self) -> None:
        """End it; harmless when there is none."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.close()
