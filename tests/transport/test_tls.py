"""Pins and certificates: who is let in, who is not, and that nobody wrong sees a byte."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import (
    AsyncGatewayClient,
    ConnectionState,
    DeviceIdentity,
    GatewayClient,
    MemoryIdentityStore,
    ReconnectPolicy,
    Timeouts,
)
from openclaw_client.errors import TlsPinMismatch, Unreachable, UsageError
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.faces import Face
from tests.transport.tls import Certificate, TlsRelay
from tests.waiting import until

PIN = "ab" * 32


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway() as gateway:
        yield gateway


@pytest.fixture
def make(face: Face, gateway: BlockingEmbeddedGateway) -> Callable[..., Any]:
    """A client of this face for a URL."""

    def client(url: str, **options: Any) -> Any:
        return face.client(
            url,
            token=gateway.token,
            identity=MemoryIdentityStore(DeviceIdentity.generate()),
            timeouts=Timeouts(connect=20, request=20),
            reconnect=ReconnectPolicy(initial=0.01, maximum=0.05),
            **options,
        )

    return client


def colons(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


@pytest.mark.parametrize(
    "spell",
    [
        str,
        str.upper,
        lambda pin: colons(pin).upper(),
        lambda pin: f"sha256:{pin}",
        lambda pin: f" SHA256:{colons(pin)}\n",
        lambda pin: f"sha256 Fingerprint={colons(pin).upper()}",
    ],
    ids=["plain", "upper", "colons", "prefix", "prefix-colons", "openssl"],
)
async def test_the_right_pin_connects(
    spell: Callable[[str], str], make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    certificate = Certificate.make(tmp_path, "own")
    async with TlsRelay(gateway.url, certificate) as relay:
        async with make(relay.url, tls_fingerprint=spell(certificate.fingerprint)) as client:
            assert "over TLS" in (await client.chat_send(session_key="main", message="over TLS")).text
        assert relay.received.startswith(b"GET / HTTP/1.1")


@pytest.mark.parametrize("form", [{"expired": True}, {"named": False}], ids=["expired", "without-a-name"])
async def test_a_pin_trusts_the_certificate_itself(
    form: dict[str, bool], make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    certificate = Certificate.make(tmp_path, "own", **form)
    async with (
        TlsRelay(gateway.url, certificate) as relay,
        make(relay.url, tls_fingerprint=certificate.fingerprint) as client,
    ):
        assert (await client.chat_send(session_key="main", message="pinned")).text


async def test_a_wrong_pin_pauses_and_sends_nothing(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    certificate = Certificate.make(tmp_path, "other")
    async with TlsRelay(gateway.url, certificate) as relay:
        client = make(relay.url, tls_fingerprint=PIN)
        with pytest.raises(TlsPinMismatch) as caught:
            await client.connect()
        assert (caught.value.expected, caught.value.actual) == (PIN, certificate.fingerprint)
        assert PIN in str(caught.value)
        assert certificate.fingerprint in str(caught.value)
        assert client.state is ConnectionState.PAUSED
        await client.disconnect()
        assert relay.handshakes == 1
        assert relay.received == b""


async def test_a_certificate_swapped_after_the_check_sees_nothing(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    right, wrong = Certificate.make(tmp_path, "right"), Certificate.make(tmp_path, "wrong")
    async with TlsRelay(gateway.url, right, wrong) as relay:
        client = make(relay.url, tls_fingerprint=right.fingerprint)
        with pytest.raises(TlsPinMismatch) as caught:
            await client.connect()
        assert caught.value.actual == wrong.fingerprint
        assert client.state is ConnectionState.PAUSED
        await client.disconnect()
        assert relay.handshakes >= 2
        assert relay.received == b""


async def test_a_new_certificate_after_a_restart_pauses(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    """The check of the first connection does not stand for those after it."""
    right, wrong = Certificate.make(tmp_path, "right"), Certificate.make(tmp_path, "wrong")
    async with TlsRelay(gateway.url, right, right, wrong) as relay:
        client = make(relay.url, tls_fingerprint=right.fingerprint)
        await client.connect()
        before = len(relay.received)
        gateway.faults.disconnect()
        await until(lambda: client.state is ConnectionState.PAUSED)
        assert b"GET " not in relay.received[before:]
        with pytest.raises(TlsPinMismatch):
            await client.request("health")
        await client.disconnect()


async def test_an_unknown_authority_is_named(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    async with TlsRelay(gateway.url, Certificate.make(tmp_path, "own")) as relay:
        with pytest.raises(Unreachable, match=r"TLS.*certificate") as caught:
            await make(relay.url).connect()
        assert "tls_fingerprint" in caught.value.remedy
        assert relay.received == b""


async def test_plain_http_behind_a_tls_url_is_named(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    for options in ({}, {"tls_fingerprint": PIN}):
        with pytest.raises(Unreachable, match="TLS"):
            await make(gateway.url.replace("ws://", "wss://"), **options).connect()


async def test_the_callers_own_context_is_used(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    certificate = Certificate.make(tmp_path, "own")
    context = ssl.create_default_context(cafile=str(certificate.path))
    async with TlsRelay(gateway.url, certificate) as relay, make(relay.url, ssl_context=context) as client:
        assert (await client.chat_send(session_key="main", message="by authority")).text


@pytest.mark.parametrize("kind", [AsyncGatewayClient, GatewayClient])
@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ws://127.0.0.1:1", {"tls_fingerprint": PIN}),
        ("wss://127.0.0.1:1", {"tls_fingerprint": PIN, "proxy": "http://127.0.0.1:2"}),
        ("wss://127.0.0.1:1", {"tls_fingerprint": PIN, "ssl_context": ssl.create_default_context()}),
        ("wss://127.0.0.1:1", {"tls_fingerprint": ""}),
        ("wss://127.0.0.1:1", {"tls_fingerprint": PIN[:-1]}),
        ("wss://127.0.0.1:1", {"tls_fingerprint": PIN + "00"}),
        ("wss://127.0.0.1:1", {"tls_fingerprint": "sha1:" + PIN}),
        ("wss://127.0.0.1:1", {"tls_fingerprint": "xy" * 32}),
    ],
)
def test_pins_that_cannot_work(kind: Callable[..., Any], url: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="tls_fingerprint"):
        kind(url, identity=False, **options)
