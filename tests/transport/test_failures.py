"""What keeps a socket from coming about has a name, a stage and a remedy, on both faces."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import Timeouts
from openclaw_client.errors import ConnectError, HandshakeTimeout, TlsPinMismatch, Unreachable
from openclaw_client.policy.advice import advice_for
from openclaw_client.testing import DEFAULT_TOKEN, BlockingEmbeddedGateway
from openclaw_client.transport import probe
from openclaw_client.transport.failures import failure_of
from openclaw_client.transport.opening import Target, open_websocket
from tests.faces import Face
from tests.moved_clock import turns
from tests.transport.servers import Serve, babble, hang_up, serving, silent, web
from tests.transport.test_frames import Heard
from tests.transport.tls import Certificate, TlsRelay


async def failure(face: Face, url: str, *, connect: float = 20.0, **options: Any) -> ConnectError:
    """What connect() raises; its remedy and stage are checked against the table."""
    client = face.client(url, token=DEFAULT_TOKEN, identity=False, timeouts=Timeouts(connect=connect), **options)
    with pytest.raises(ConnectError) as caught:
        await client.connect()
    await client.disconnect()
    error = caught.value
    advice = advice_for(error.detail_code)
    assert advice is not None, error
    assert (error.stage, error.remedy, error.attempt) == (advice.stage, advice.remedy, 1)
    return error


@pytest.mark.parametrize(
    ("serve", "code", "said"),
    [
        (web(), "HTTP_200", "HTTP 200 instead of a WebSocket"),
        (web("HTTP/1.1 404 Not Found", "Server: nginx/1.27"), "HTTP_404", "from nginx/1.27"),
        (web("HTTP/1.1 302 Found", "Location: /login"), "HTTP_302", "HTTP 302"),
        (web("HTTP/1.0 502 Bad Gateway"), "HTTP_502", "HTTP 502"),
        (web(f"HTTP/1.0 {'9' * 5000} No"), "UPGRADE_CUT", "upgrade"),
        (web(f"HTTP/1.1 {'9' * 5000} No"), "NOT_WEBSOCKET", ""),
        (web("HTTP/1.1 200 OK", f"Server: \x1b]0;{'x' * 99}"), "HTTP_200", "HTTP 200"),
        (hang_up, "UPGRADE_CUT", "upgrade"),
        (babble, "NOT_WEBSOCKET", ""),
    ],
)
async def test_a_server_that_is_no_gateway(serve: Serve, code: str, said: str, face: Face) -> None:
    with serving(serve) as port:
        error = await failure(face, f"ws://127.0.0.1:{port}")
    assert type(error) is Unreachable
    assert (error.detail_code in (code, "UPGRADE_CUT"), said in str(error)) == (True, True), error
    assert "\x1b" not in str(error)
    assert len(str(error)) < 300


async def test_nothing_listens(face: Face) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await failure(face, f"ws://127.0.0.1:{port}")
    assert (error.detail_code, error.stage) == ("CONNECTION_REFUSED", "tcp")


@pytest.mark.parametrize("turns_before", range(5))
async def test_a_peer_that_ends_as_soon_as_there_is_a_connection(turns_before: int) -> None:
    """In one of these turns of the loop the connection is there and has nobody yet."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
            opening = asyncio.create_task(open_websocket(Target(url, url), Heard()))
            await turns(turns_before)
        with pytest.raises(Unreachable) as caught:
            await opening
        gc.collect()
    assert caught.value.detail_code in ("CONNECTION_REFUSED", "UPGRADE_CUT")
    assert [str(warning.message) for warning in told] == []


async def test_a_name_that_nobody_knows(face: Face) -> None:
    error = await failure(face, "wss://no-such-host.invalid")
    assert (error.detail_code, error.stage) == ("NAME_UNKNOWN", "dns")


async def test_plain_text_to_a_tls_port(face: Face, tmp_path: Path) -> None:
    with serving(silent, Certificate.make(tmp_path, "own").context()) as port:
        error = await failure(face, f"ws://127.0.0.1:{port}")
    # Some servers say so in TLS, some hang up.
    assert error.detail_code in ("TLS_EXPECTED", "UPGRADE_CUT")
    assert "wss://" in error.remedy


@pytest.mark.parametrize("serve", [web(), babble])
async def test_tls_to_a_plain_port(serve: Serve, face: Face) -> None:
    with serving(serve) as port:
        error = await failure(face, f"wss://127.0.0.1:{port}")
    assert error.detail_code in ("NOT_TLS", "TLS_CUT")
    assert "ws://" in error.remedy


