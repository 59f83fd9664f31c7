"""Who is let in, with what, and how the others are told; for each release what it was seen to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from openclaw_client.errors import UsageError
from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, EmbeddedGateway
from openclaw_client.testing.auth import RateLimit
from openclaw_client.testing.faults import Faults
from tests.gateways.raw import RawError
from tests.testing.helpers import ALL_SCOPES, CLI, RELEASES, RawDevice, connected, raw, refused

V3 = ("2026.2.17", "2026.4.15")
V4 = ("2026.6.1", "2026.9.6")


@pytest.fixture(params=RELEASES)
def gateway(request: pytest.FixtureRequest) -> Any:
    with BlockingEmbeddedGateway(release=request.param) as running:
        yield running


def test_a_device_with_the_right_token_is_let_in_with_what_it_asked_for(gateway: BlockingEmbeddedGateway) -> None:
    client = connected(gateway, **CLI)
    hello = client.hello
    assert hello["type"] == "hello-ok"
    assert hello["protocol"] == gateway.profile.protocol
    assert sorted(hello["auth"]["scopes"]) == sorted(ALL_SCOPES)
    assert hello["auth"]["deviceToken"]
    assert hello["policy"]["maxPayload"] == 26_214_400
    assert client.request("sessions.list", {})["sessions"] == []
    client.close()


def test_the_same_device_token_comes_back(gateway: BlockingEmbeddedGateway) -> None:
    device = RawDevice()
    tokens = []
    for _ in range(2):
        client = connected(gateway, device=device, **CLI)
        tokens.append(client.hello["auth"]["deviceToken"])
        client.close()
    assert tokens[0] == tokens[1]
    with raw(gateway, device=device, token=tokens[0], **CLI) as client:
        assert client.request("sessions.list", {})["sessions"] == []


@pytest.mark.parametrize("release", RELEASES)
def test_who_keeps_scopes_without_a_device(release: str) -> None:
    keep = {client_id for client_id, _mode in PROFILES[release].keeps_scopes}
    with BlockingEmbeddedGateway(release=release) as gateway:
        for client_id, mode in (("gateway-client", "backend"), ("cli", "cli"), ("test", "test")):
            client = connected(gateway, device=None, client_id=client_id, client_mode=mode)
            if gateway.profile.protocol == 3:
                assert "auth" not in client.hello
            else:
                assert client.hello["auth"]["scopes"] == (list(ALL_SCOPES) if client_id in keep else [])
            if client_id in keep:
                assert client.request("chat.history", {"sessionKey": "x"})["messages"] == []
            else:
                with pytest.raises(RawError, match=r"missing scope: operator\.read"):
                    client.request("chat.history", {"sessionKey": "x"})
            client.close()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"token": "wrong", "device": None}, "AUTH_TOKEN_MISMATCH", "gateway token mismatch"),
        ({"token": None, "device": None}, "DEVICE_IDENTITY_REQUIRED", "device identity required"),
        ({"token": None}, "AUTH_TOKEN_MISSING", "gateway token missing"),
    ],
)
def test_wrong_credentials(gateway: BlockingEmbeddedGateway, options: dict[str, Any], code: str, text: str) -> None:
    refusal = refused(gateway, **options)
    assert text in refusal.error["message"]
    assert (refusal.close_code, refusal.close_reason) == (1008, refusal.error["message"])
    has_codes = gateway.profile.release != "2026.2.17"
    assert refusal.error.get("details", {}).get("code") == (code if has_codes else None)


@pytest.mark.parametrize("release", ["2026.4.15", "2026.9.6"])
def test_password_auth(release: str) -> None:
    with BlockingEmbeddedGateway(release=release, password="secret") as gateway:
        assert gateway.token is None
        connected(gateway, **CLI).close()
        assert "password mismatch" in refused(gateway, password="other").error["message"]
        # Only the newest release looks for the shared secret in either field.
        in_token_field = raw(gateway, password=None, token="secret")
        if release == "2026.9.6":
            in_token_field.connect()
            in_token_field.close()
        else:
            assert "password missing" in refused(gateway, password=None, token="secret").error["message"]


@pytest.mark.parametrize(
    ("low", "high", "v3", "v4"),
    [(3, 3, True, False), (3, 4, True, True), (4, 4, False, True), (1, 99, True, True), (5, 5, False, False)],
)
def test_versions(low: int, high: int, v3: bool, v4: bool) -> None:
    for protocol, welcome in ((3, v3), (4, v4)):
        with BlockingEmbeddedGateway(protocol=protocol) as gateway:
            if welcome:
                client = connected(gateway, protocols=(low, high))
                assert client.hello["protocol"] == protocol
                client.close()
                continue
            refusal = refused(gateway, protocols=(low, high))
            assert refusal.error["details"]["expectedProtocol"] == protocol
            assert (refusal.close_code, refusal.close_reason) == (1002, "protocol mismatch")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"extra": 1}, "at root: unexpected property 'extra'"),
        ({"locale": None}, "at /locale: must be string"),
        ({"scopes": "operator.read"}, "at /scopes: must be array"),
        ({"minProtocol": 0}, "at /minProtocol: must be >= 1"),
        (
            {"client": {"id": "cli", "version": "1", "platform": "x", "mode": "operator"}},
            "at /client/mode: must be equal",
        ),
        ({"auth": {"token": "t", "other": 1}}, "at /auth: unexpected property 'other'"),
    ],
)
def test_connect_parameters_are_closed(gateway: BlockingEmbeddedGateway, change: dict[str, Any], text: str) -> None:
    with connect(gateway.url, compression=None, proxy=None) as socket:
        socket.recv(timeout=5)
        client = {"id": "cli", "version": "1", "platform": "x", "mode": "cli"}
        params = {"minProtocol": 3, "maxProtocol": 4, "client": client, **change}
        socket.send(json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}))
        error = json.loads(socket.recv(timeout=5))["error"]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert error["message"].startswith(f"invalid connect params: {text}")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_device_token_field_is_unknown_to_the_oldest_release_only() -> None:
    for release in RELEASES:
        with BlockingEmbeddedGateway(release=release) as gateway:
            known = "deviceToken" in gateway.profile.auth_keys
            assert known is (release != "2026.2.17")


class Forger(RawDevice):
    """A device whose proof is wrong in one place."""

    def __init__(self, **wrong: Any) -> None:
        super().__init__()
        self.wrong = wrong

    def proof(self, params: Any, challenge: Any) -> dict[str, Any]:
        return {**super().proof(params, challenge), **self.wrong}


@pytest.mark.parametrize(
    ("wrong", "code", "text"),
    [
        ({"signature": "A" * 86}, "DEVICE_AUTH_SIGNATURE_INVALID", "device signature invalid"),
        ({"nonce": "other"}, "DEVICE_AUTH_NONCE_MISMATCH", "device nonce mismatch"),
        ({"signedAt": 1}, "DEVICE_AUTH_SIGNATURE_EXPIRED", "device signature expired"),
        ({"id": "0" * 64}, "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device identity mismatch"),
        ({"publicKey": "abc"}, "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device identity mismatch"),
    ],
)
def test_forged_proofs(gateway: BlockingEmbeddedGateway, wrong: dict[str, Any], code: str, text: str) -> None:
    refusal = refused(gateway, device=Forger(**wrong))
    assert refusal.error["message"] == text
    if gateway.profile.detail_codes:
        assert refusal.error["details"]["code"] == code


def test_a_new_device_waits_for_approval_where_nobody_approves_for_it() -> None:
    with BlockingEmbeddedGateway(auto_approve=False) as gateway:
        device = RawDevice()
        first, second = (refused(gateway, device=device) for _ in range(2))
        details = first.error["details"]
        assert (first.error["code"], details["code"], details["reason"]) == (
            "NOT_PAIRED",
            "PAIRING_REQUIRED",
            "not-paired",
        )
        assert second.error["details"]["requestId"] == details["requestId"]
        assert details["requestId"] in first.close_reason
        assert [request.device_id for request in gateway.pending] == [device.device_id]
        gateway.approve()
        client = connected(gateway, device=device)
        assert client.hello["auth"]["deviceToken"]
        client.close()


def test_an_admin_approves_by_request_and_is_told_of_both() -> None:
    with BlockingEmbeddedGateway(auto_approve=False) as gateway:
        admin_device = RawDevice()
        refused(gateway, device=admin_device)
        gateway.approve()
        with raw(gateway, device=admin_device) as admin:
            device = RawDevice()
            refused(gateway, device=device)
            asked = admin.next_event("device.pair.requested")["payload"]
            assert asked["deviceId"] == device.device_id
            assert [one["requestId"] for one in admin.request("device.pair.list")["pending"]] == [asked["requestId"]]
            admin.request("device.pair.approve", {"requestId": asked["requestId"]})
            assert admin.next_event("device.pair.resolved")["payload"]["decision"] == "approved"
            with pytest.raises(RawError, match="unknown requestId"):
                admin.request("device.pair.reject", {"requestId": asked["requestId"]})
        connected(gateway, device=device).close()


def test_clients_of_another_machine_have_no_scopes_without_a_device() -> None:
    with BlockingEmbeddedGateway(auto_approve=False) as gateway, raw(gateway, device=None) as client:
        assert client.hello["auth"]["scopes"] == []


@pytest.mark.parametrize("release", ["2026.4.15", "2026.6.1"])
def test_more_scopes_than_approved_need_an_approval(release: str) -> None:
    device = RawDevice()
    with BlockingEmbeddedGateway(release=release) as gateway:
        connected(gateway, device=device, scopes=["operator.read"], **CLI).close()
        refusal = refused(gateway, device=device, scopes=["operator.write"], **CLI)
        assert refusal.error["details"]["reason"] == "scope-upgrade"


@pytest.mark.parametrize("release", ["2026.2.17", "2026.9.6"])
def test_more_scopes_than_approved_are_granted_and_void_the_old_token(release: str) -> None:
    device = RawDevice()
    with BlockingEmbeddedGateway(release=release) as gateway:
        first = connected(gateway, device=device, scopes=["operator.read"], **CLI)
        second = connected(gateway, device=device, scopes=["operator.read", "operator.write"], **CLI)
        old = first.hello["auth"]["deviceToken"]
        assert second.hello["auth"]["deviceToken"] != old
        refused(gateway, device=device, token=old, scopes=["operator.read"], **CLI)
        first.close()
        second.close()


@pytest.mark.parametrize("release", RELEASES)
def test_rotating_a_token_ends_the_devices_connection_except_on_the_oldest_release(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway:
        device = RawDevice()
        victim, admin = connected(gateway, device=device, **CLI), connected(gateway, **CLI)
        result = admin.request("device.token.rotate", {"deviceId": device.device_id, "role": "operator"})
        assert ("token" in result) is not PROFILES[release].rotation_hides_token
        if not PROFILES[release].rotation_closes:
            assert victim.request("sessions.list", {})["sessions"] == []
            victim.close()
        else:
            with pytest.raises(ConnectionClosed) as closed:
                victim.next_event("nothing", timeout=5)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "device removed")
        admin.close()


def test_too_many_wrong_attempts_lock_everybody_out() -> None:
    with BlockingEmbeddedGateway(max_attempts=2) as gateway:
        for _ in range(2):
            assert "mismatch" in refused(gateway, token="wrong", device=None).error["message"]
        error = refused(gateway).error
        assert error["details"]["code"] == "AUTH_RATE_LIMITED"
        assert error["retryable"] is True
        assert 0 < error["retryAfterMs"] <= 300_000


def test_a_lockout_ends() -> None:
    limit = RateLimit(max_attempts=2, lockout=60.0)
    limit.failed(1000.0)
    assert limit.wait(1000.0) == 0
    limit.failed(1001.0)
    assert [limit.wait(now) for now in (1001.0, 1060.0, 1061.0)] == [60.0, 1.0, 0]
    with BlockingEmbeddedGateway(max_attempts=1, lockout=0.0) as gateway:
        assert "mismatch" in refused(gateway, token="wrong", device=None).error["message"]
        connected(gateway).close()


@pytest.mark.parametrize("release", RELEASES)
def test_a_foreign_origin_is_refused_except_on_the_oldest_release(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway:
        foreign = {"headers": {"Origin": "https://elsewhere.example"}}
        if release == "2026.2.17":
            connected(gateway, **foreign).close()
        else:
            assert refused(gateway, **foreign).error["details"]["code"] == "CONTROL_UI_ORIGIN_NOT_ALLOWED"


def test_a_proxy_costs_the_upgrade_or_loopbacks_privileges() -> None:
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    with BlockingEmbeddedGateway(release="2026.9.6") as gateway, pytest.raises(InvalidStatus) as status:
        connected(gateway, headers=proxied)
    assert status.value.response.status_code == 403
    with BlockingEmbeddedGateway(release="2026.6.1") as gateway:
        assert refused(gateway, headers=proxied).error["details"]["code"] == "PAIRING_REQUIRED"


def test_a_client_that_never_connects_is_closed() -> None:
    with BlockingEmbeddedGateway(handshake_timeout=0.01) as gateway, connect(gateway.url, proxy=None) as socket:
        socket.recv(timeout=5)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "")


def test_what_was_seen_holds_no_secret() -> None:
    with BlockingEmbeddedGateway() as gateway:
        connected(gateway).close()
        refused(gateway, token="wrong", device=None)
        accepted, second = gateway.seen.connects
        assert accepted.refused is None
        assert second.refused is not None
        assert accepted.params["auth"] == {"token": "<token>"}
        assert accepted.params["device"]["signature"] == "<signature>"
        assert str(gateway.token) not in repr(gateway.seen) + repr(gateway)


def test_parameters_that_no_gateway_has() -> None:
    with pytest.raises(UsageError, match="protocol 5"):
        EmbeddedGateway(protocol=5)
    with pytest.raises(UsageError, match="is not known"):
        EmbeddedGateway(release="2027.1.1")
    with pytest.raises(UsageError, match="speaks protocol 3"):
        EmbeddedGateway(protocol=4, release="2026.4.15")
    with pytest.raises(UsageError, match="needs a token"):
        EmbeddedGateway(token="")
    assert isinstance(EmbeddedGateway().faults, Faults)


def test_auth_none_lets_backend_clients_in_and_asks_others_for_a_device() -> None:
    with BlockingEmbeddedGateway(auth="none") as gateway:
        connected(gateway, token=None, device=None).close()
        assert "device identity required" in refused(gateway, token=None, device=None, **CLI).error["message"]
        connected(gateway, token=None, **CLI).close()
