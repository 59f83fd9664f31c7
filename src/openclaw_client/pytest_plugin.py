"""Fixtures for tests of programs that use this package: a gateway on a real socket, and a client connected to it.

Loads the embedded gateway only when a fixture is used: pytest loads this file in every run on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openclaw_client.sync.client import GatewayClient
    from openclaw_client.testing import BlockingEmbeddedGateway

MARKER = "openclaw_gateway"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(agent=None, **options): parameters of the `openclaw_gateway` fixture's embedded gateway"
    )


@pytest.fixture
def openclaw_gateway(request: pytest.FixtureRequest) -> Iterator[BlockingEmbeddedGateway]:
    """An embedded gateway on its own thread, new for each test; the marker of the same name sets its parameters."""
    from openclaw_client.testing import BlockingEmbeddedGateway

    marker = request.node.get_closest_marker(MARKER)
    args, options = (marker.args, marker.kwargs) if marker is not None else ((), {})
    with BlockingEmbeddedGateway(*args, **options) as gateway:
        yield gateway


@pytest.fixture
def openclaw_client(openclaw_gateway: BlockingEmbeddedGateway) -> Iterator[GatewayClient]:
    """A blocking client, connected to `openclaw_gateway`; its device key lives in memory, no home folder is touched."""
    from openclaw_client.client.options import DeviceIdentity, MemoryIdentityStore
    from openclaw_client.sync.client import GatewayClient

    with GatewayClient(
        openclaw_gateway.url,
        token=openclaw_gateway.token,
        password=openclaw_gateway.password,
        identity=MemoryIdentityStore(DeviceIdentity.generate()),
    ) as client:
        yield client
