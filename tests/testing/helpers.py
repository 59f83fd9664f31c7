"""What the tests of the embedded gateway share: raw clients that know nothing of the package under test."""

from __future__ import annotations

from typing import Any

from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway
from tests.gateways.raw import ALL_SCOPES, Frame, RawClient, RawDevice, RawRefused, text_of

RELEASES = tuple(PROFILES)
CLI: dict[str, Any] = {"client_id": "cli", "client_mode": "cli"}
"""A client whose device every release pairs; some let a backend client in without."""

__all__ = ["ALL_SCOPES", "CLI", "RELEASES", "RawDevice", "connected", "raw", "refused", "text_of"]


def raw(gateway: BlockingEmbeddedGateway, **options: Any) -> RawClient:
    """A client with the gateway's credentials, not connected yet."""
    own: dict[str, Any] = {"url": gateway.url, "token": gateway.token, "password": gateway.password}
    return RawClient(**{**own, **options})


def connected(gateway: BlockingEmbeddedGateway, **options: Any) -> RawClient:
    """The same, connected."""
    client = raw(gateway, **options)
    client.connect()
    return client


def refused(gateway: BlockingEmbeddedGateway, **options: Any) -> RawRefused:
    """How the gateway refuses a client with these options."""
    try:
        raw(gateway, **options).connect()
    except RawRefused as refusal:
        return refusal
    raise AssertionError("the gateway let the client in")


def chats(client: RawClient, run_id: str) -> list[Frame]:
    """The payloads of the chat events that came for a run and that nobody took."""
    return [one["payload"] for one in client.events if one["event"] == "chat" and one["payload"]["runId"] == run_id]
