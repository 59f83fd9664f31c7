"""Getting in: credentials, devices, scopes, versions."""

from __future__ import annotations

import pytest

from openclaw_client import ConnectionState, MemoryIdentityStore
from openclaw_client.errors import AuthRejected, MissingScope
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face


class CountingStore(MemoryIdentityStore):
    """Remembers what it was given to keep."""

    def __init__(self) -> None:
        super().__init__(device_store().load())
        self.saved: list[str] = []

    def save_token(self, gateway: str, device_id: str, token: object) -> None:  # type: ignore[override]
        super().save_token(gateway, device_id, token)  # type: ignore[arg-type]
        self.saved.append(token.token)  # type: ignore[attr-defined]


async def test_the_negotiated_version_is_the_release_s(face: Face, target: Target) -> None:
    async with face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT) as client:
        assert client.connected
        assert client.state is ConnectionState.CONNECTED
        assert client.negotiated_protocol == target.protocol
        assert client.hello.policy.tick_interval == 30
    assert client.state is ConnectionState.DISCONNECTED


async def test_a_device_gets_what_it_asks_for(face: Face, target: Target) -> None:
    scopes = ["operator.read", "operator.write"]
    client = face.client(target.url, token=target.token, identity=device_store(), scopes=scopes, timeouts=PATIENT)
    async with client:
        assert set(client.hello.granted_scopes) == set(scopes)
        page = await client.chat_history(session_key="main")
        assert isinstance(page.messages, list)


async def test_the_device_token_is_kept_and_used_without_the_shared_one(face: Face, target: Target) -> None:
    store = CountingStore()
    async with face.client(target.url, token=target.token, identity=store, timeouts=PATIENT):
        assert len(store.saved) == 1
    async with face.client(target.url, identity=store, timeouts=PATIENT) as client:
        assert client.connected
        assert isinstance((await client.chat_history(session_key="main")).messages, list)
    assert len(store.saved) == 1


async def test_without_a_device_the_scopes_depend_on_the_wire_version(face: Face, target: Target) -> None:
    client = face.client(target.url, token=target.token, identity=False, timeouts=PATIENT)
    if target.protocol == 4:
        async with client:
            assert "operator.write" in client.hello.granted_scopes
            assert isinstance((await client.chat_history(session_key="main")).messages, list)
        return
    with pytest.raises(MissingScope) as caught:
        await client.connect()
    assert caught.value.granted == ()
    assert "operator.write" in caught.value.missing
    assert "device identity" in str(caught.value)
    assert not client.connected


async def test_a_wrong_token_is_refused_once_and_not_shown(face: Face, target: Target) -> None:
    client = face.client(target.url, token="wrong-canary-token", identity=device_store(), timeouts=PATIENT)
    with pytest.raises(AuthRejected) as caught:
        await client.connect()
    assert caught.value.detail_code == "AUTH_TOKEN_MISMATCH"
    assert caught.value.close_code == 1008
    assert "wrong-canary-token" not in str(caught.value) + repr(caught.value)
    assert client.state is ConnectionState.PAUSED


async def test_a_wrong_password_is_refused_and_the_right_one_is_not(target: Target) -> None:
    # On one face: a password passes neither, and a second gateway costs half a minute.
    face = Face("async")
    with target.with_password() as (url, password):
        client = face.client(url, password="wrong", identity=device_store(), timeouts=PATIENT)
        with pytest.raises(AuthRejected) as caught:
            await client.connect()
        assert caught.value.detail_code == "AUTH_PASSWORD_MISMATCH"
        async with face.client(url, password=password, identity=device_store(), timeouts=PATIENT) as client:
            assert client.connected


async def test_a_request_without_its_scope_is_a_missing_scope(face: Face, target: Target, session: str) -> None:
    scopes = ["operator.read"]
    client = face.client(target.url, token=target.token, identity=device_store(), scopes=scopes, timeouts=PATIENT)
    async with client:
        with pytest.raises(MissingScope) as caught:
            await client.chat_send(session_key=session, message="stub:echo never")
        assert caught.value.method == "chat.send"
        assert caught.value.missing == ("operator.write",)
        assert caught.value.granted == ("operator.read",)
        assert client.connected


async def test_a_diagnosis_finds_every_step_in_order(face: Face, target: Target) -> None:
    client = face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT)
    reports = await client.diagnose(chat="hi")
    assert [report.stage for report in reports if report.result != "ok"] == ["tls"], reports
    assert [report.stage for report in reports][-4:] == ["connect", "scopes", "call", "chat"]
    assert f"wire v{target.protocol}" in reports[5].detail


async def test_a_diagnosis_names_a_wrong_token(face: Face, target: Target) -> None:
    client = face.client(target.url, token="wrong", identity=device_store(), timeouts=PATIENT)
    failed = (await client.diagnose())[-1]
    assert (failed.stage, type(failed.error)) == ("connect", AuthRejected)
    assert failed.error.remedy
