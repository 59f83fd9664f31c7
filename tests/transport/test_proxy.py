"""Which proxy is used: the caller's, else the environment's, and never one for this machine that nobody asked for."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import ClientInfo, DeviceIdentity, MemoryIdentityStore, ReconnectPolicy, Timeouts
from openclaw_client.client.options import Settings, build_settings
from openclaw_client.errors import Unreachable, UsageError
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.connect_proxy import ConnectProxy
from tests.faces import Face

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy() as made:
        yield made


def client_of(face: Face, gateway: BlockingEmbeddedGateway, **options: Any) -> Any:
    identity = MemoryIdentityStore(DeviceIdentity.generate())
    return face.client(gateway.url, token=gateway.token, identity=identity, timeouts=Timeouts(connect=20), **options)


async def test_the_callers_proxy_is_used(face: Face, proxy: ConnectProxy) -> None:
    with BlockingEmbeddedGateway() as gateway:
        async with client_of(face, gateway, proxy=proxy.url) as client:
            assert (await client.chat_send(session_key="main", message="hi")).text
        assert proxy.asked == [f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1"]


async def test_loopback_ignores_the_environment(
    face: Face, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    with BlockingEmbeddedGateway() as gateway:
        async with client_of(face, gateway):
            pass
    assert proxy.asked == []


async def test_a_proxy_that_refuses_is_named(face: Face, proxy: ConnectProxy) -> None:
    proxy.refuse = True
    with BlockingEmbeddedGateway() as gateway, pytest.raises(Unreachable, match="the proxy"):
        await client_of(face, gateway, proxy=proxy.url).connect()


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_that_is_not_there_is_named(face: Face, kind: str) -> None:
    with BlockingEmbeddedGateway() as gateway, socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"{kind}://127.0.0.1:{taken.getsockname()[1]}"
        taken.close()
        with pytest.raises(Unreachable, match="the proxy cannot be reached") as told:
            await client_of(face, gateway, proxy=nobody).connect()
        assert told.value.detail_code == "PROXY_UNREACHABLE"


def settings(url: str, proxy: Any = None, **options: Any) -> Settings:
    made: Callable[..., Settings] = build_settings
    unset = dict.fromkeys(("token", "password", "device_token", "scopes", "caps", "ssl_context", "headers"))
    rest = {"timeouts": Timeouts(), "reconnect": ReconnectPolicy(), "client_info": ClientInfo()}
    fixed = {"identity": False, "role": "operator", "tls_fingerprint": None}
    return made(url, proxy=proxy, **{**unset, **rest, **fixed, **options})


@pytest.mark.parametrize(
    ("url", "variables", "used"),
    [
        ("wss://gateway.example", {"https_proxy": "http://a:1"}, "http://a:1"),
        ("wss://gateway.example", {"http_proxy": "http://a:1"}, None),
        ("wss://gateway.example", {"all_proxy": "socks5h://a:1"}, "socks5://a:1"),
        ("wss://gateway.example", {"https_proxy": "a:1"}, "http://a:1"),
        ("wss://gateway.example", {"https_proxy": "http://a:1", "no_proxy": "example"}, None),
        ("wss://gateway.example", {"https_proxy": "http://a:1", "no_proxy": "*"}, None),
        ("wss://gateway.example", {"https_proxy": "http://a:1", "no_proxy": "other"}, "http://a:1"),
        ("wss://10.0.0.7", {"https_proxy": "http://a:1"}, None),
        ("wss://box.ts.net", {"https_proxy": "http://a:1"}, None),
        ("ws://localhost:1", {"http_proxy": "http://a:1", "all_proxy": "http://b:1"}, None),
    ],
)
def test_the_environments_proxy(
    url: str, variables: dict[str, str], used: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert settings(url).proxy == used
    assert settings(url, proxy="").proxy is None
    assert settings(url, proxy=False).proxy is None
    assert settings(url, proxy="http://mine:1").proxy == "http://mine:1"


def test_a_pin_is_checked_without_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://a:1")
    assert settings("wss://gateway.example", tls_fingerprint="ab" * 32).proxy is None


@pytest.mark.parametrize("proxy", ["gopher://a:1", "http://", "://a", True])
def test_what_is_no_proxy_is_refused(proxy: Any) -> None:
    with pytest.raises(UsageError, match="proxy"):
        settings("wss://gateway.example", proxy=proxy)
