"""A real gateway with its model, under names that chaos needs."""

from __future__ import annotations

from tests.gateways.launch import RealGateway
from tests.gateways.model import StubModel

MANY_AT_ONCE = {"agents": {"defaults": {"maxConcurrent": 16}}}
"""Runs of different sessions that a gateway performs at the same time; 4 where nothing is said."""


class RealStage:
    """Blocking; one per release and test run."""

    def __init__(self, release: str, model: StubModel) -> None:
        self.release = release
        self.model = model
        self.gateway = RealGateway(release, model_url=model.url, config=MANY_AT_ONCE)
        self.url = self.gateway.url
        self.token = self.gateway.token or ""

    def asked(self, text: str) -> int:
        """How often the model was asked this."""
        return self.model.count(text)

    def begin(self) -> None:
        """Start it and wait until it answers messages quickly."""
        self.gateway.start()
        self.gateway.wait_ready()
        self.gateway.warm_up()

    def kill(self) -> None:
        """End it as a crash does: SIGKILL, no word to anybody."""
        self.gateway.kill()

    def begin_again(self) -> None:
        """Start it behind `kill`, with everything that it has on disk."""
        self.gateway.start()
        self.gateway.wait_ready()

    def close(self) -> None:
        self.gateway.close()