@pytest.mark.parametrize(
    ("form", "host", "code"),
    [
        ({}, "127.0.0.1", "CERTIFICATE_UNTRUSTED"),
        ({"expired": True}, "127.0.0.1", "CERTIFICATE_EXPIRED"),
        ({}, "localhost", "CERTIFICATE_WRONG_NAME"),
    ],
)
async def test_a_certificate_that_does_not_do(
    form: dict[str, bool], host: str, code: str, face: Face, tmp_path: Path
) -> None:
    certificate = Certificate.make(tmp_path, "own", **form)
    context = ssl.create_default_context(cafile=None if code == "CERTIFICATE_UNTRUSTED" else str(certificate.path))
    with BlockingEmbeddedGateway() as gateway:
        async with TlsRelay(gateway.url, certificate) as relay:
            error = await failure(face, relay.url.replace("127.0.0.1", host), ssl_context=context)
            assert relay.received == b""
    assert (error.detail_code, error.stage) == (code, "tls")


async def test_an_authority_that_does_not_say_what_it_is_for(face: Face, tmp_path: Path) -> None:
    """What Python 3.13 and later refuse by themselves; here every version is told to."""
    certificate, authority = Certificate.issued(tmp_path, "own", standard=False)
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with BlockingEmbeddedGateway() as gateway:
        async with TlsRelay(gateway.url, certificate) as relay:
            error = await failure(face, relay.url, ssl_context=context)
    assert (error.detail_code, error.stage) == ("CERTIFICATE_NOT_STANDARD", "tls")
    assert "key usage" in str(error)
    assert "tls_fingerprint" in error.remedy


async def test_a_wrong_pin_is_explained_by_the_table(face: Face, tmp_path: Path) -> None:
    with BlockingEmbeddedGateway() as gateway:
        async with TlsRelay(gateway.url, Certificate.make(tmp_path, "own")) as relay:
            error = await failure(face, relay.url, tls_fingerprint="ab" * 32)
    assert (type(error), error.detail_code) == (TlsPinMismatch, "PIN_MISMATCH")


async def test_a_server_that_takes_the_connection_and_says_nothing(face: Face) -> None:
    with serving(silent) as port:
        error = await failure(face, f"ws://127.0.0.1:{port}", connect=0.3)
    assert (type(error), error.detail_code, error.stage) == (Unreachable, "NO_ANSWER", None)


async def test_a_gateway_that_withholds_the_challenge(face: Face) -> None:
    with BlockingEmbeddedGateway() as gateway:
        gateway.faults.withhold_challenge()
        error = await failure(face, gateway.url, connect=0.5)
    assert (type(error), error.detail_code, error.stage) == (HandshakeTimeout, "NO_CHALLENGE", "challenge")


async def test_a_gateway_that_does_not_answer_the_connect(face: Face) -> None:
    with BlockingEmbeddedGateway() as gateway:
        gateway.faults.drop("connect")
        error = await failure(face, gateway.url, connect=0.5)
    assert (type(error), error.detail_code, error.stage) == (HandshakeTimeout, "NO_HELLO", "connect")


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("connect.challenge", lambda frame: {**frame, "payload": {"nonce": ""}}, "BAD_CHALLENGE"),
        ("connect", lambda frame: {**frame, "payload": {"type": "hello-ok", "protocol": 99}}, "BAD_HELLO"),
    ],
)
async def test_a_handshake_that_no_gateway_makes(name: str, change: Callable[..., Any], code: str, face: Face) -> None:
    with BlockingEmbeddedGateway() as gateway:
        gateway.faults.rewrite(name, change)
        error = await failure(face, gateway.url)
    assert error.detail_code == code


def error_of(number: int) -> OSError:
    return OSError(number, "no")


@pytest.mark.parametrize(
    ("error", "secure", "code"),
    [
        (error_of(errno.EHOSTUNREACH), False, "NO_ROUTE"),
        (error_of(errno.ENETUNREACH), True, "NO_ROUTE"),
        (error_of(errno.ETIMEDOUT), False, "TCP_TIMEOUT"),
        (error_of(errno.ECONNREFUSED), True, "CONNECTION_REFUSED"),
        (error_of(errno.EACCES), False, "TCP_FAILED"),
        (OSError("several addresses failed"), False, "TCP_FAILED"),
        (ConnectionResetError(), True, "TLS_CUT"),
        (ConnectionResetError(), False, "UPGRADE_CUT"),
        (socket.gaierror(-2, "Name or service not known"), False, "NAME_UNKNOWN"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), True, "TLS_CUT"),
        (ssl.SSLError(1, "bad certificate"), True, "TLS_FAILED"),
    ],
)
def test_the_systems_errors_have_names(error: OSError, secure: bool, code: str) -> None:
    found, words = failure_of(error, secure=secure)
    assert (found, bool(words.strip())) == (code, True)
    assert advice_for(found) is not None


async def greet(host: str, port: int, shown: str, limit: float) -> str:
    return await probe.shake_hands(host, port, None, shown, limit)


@pytest.mark.parametrize("step", [probe.knock, greet])
async def test_a_time_limit_of_the_systems_is_not_told_as_the_callers(
    step: Callable[..., Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gives_up(*_: Any, **__: Any) -> Any:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(asyncio, "open_connection", gives_up)
    with pytest.raises(Unreachable) as caught:
        await step("127.0.0.1", 1, "wss://127.0.0.1:1", 20.0)
    assert (caught.value.detail_code, "20 s" in str(caught.value)) == ("TCP_TIMEOUT", False)
