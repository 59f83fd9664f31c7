"""Authorities of one's own: by argument and by environment, on both faces; and looking at a certificate."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import (
    AsyncGatewayClient,
    Certificate,
    Credentials,
    DeviceIdentity,
    GatewayClient,
    MemoryIdentityStore,
    Timeouts,
)
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.tls_context import tls_context
from openclaw_client.errors import Unreachable, UsageError
from openclaw_client.policy.credentials import AuthInput
from openclaw_client.policy.urls import parse_url
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.transport.ca_bundle import ca_bundle_context
from tests.faces import Face
from tests.transport.servers import deaf_after_handshake, serving, silent
from tests.transport.tls import Certificate as Made
from tests.transport.tls import TlsRelay
from tests.waiting import PATIENCE

PIN, CA = "OPENCLAW_GATEWAY_TLS_FINGERPRINT", "OPENCLAW_GATEWAY_CA_FILE"


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway() as gateway:
        yield gateway


@pytest.fixture
def make(face: Face, gateway: BlockingEmbeddedGateway) -> Callable[..., Any]:
    def client(url: str | None, **options: Any) -> Any:
        identity = MemoryIdentityStore(DeviceIdentity.generate())
        return face.client(url, token=gateway.token, identity=identity, timeouts=Timeouts(connect=20), **options)

    return client


async def test_each_user_of_a_manager_trusts_authorities_of_their_own(
    face: Face, gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    certificate, authority = Made.issued(tmp_path, "gw")
    async with TlsRelay(gateway.url, certificate) as relay:

        def credentials(user: str) -> Credentials:
            return Credentials(relay.url, token=gateway.token, ca_file=authority if user == "ann" else None)

        async with face.manager(credentials, timeouts=Timeouts(connect=20)) as manager:
            assert (await manager.connection_for("ann")).connected
            with pytest.raises(Unreachable, match="certificate"):
                await manager.connection_for("bob")


def test_another_file_of_authorities_means_another_connection() -> None:
    given = Credentials("wss://127.0.0.1:1", ca_file=Path("a.pem"))
    assert given.same_connection(Credentials("wss://127.0.0.1:1", ca_file="a.pem"))
    assert not given.same_connection(Credentials("wss://127.0.0.1:1", ca_file="b.pem"))


async def works(client: Any) -> bool:
    async with client:
        return bool((await client.chat_send(session_key="main", message="over TLS")).text)


@pytest.mark.parametrize("kind", [str, Path])
async def test_a_private_authority_in_a_file_is_trusted(
    kind: Callable[[Path], Any], make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    certificate, authority = Made.issued(tmp_path, "gw")
    async with TlsRelay(gateway.url, certificate) as relay:
        with pytest.raises(Unreachable) as refused:
            await make(relay.url).connect()
        assert refused.value.detail_code == "CERTIFICATE_UNTRUSTED"
        assert relay.received == b""
        assert await works(make(relay.url, ca_file=kind(authority)))


async def test_another_authority_does_not_do(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    certificate, _ = Made.issued(tmp_path, "gw")
    _, other = Made.issued(tmp_path, "other")
    async with TlsRelay(gateway.url, certificate) as relay:
        with pytest.raises(Unreachable) as refused:
            await make(relay.url, ca_file=other).connect()
        assert refused.value.detail_code == "CERTIFICATE_UNTRUSTED"
        assert relay.received == b""


async def test_the_environment_names_authorities_and_pins(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, authority = Made.issued(tmp_path, "gw")
    async with TlsRelay(gateway.url, certificate) as relay:
        monkeypatch.setenv(CA, str(authority))
        assert await works(make(relay.url))
        monkeypatch.setenv(CA, "")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert await works(make(relay.url))
        monkeypatch.delenv("SSL_CERT_FILE")
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", relay.url)
        monkeypatch.setenv(PIN, certificate.fingerprint)
        assert await works(make(None))
        # Another gateway's pin is none of this one's.
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", "wss://other.example")
        with pytest.raises(Unreachable) as refused:
            await make(relay.url).connect()
        assert refused.value.detail_code == "CERTIFICATE_UNTRUSTED"


async def test_a_file_that_holds_no_authority(make: Callable[..., Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for file, said in ((empty, "holds no certificate"), (tmp_path / "none.pem", "No such file")):
        with pytest.raises(UsageError, match=said) as caught:
            await make("wss://127.0.0.1:1", ca_file=file).connect()
        assert str(file) in str(caught.value)


async def test_a_file_that_is_never_read_to_its_end(make: Callable[..., Any], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.pem"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="no regular file"):
        await make("wss://127.0.0.1:1", ca_file=pipe).connect()


async def test_jobs_of_the_loop_s_executor_do_not_hold_up_the_file_of_a_user(tmp_path: Path) -> None:
    _, authority = Made.issued(tmp_path, "gw")
    settings = Settings(url=parse_url("wss://h"), credentials=AuthInput(), ca_file=str(authority))
    door = threading.Event()
    jobs = [asyncio.get_running_loop().run_in_executor(None, door.wait) for _ in range(64)]
    try:
        async with asyncio.timeout(PATIENCE):
            assert await tls_context(settings) is not None
    finally:
        door.set()
        await asyncio.gather(*jobs)


def test_a_context_is_shared_until_the_file_changes(tmp_path: Path) -> None:
    _, first = Made.issued(tmp_path, "first")
    _, second = Made.issued(tmp_path, "second")
    context = ca_bundle_context(str(first))
    assert ca_bundle_context(str(first)) is context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    first.write_bytes(second.read_bytes() * 2)
    assert ca_bundle_context(str(first)) is not context


@pytest.mark.parametrize("kind", [AsyncGatewayClient, GatewayClient])
@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ws://127.0.0.1:1", {"ca_file": "a.pem"}),
        ("wss://127.0.0.1:1", {"ca_file": "a.pem", "tls_fingerprint": "ab" * 32}),
        ("wss://127.0.0.1:1", {"ca_file": "a.pem", "ssl_context": ssl.create_default_context()}),
    ],
)
def test_files_that_cannot_work(kind: Callable[..., Any], url: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="ca_file"):
        kind(url, identity=False, **options)


def test_what_the_environment_says_of_tls_is_nothing_to_a_plain_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PIN, "ab" * 32)
    monkeypatch.setenv(CA, "/nonexistent.pem")
    assert GatewayClient("ws://127.0.0.1:1", identity=False)


async def test_a_certificate_can_be_looked_at(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    made, _ = Made.issued(tmp_path, "gw")
    async with TlsRelay(gateway.url, made) as relay:
        seen = await make(relay.url).certificate()
        assert relay.received == b""
        assert isinstance(seen, Certificate)
        assert (seen.fingerprint, seen.der) == (made.fingerprint, made.der)
        assert (seen.subject, seen.issuer) == ("CN=gw", "CN=gw CA")
        assert seen.expires is not None
        assert await works(make(relay.url, tls_fingerprint=seen.fingerprint))


async def test_a_server_that_never_answers_the_closing_alert_keeps_nobody_waiting(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    made, _ = Made.issued(tmp_path, "gw")
    with deaf_after_handshake(made.context()) as port:
        seen = await make(f"wss://127.0.0.1:{port}").certificate()
    assert seen.fingerprint == made.fingerprint


async def test_no_certificate_to_look_at(
    make: Callable[..., Any], face: Face, gateway: BlockingEmbeddedGateway
) -> None:
    with pytest.raises(UsageError, match="wss://"):
        await make(gateway.url).certificate()
    with pytest.raises(Unreachable) as gone:
        await make("wss://127.0.0.1:1").certificate()
    assert gone.value.remedy
    with serving(silent) as port:
        client = face.client(f"wss://127.0.0.1:{port}", identity=False, timeouts=Timeouts(connect=0.3))
        with pytest.raises(Unreachable) as stuck:
            await client.certificate()
    assert (stuck.value.detail_code, stuck.value.stage) == ("TLS_TIMEOUT", "tls")
