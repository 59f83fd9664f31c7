"""Which gateway a token belongs to, which token is worth keeping, and the store in memory."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import IdentityError, UsageError
from openclaw_client.identity import (
    DeviceIdentity,
    DeviceToken,
    FileIdentityStore,
    IdentityStore,
    MemoryIdentityStore,
    SecretIdentityStore,
    gateway_scope,
    token_to_store,
)
from openclaw_client.wire.handshake import HelloAuth

GATEWAY = "wss://gw.example"
OTHER = "wss://gw.example/team-b"
IDENTITY = DeviceIdentity.from_seed(bytes(32))
DEVICE = IDENTITY.id


@pytest.fixture(params=["memory", "secret", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> IdentityStore:
    if request.param == "memory":
        return MemoryIdentityStore(IDENTITY)
    if request.param == "secret":
        return SecretIdentityStore(IDENTITY.secret())
    return FileIdentityStore(tmp_path / "id.json")


def test_the_identity_stays_the_same(store: IdentityStore) -> None:
    assert store.load() == store.load()


def test_a_token_comes_back_for_its_gateway_device_and_role_only(store: IdentityStore) -> None:
    token = DeviceToken("tok-a", "operator", ("operator.read", "operator.write"), 1700000000000)
    store.save_token(GATEWAY, DEVICE, token)
    assert store.load_token(GATEWAY, DEVICE, "operator") == token
    assert store.load_token(OTHER, DEVICE, "operator") is None
    assert store.load_token(GATEWAY, "0" * 64, "operator") is None
    assert store.load_token(GATEWAY, DEVICE, "node") is None


def test_a_new_token_takes_the_place_of_the_old_one_and_of_no_other(store: IdentityStore) -> None:
    store.save_token(GATEWAY, DEVICE, DeviceToken("old", "operator"))
    store.save_token(OTHER, DEVICE, DeviceToken("elsewhere", "operator"))
    store.save_token(GATEWAY, DEVICE, DeviceToken("node", "node"))
    new = DeviceToken("new", "operator", ("x",))
    store.save_token(GATEWAY, DEVICE, new)
    store.save_token(GATEWAY, DEVICE, new)
    assert store.load_token(GATEWAY, DEVICE, "operator") == new
    assert store.load_token(OTHER, DEVICE, "operator") == DeviceToken("elsewhere", "operator")
    assert store.load_token(GATEWAY, DEVICE, "node") == DeviceToken("node", "node")


def test_clearing_takes_only_the_token_that_was_refused(store: IdentityStore) -> None:
    assert store.clear_token(GATEWAY, DEVICE, "operator", "any") is False
    fresh = DeviceToken("fresh", "operator")
    store.save_token(GATEWAY, DEVICE, fresh)
    store.save_token(OTHER, DEVICE, fresh)
    identity = store.load()

    assert store.clear_token(GATEWAY, DEVICE, "operator", "refused") is False
    assert store.load_token(GATEWAY, DEVICE, "operator") == fresh

    assert store.clear_token(GATEWAY, DEVICE, "operator", "fresh") is True
    assert store.load_token(GATEWAY, DEVICE, "operator") is None
    assert store.load_token(OTHER, DEVICE, "operator") == fresh
    assert store.load() == identity


def test_no_repr_shows_a_token(store: IdentityStore) -> None:
    store.load()
    token = DeviceToken("tok-secret", "operator")
    store.save_token(GATEWAY, DEVICE, token)
    for shown in (repr(token), str(token), repr(store), str(store)):
        assert "tok-secret" not in shown
    assert "operator" in repr(token)
    assert pickle.loads(pickle.dumps(token)) == token


@pytest.mark.parametrize(
    ("url", "scope"),
    [
        ("ws://127.0.0.1:18789", "ws://127.0.0.1:18789"),
        ("ws://127.0.0.1:18789/", "ws://127.0.0.1:18789"),
        ("http://GW.Example:80", "ws://gw.example"),
        ("https://gw.example:443/a//", "wss://gw.example/a"),
        ("wss://gw.example:80", "wss://gw.example:80"),
        ("ws://gw.example:443", "ws://gw.example:443"),
        ("wss://gw.example./Team", "wss://gw.example/Team"),
        ("wss://user:pass@gw.example/a?token=t#f", "wss://gw.example/a"),
        ("WSS://[::1]:8443/x", "wss://[::1]:8443/x"),
        (" ws://[FE80::1]/ ", "ws://[fe80::1]"),
    ],
)
def test_scope_of_a_gateway(url: str, scope: str) -> None:
    assert gateway_scope(url) == scope


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gw.example:443",
        "ftp://u:hush@gw.example",
        "ws://",
        "ws:///hush",
        "ws://u:hush@",
        "ws://gw:hush",
        "ws://gw:99999/hush",
        "ws://[::1/hush",
    ],
)
def test_what_is_no_gateway_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError, match="ws://host") as caught:
        gateway_scope(url)
    assert "hush" not in "".join(traceback.format_exception(caught.value))


@given(
    st.sampled_from(["ws", "wss", "http", "https"]),
    st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?(\.[a-z]{2,5})?", fullmatch=True),
    st.none() | st.integers(1, 65535),
    st.from_regex(r"(/[a-zA-Z0-9]{0,5}){0,3}", fullmatch=True),
)
def test_a_scope_is_its_own_scope(scheme: str, host: str, port: int | None, path: str) -> None:
    url = f"{scheme}://{host}{'' if port is None else f':{port}'}{path}"
    scope = gateway_scope(url)
    assert gateway_scope(scope) == scope
    assert gateway_scope(f"{url}/?q=1#f") == scope


STORED = DeviceToken("same", "operator", ("operator.read", "operator.write"), 5)


@pytest.mark.parametrize(
    ("stored", "auth", "result"),
    [
        pytest.param(None, None, None, id="v3 without a device sends no auth"),
        pytest.param(None, HelloAuth(role="operator", scopes=["x"]), None, id="no token"),
        pytest.param(STORED, HelloAuth(device_token="  "), None, id="a blank token is none"),
        pytest.param(
            None,
            HelloAuth(role="operator", scopes=["a", "b"], device_token=" new ", issued_at_ms=7.0),
            DeviceToken("new", "operator", ("a", "b"), 7),
            id="the first token",
        ),
        pytest.param(
            None, HelloAuth(device_token="new"), DeviceToken("new", "asked"), id="the role asked for where none is told"
        ),
        pytest.param(
            STORED, HelloAuth(role="operator", scopes=["operator.read"], device_token="same"), None, id="no shrinking"
        ),
        pytest.param(
            STORED,
            HelloAuth(role="operator", scopes=["operator.read"], device_token="rotated"),
            DeviceToken("rotated", "operator", ("operator.read",)),
            id="another token has its own scopes",
        ),
        pytest.param(
            STORED,
            HelloAuth(role="node", scopes=[], device_token="same"),
            DeviceToken("same", "node"),
            id="the same token for another role",
        ),
    ],
)
def test_what_a_hello_gives_to_keep(
    stored: DeviceToken | None, auth: HelloAuth | None, result: DeviceToken | None
) -> None:
    assert token_to_store(stored, auth, "asked") == result


def test_an_identity_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    there = DeviceIdentity.generate(platform="darwin", device_family="Mac mini")
    monkeypatch.setenv("DEVICE", f" {there.secret()}\n")
    store = SecretIdentityStore.from_env("DEVICE")
    assert (store.load(), store.load().platform, store.load().device_family) == (there, "darwin", "Mac mini")
    assert repr(store) == f"SecretIdentityStore(DeviceIdentity(id={there.id!r}))"


@pytest.mark.parametrize("line", [None, "", "  ", "not a line", IDENTITY.secret()[:-9]])
def test_no_identity_is_made_where_the_environment_has_none(line: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEVICE", raising=False)
    if line is not None:
        monkeypatch.setenv("DEVICE", line)
    with pytest.raises(IdentityError) as caught:
        SecretIdentityStore.from_env("DEVICE")
    assert caught.value.remedy
