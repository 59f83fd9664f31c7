"""A real gateway with its model, under names that chaos needs."""

from __future__ import annotations

from tests.gateways.launch import RealGateway
from tests.gateways.model import StubModel


class RealStage:
    """Blocking; around a gateway that runs."""

    def __init__(self, gateway: RealGateway, model: StubModel) -> None:
        self.release = gateway.version
        self.model = model
        self.gateway = gateway
        self.url = gateway.url
        self.token = gateway.token or ""

    def asked(self, text: str) -> int:
        """How often the model was asked this."""
        return self.model.count(text)

    def kill(self) -> None:
        """End it as a crash does: SIGKILL, no word to anybody."""
        self.gateway.kill()

    def begin_again(self) -> None:
        """Start it behind `kill`, with everything that it has on disk."""
        self.gateway.start()
        self.gateway.wait_ready()
