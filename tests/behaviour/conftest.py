"""One embedded gateway per test, in a thread of its own, so that both faces meet the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from openclaw_client import MemoryIdentityStore, ReconnectPolicy, Timeouts
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.faces import Face

QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)


@pytest.fixture
def start_gateway() -> Iterator[Callable[..., BlockingEmbeddedGateway]]:
    """Start gateways with the given parameters; all end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(BlockingEmbeddedGateway(*args, **options))


@pytest.fixture
def gateway(start_gateway: Callable[..., BlockingEmbeddedGateway]) -> BlockingEmbeddedGateway:
    return start_gateway()


@pytest.fixture
def make(face: Face) -> Callable[..., Any]:
    """A client of this face for a gateway, with a device of its own, quick to reconnect."""

    def client(gateway: BlockingEmbeddedGateway, **options: Any) -> Any:
        options.setdefault("token", gateway.token)
        options.setdefault("identity", MemoryIdentityStore(DeviceIdentity.generate()))
        options.setdefault("reconnect", QUICK)
        options.setdefault("timeouts", Timeouts(connect=10, request=10))
        return face.client(gateway.url, **options)

    return client
