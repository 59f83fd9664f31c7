"""connect.challenge, connect and hello-ok: what is read, what is sent, and what is not shown."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire import handshake
from openclaw_client.wire.handshake import (
    MAX_COMMON,
    MAX_NAME,
    MAX_NONCE,
    MAX_SHARED,
    AttachmentPolicy,
    AuthFields,
    Challenge,
    ClientFields,
    DeviceProof,
    Features,
    Hello,
    HelloAuth,
    Policy,
    ServerInfo,
    SessionDefaults,
    Snapshot,
    connect_params,
    decode_challenge,
    decode_hello,
)
from tests.wire.test_frames import values

FULL = {
    "type": "hello-ok",
    "protocol": 4,
    "server": {"version": "2026.9.6", "connId": "c-1", "bootId": "b-1", "buildId": "x"},
    "features": {"methods": ["chat.send"], "events": ["chat"], "capabilities": ["profile-binding-v1"]},
    "snapshot": {"presence": [], "uptimeMs": 12, "sessionDefaults": {"mainSessionKey": "agent:main:main"}},
    "auth": {"role": "operator", "scopes": ["operator.read"], "deviceToken": "dt", "issuedAtMs": 5, "method": "token"},
    "policy": {"maxPayload": 100, "maxBufferedBytes": 200, "tickIntervalMs": 15000, "attachments": {"maxBytes": 7}},
    "pluginSurfaceUrls": {},
}
DECODED: dict[str, object] = {
    "protocol": 4,
    "server": ServerInfo("2026.9.6", "c-1", "b-1"),
    "features": Features(["chat.send"], ["chat"], ["profile-binding-v1"]),
    "snapshot": Snapshot(SessionDefaults(main_session_key="agent:main:main"), 12),
    "auth": HelloAuth("operator", ["operator.read"], "dt", 5, "token"),
    "policy": Policy(100, 200, 15000, AttachmentPolicy(7)),
}


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def sections(hello: Hello | None) -> dict[str, object]:
    assert hello is not None
    return {name: getattr(hello, name) for name in DECODED}


@pytest.mark.parametrize(
    ("payload", "challenge"),
    [
        (b'{"nonce":"n","ts":5}', Challenge("n", 5)),
        (b'{"nonce":"n","ts":5,"capabilities":["x"]}', Challenge("n", 5)),
        (b'{"nonce":"n"}', Challenge("n")),
        (b'{"nonce":"n","ts":null}', Challenge("n")),
        (b'{"nonce":"n","ts":-1}', Challenge("n")),
        (b'{"nonce":"n","ts":"5"}', Challenge("n")),
        (b'{"nonce":"n","ts":5.5}', Challenge("n")),
        (b'{"nonce":"%s","ts":5}' % (b"n" * MAX_NONCE), Challenge("n" * MAX_NONCE, 5)),
        (b'{"nonce":"%s","ts":5}' % (b"n" * (MAX_NONCE + 1)), None),
        (b'{"nonce":"%s","ts":"5"}' % (b"n" * (MAX_NONCE + 1)), None),
        (b'{"nonce":" "}', None),
        (b'{"nonce":" ","ts":"5"}', None),
        (b'{"nonce":""}', None),
        (b'{"nonce":5}', None),
        (b'{"ts":5}', None),
        (b'{"ts":"5"}', None),
        (b"[]", None),
        (b"", None),
        (b'{"nonce":"\xff"}', None),
        (b'{"nonce":"n","x":' + b"[" * 100_000, None),
    ],
)
def test_a_challenge_needs_a_nonce_and_nothing_else(payload: bytes, challenge: Challenge | None) -> None:
    assert decode_challenge(msgspec.Raw(payload)) == challenge


def test_connect_holds_the_whole_range_of_versions_and_no_key_without_a_value() -> None:
    client = ClientFields(id="gateway-client", version="1", platform="linux", mode="backend")
    bare = connect_params(client=client, role="operator", scopes=(), caps=(), auth=None)
    assert msgspec.to_builtins(bare) == {
        "minProtocol": 3,
        "maxProtocol": 4,
        "client": {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"},
        "role": "operator",
        "scopes": [],
    }
    auth = AuthFields(token="t", device_token="d")
    full = connect_params(client=client, role="operator", scopes=("operator.read",), caps=("tool-events",), auth=auth)
    proof = DeviceProof(id="i", public_key="p", signature="s", signed_at=5, nonce="n")
    sent = msgspec.to_builtins(msgspec.structs.replace(full, device=proof))
    assert (sent["scopes"], sent["caps"]) == (["operator.read"], ["tool-events"])
    assert sent["auth"] == {"token": "t", "deviceToken": "d"}
    assert sent["device"] == {"id": "i", "publicKey": "p", "signature": "s", "signedAt": 5, "nonce": "n"}


def test_only_a_node_says_what_it_can_be_asked_to_do() -> None:
    client = ClientFields(id="cli", version="1", platform="linux", mode="cli")
    given: dict[str, Any] = {"client": client, "scopes": (), "caps": (), "auth": None}
    operator = connect_params(role="operator", **given)
    assert "commands" not in msgspec.to_builtins(operator)
    node = connect_params(role="node", commands=("mcp.tools.call.v1",), **given)
    assert msgspec.to_builtins(node)["commands"] == ["mcp.tools.call.v1"]


def test_no_secret_of_the_handshake_is_shown() -> None:
    auth = AuthFields(token="sesame-1", device_token="sesame-2", bootstrap_token="sesame-3", password="sesame-4")
    proof = DeviceProof(id="i", public_key="p", signature="sesame-5", signed_at=5, nonce="n")
    client = ClientFields(id="i", version="1", platform="linux", mode="backend")
    params = connect_params(client=client, role="operator", scopes=(), caps=(), auth=auth)
    hello = decode_hello(raw({"protocol": 4, "auth": {"deviceToken": "sesame-6"}}))
    assert hello is not None
    shown = [auth, proof, msgspec.structs.replace(params, device=proof), hello, hello.auth]
    for value in shown:
        assert "sesame" not in repr(value) + str(value)
    assert repr(auth) == "AuthFields(token=…, device_token=…, bootstrap_token=…, password=…)"
    assert repr(AuthFields(password="x")) == "AuthFields(password=…)"
    assert repr(hello.auth) == "HelloAuth(role=None, scopes=None, device_token=…)"
    assert repr(HelloAuth("operator", ["a"])) == "HelloAuth(role='operator', scopes=['a'], device_token=None)"


def test_a_whole_hello_is_read() -> None:
    payload = raw(FULL)
    hello = decode_hello(payload)
    assert sections(hello) == DECODED
    assert hello is not None
    assert hello.granted_scopes == ("operator.read",)
    assert repr(hello) == "Hello(protocol=4, version='2026.9.6', conn_id='c-1')"


def test_what_many_hellos_have_in_common_is_kept_once_and_not_for_ever() -> None:
    def hello(version: str) -> Hello:
        decoded = decode_hello(raw({"protocol": 4, "server": {"version": version}, "features": {"methods": [version]}}))
        assert decoded is not None
        return decoded

    first = hello("2026.9.6")
    assert hello("2026.9.6").features is first.features
    for number in range(MAX_COMMON):
        assert hello(f"9999.{number}").features.methods == [f"9999.{number}"]
    assert hello("2026.9.6").features is not first.features
    assert hello("2026.9.6") == first


def test_a_long_hello_leaves_nothing_behind() -> None:
    def hello(long: str) -> Hello:
        features = {"methods": [long]}
        decoded = decode_hello(raw({"protocol": 4, "server": {"version": "2026.9.6"}, "features": features}))
        assert decoded is not None
        return decoded

    # Whatever tests before this one have left: a full table is emptied.
    handshake._common.clear()
    short, long = hello("short"), hello("x" * MAX_SHARED)
    assert hello("short").features is short.features
    assert hello("x" * MAX_SHARED).features is not long.features
    assert long.features.methods == ["x" * MAX_SHARED]


def test_a_boot_id_is_cut() -> None:
    decoded = decode_hello(raw({"protocol": 4, "server": {"bootId": "b" * 4_000_000}}))
    assert decoded is not None
    assert len(decoded.server.boot_id) == MAX_NAME


def test_the_least_hello_has_every_default() -> None:
    hello = decode_hello(raw({"protocol": 3}))
    assert sections(hello) == sections(Hello(protocol=3))
    assert hello is not None
    assert (hello.granted_scopes, hello.policy.max_payload, hello.policy.tick_interval) == (None, 26_214_400, 30.0)


@pytest.mark.parametrize("name", [name for name in DECODED if name != "protocol"])
@pytest.mark.parametrize("wrong", [None, 5, "x", [1], {"version": 1, "methods": 2, "role": 3, "maxPayload": "4"}])
def test_a_section_of_a_wrong_shape_costs_that_section(name: str, wrong: object) -> None:
    read = sections(decode_hello(raw({**FULL, name: wrong})))
    assert {key: value for key, value in read.items() if key != name} == {
        key: value for key, value in DECODED.items() if key != name
    }
    assert read[name] == getattr(Hello(), name)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"protocol":0}',
        b'{"protocol":-3}',
        b'{"protocol":"4"}',
        b'{"protocol":null}',
        b'{"protocol":4.5}',
        b'{"protocol":4',
        b'{"protocol":4,"x":' + b"[" * 100_000,
        b'{"\xff":1,"protocol":"4"}',
    ],
)
def test_without_a_protocol_number_there_is_no_hello(payload: bytes) -> None:
    assert decode_hello(msgspec.Raw(payload)) is None


@given(fields=st.dictionaries(st.sampled_from([*DECODED, "type"]), values), protocol=st.integers(3, 4))
def test_any_hello_with_a_protocol_number_is_one(fields: dict[str, Any], protocol: int) -> None:
    hello = decode_hello(raw({**fields, "protocol": protocol}))
    assert hello is not None
    assert hello.protocol == protocol
    assert hello.policy.tick_interval >= 1.0


@pytest.mark.parametrize(
    ("auth", "scopes"),
    [(None, None), (HelloAuth(), None), (HelloAuth(scopes=[]), ()), (HelloAuth(scopes=["a", "b"]), ("a", "b"))],
)
def test_no_scopes_told_is_not_the_same_as_none_granted(auth: HelloAuth | None, scopes: object) -> None:
    assert Hello(protocol=4, auth=auth).granted_scopes == scopes


@pytest.mark.parametrize(("wire", "seconds"), [(30_000, 30.0), (15_000, 15.0), (999, 1.0), (0, 1.0), (-5, 1.0)])
def test_a_tick_interval_is_a_second_at_least(wire: float, seconds: float) -> None:
    assert Policy(tick_interval_ms=wire).tick_interval == seconds


@pytest.mark.parametrize(
    ("auth", "token_s"),
    [
        (HelloAuth(scopes=["a"], device_token="dt"), True),
        (HelloAuth(scopes=["a"], device_token="dt", method="token"), False),
        (HelloAuth(scopes=["a"]), False),
    ],
)
def test_whose_scopes_are_told(auth: HelloAuth, token_s: bool) -> None:
    assert auth.scopes_are_token_s is token_s


@pytest.mark.parametrize(
    ("version", "takes"),
    [
        ("2026.9.6", True),
        ("2026.10.1", True),
        ("2027.1.1-beta.2", True),
        ("2026.9.5", False),
        ("2026.6.1", False),
        ("dev", False),
        ("", False),
        ("2026.9", False),
        ("2026.10.123", False),
    ],
)
def test_who_takes_a_trace_context(version: str, takes: bool) -> None:
    assert Hello(protocol=4, server=ServerInfo(version=version)).takes_traceparent is takes


def test_connections_to_one_release_share_what_it_advertises() -> None:
    one, two = (decode_hello(raw({**FULL, "server": {"connId": name}})) for name in ("c-1", "c-2"))
    assert one is not None
    assert two is not None
    assert one.features is two.features
    others = [decode_hello(raw({"protocol": 4, "features": {"methods": [f"m{n}"]}})) for n in range(40)]
    assert [hello.features.methods for hello in others if hello is not None] == [[f"m{n}"] for n in range(40)]
