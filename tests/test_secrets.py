"""Canaries: secrets that are given to a client, or that a gateway echoes, are in no log line, exception or repr.

The dumps of local variables leave out the test's own frames, which called with the secret in their hands.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from openclaw_client import (
    AsyncConnectionManager,
    AsyncGatewayClient,
    ClientInfo,
    ConnectionManager,
    Credentials,
    DeviceIdentity,
    FileIdentityStore,
    GatewayClient,
    MemoryIdentityStore,
    ReconnectPolicy,
    SecretIdentityStore,
    Timeouts,
)
from openclaw_client.client.options import Settings, build_settings
from openclaw_client.errors import AuthRejected, GatewayError, IdentityError, RequestFailed, RunFailed, UsageError
from openclaw_client.identity.device import encode_base64url
from openclaw_client.identity.store import DeviceToken
from openclaw_client.policy.redact import Redactor
from openclaw_client.testing import BlockingEmbeddedGateway, EmbeddedGateway
from openclaw_client.transport.opening import Target
from tests.connect_proxy import ConnectProxy
from tests.faces import Face
from tests.files.front import Front, answer, sender

TOKEN = "canary-token-4f1c"
PASSWORD = "canary-password-77ab"
DEVICE_TOKEN = "canary-device-token-9e02"
QUERY = "canary-query-c3d4"
HEADER = "canary-header-51fe"
SEED = b"canary-seed-0123456789abcdefghij"
GATEWAY = "wss://gateway.example"
SECRETS = (TOKEN, PASSWORD, DEVICE_TOKEN, QUERY, HEADER, SEED.decode(), SEED.hex(), encode_base64url(SEED))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """All that is logged anywhere, whatever its level."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.threadName == "embedded-gateway":
                # The other side: its picows tells of the requests that it gets.
                return
            lines.append(f"{record.name} {record.getMessage()} {record.__dict__!r}")
            if record.exc_info and isinstance(record.exc_info[1], BaseException):
                lines.append("".join(traceback.format_exception(record.exc_info[1])))

    handler = Keep(level=1)
    known = [item for item in logging.Logger.manager.loggerDict.values() if isinstance(item, logging.Logger)]
    loggers = [logging.getLogger(), *known]
    levels = [(item, item.level) for item in loggers]
    for item in loggers:
        item.setLevel(1)
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)
    for item, level in levels:
        item.setLevel(level)


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def dump(error: BaseException) -> str:
    """All that a crash reporter would send: texts, fields, and the variables of every frame but the caller's."""
    parts, chain, seen = [], [error], set[int]()
    while chain:
        link = chain.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        parts += [str(link), repr(link), f"{link}", repr(getattr(link, "__dict__", None)), repr(link.args)]
        shown = traceback.TracebackException.from_exception(link, capture_locals=True)
        for frame in shown.stack:
            if frame.filename != __file__:
                parts.append(f"{frame.filename}:{frame.lineno} {frame.name} {frame.locals}")
        chain += [one for one in (link.__cause__, link.__context__) if one is not None]
    return "\n".join(parts)


def echo_everything(gateway: BlockingEmbeddedGateway) -> None:
    said = f"bad credentials: {TOKEN} {PASSWORD} {DEVICE_TOKEN} {QUERY} Bearer {HEADER}"
    gateway.faults.refuse(
        said,
        code="INVALID_REQUEST",
        details={"code": "AUTH_TOKEN_MISMATCH", "given": {"auth": [TOKEN, {DEVICE_TOKEN: PASSWORD}]}},
        reason=said,
    )


def refuse_upgrade(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.refuse_upgrade(403, f"no entry for {TOKEN} with {QUERY} and {HEADER}".encode())


def close_early(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.rewrite("connect.challenge", lambda frame: {**frame, "payload": {"nonce": None}})


def tell_no_time(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.rewrite("connect.challenge", lambda frame: {**frame, "payload": {"nonce": "n"}})


def challenge_at_length(gateway: BlockingEmbeddedGateway) -> None:
    long = "n" * 65_300
    gateway.faults.rewrite("connect.challenge", lambda frame: {**frame, "payload": {"nonce": long, "ts": 1}})


def cut_early(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.cut(before=1)


def say_nothing(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.withhold_challenge()


def be_gone(gateway: BlockingEmbeddedGateway) -> None:
    gateway.stop()


def nothing(gateway: BlockingEmbeddedGateway) -> None:
    """The credentials are wrong as they are."""


def options(**more: Any) -> dict[str, Any]:
    return {
        "token": TOKEN,
        "password": PASSWORD,
        "device_token": DEVICE_TOKEN,
        "identity": MemoryIdentityStore(DeviceIdentity.from_seed(SEED)),
        "headers": {"Authorization": f"Bearer {HEADER}"},
        "timeouts": Timeouts(connect=5, request=10),
        **more,
    }


@pytest.mark.parametrize(
    "spoil",
    [
        nothing,
        echo_everything,
        refuse_upgrade,
        close_early,
        tell_no_time,
        challenge_at_length,
        cut_early,
        say_nothing,
        be_gone,
    ],
)
async def test_no_secret_in_what_a_failed_connect_leaves(
    spoil: Callable[[BlockingEmbeddedGateway], None], face: Face, logged: list[str]
) -> None:
    with BlockingEmbeddedGateway() as gateway:
        spoil(gateway)
        timeouts = Timeouts(connect=1, request=5) if spoil is say_nothing else Timeouts(connect=5, request=5)
        client = face.client(f"{gateway.url}/?token={QUERY}", **options(timeouts=timeouts))
        with pytest.raises(GatewayError) as caught:
            await client.connect()
        await client.disconnect()
    assert not leaks(dump(caught.value))
    assert not leaks("\n".join(logged))
    assert any("openclaw_client" in line for line in logged)


async def test_no_secret_in_what_a_connection_leaves(face: Face, logged: list[str]) -> None:
    def fail(frame: dict[str, Any]) -> dict[str, Any]:
        error = {"code": "INVALID_REQUEST", "message": f"no: {TOKEN}", "details": {"seen": [{"query": QUERY}]}}
        return {**frame, "ok": False, "error": error, "payload": {"auth": {"token": TOKEN}}}

    def fail_run(frame: dict[str, Any]) -> dict[str, Any]:
        payload = {**frame["payload"], "state": "error", "errorMessage": f"provider got {TOKEN}"}
        return {**frame, "payload": payload}

    with BlockingEmbeddedGateway(token=TOKEN) as gateway:
        client = face.client(f"{gateway.url}/?token={QUERY}", **options(password=None, device_token=None))
        await client.connect()
        assert not leaks(f"{client!r} {client} {client.hello!r}")
        assert (await client.chat_send(session_key="main", message="hi")).text
        gateway.faults.rewrite("sessions.list", fail)
        with pytest.raises(RequestFailed) as refused:
            await client.request("sessions.list")
        gateway.faults.rewrite(lambda frame: frame.name == "chat" and frame.field("state") == "final", fail_run)
        with pytest.raises(RunFailed) as failed:
            await client.chat_send(session_key="main", message="hi")
        await client.disconnect()
    for error in (refused.value, failed.value):
        assert "…" in str(error)
        assert not leaks(dump(error))
    assert refused.value.details == {"seen": [{"query": "…"}]}
    assert not leaks("\n".join(logged))


class Silent(ConnectProxy):
    """silent: says nothing to those that come from then on."""

    silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.silent:
            await reader.read()
            writer.close()
        else:
            await super().serve(reader, writer)


async def test_no_secret_in_what_a_failed_download_leaves(face: Face, logged: list[str]) -> None:
    answers = [
        answer(404),
        answer(502),
        answer(200, body=b"hello")[:-2],
        b"hello\r\n\r\n",
        b"HTTP/1.1 " + bytes(200_000),
    ]
    proxy, failed = Silent(), list[GatewayError]()

    async def fail(client: Any, **options: Any) -> None:
        with pytest.raises(GatewayError) as caught:
            await client.download((await client.files(session_key="web"))[0], **options)
        failed.append(caught.value)

    with BlockingEmbeddedGateway(sender, token=TOKEN, release="2026.9.6") as gateway:
        async with Front(gateway.url) as front, proxy:
            way = proxy.url.replace("//", f"//me:{PASSWORD}@")
            given = options(password=None, device_token=None, proxy=way)
            async with face.client(f"{front.url}/?token={QUERY}", **given) as client:
                await client.chat_send(session_key="web", message="report")
                for front.answers in ([one] for one in answers):
                    await fail(client)
                await fail(client, max_bytes=10)
                proxy.refuse = True
                await fail(client)
                proxy.silent = True
                await fail(client, timeout=0.2)
                proxy.close()
                await fail(client)
                tickets = [head.split()[1].decode().partition("mediaTicket=")[2] for head in front.gets]
    assert len(tickets) == len(answers)
    for error in failed:
        dumped = dump(error)
        assert not leaks(dumped), error
        assert not any(ticket in dumped for ticket in tickets), error
    assert not leaks("\n".join(logged))


class Signing(DeviceIdentity):
    """Remembers what it signed."""

    made: ClassVar[list[str]] = []

    def sign(self, payload: str) -> str:
        self.made.append(super().sign(payload))
        return self.made[-1]


async def test_no_signature_and_no_issued_token_in_logs_and_errors(face: Face, logged: list[str]) -> None:
    def echo_signature(frame: dict[str, Any]) -> dict[str, Any]:
        said = f"device signature invalid: {Signing.made[-1]}"
        details = {"code": "DEVICE_AUTH_INVALID", "seen": [{"signature": Signing.made[-1]}]}
        return {**frame, "ok": False, "error": {"code": "INVALID_REQUEST", "message": said, "details": details}}

    identity = Signing(SEED, "linux")
    store = MemoryIdentityStore(identity)
    # A release whose hello is short: of the newest one's the log shows the beginning, and the token stands at its end.
    with BlockingEmbeddedGateway(token=TOKEN, release="2026.6.1") as gateway:
        async with face.client(gateway.url, token=TOKEN, identity=store):
            pass
        issued = store.load_token(gateway.url, identity.id, "operator")
        gateway.faults.rewrite("connect", echo_signature)
        client = face.client(gateway.url, token=TOKEN, identity=store)
        with pytest.raises(AuthRejected, match="signature invalid") as caught:
            await client.connect()
        await client.disconnect()
    assert issued is not None
    lines = "\n".join(logged)
    for secret in (issued.token, *Signing.made):
        assert secret not in dump(caught.value)
        assert secret not in lines
    # All of it was logged, and only the secrets were not.
    for part in ('"method":"connect"', '"signature":"…"', '"deviceToken":"…"', f'"id":"{identity.id}"'):
        assert part in lines


@pytest.mark.parametrize("kind", [AsyncGatewayClient, GatewayClient])
@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        (f"ws://user:{PASSWORD}@127.0.0.1:1", {}),
        (f"ws://example.com/?token={QUERY}", {}),
        (f"ftp://127.0.0.1/?token={QUERY}", {}),
        (f"ws://[{QUERY}", {}),
        ("ws://127.0.0.1:1", {"token": TOKEN + "\nmore"}),
        ("ws://127.0.0.1:1", {"password": PASSWORD.encode()}),
        ("ws://127.0.0.1:1", {"proxy": f"gopher://me:{PASSWORD}@127.0.0.1"}),
        ("ws://127.0.0.1:1", {"proxy": f"http://me:{PASSWORD}/more@127.0.0.1:3128"}),
        ("ws://127.0.0.1:1", {"proxy": f"http://me:{PASSWORD}@127.0.0.1:99999"}),
        ("ws://127.0.0.1:1", {"proxy": f"http://me:{PASSWORD}@a..b:3128"}),
        ("ws://127.0.0.1:1", {"proxy": f"http://me:{PASSWORD}@[::1"}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"tls_fingerprint": "00"}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"headers": {"Authorization": f"Bearer {HEADER}\r\nmore"}}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"headers": [f"Authorization: Bearer {HEADER}"]}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"identity": "a path"}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"timeouts": 5}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"role": ""}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"sessions": "main"}),
        (f"ws://127.0.0.1:1/?token={QUERY}", {"sessions": ["main", ""]}),
    ],
)
def test_no_secret_in_a_refused_argument(kind: Callable[..., Any], url: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        kind(url, **options(**wrong))
    assert not leaks(dump(caught.value))


PROXY = f"http://me:{PASSWORD}@10.0.0.1:3128"


@pytest.mark.parametrize(
    "make",
    [
        lambda: GatewayClient(tokn=TOKEN),
        lambda: GatewayClient(f"ws://127.0.0.1:1/?token={QUERY}", **options(sessions=Awkward())),
        lambda: Credentials("", **{**options(), "timeouts": None}),
        lambda: Credentials("", token=TOKEN, password=PASSWORD),
        lambda: Credentials(token=TOKEN, headers={"X": HEADER}),
        lambda: DeviceIdentity(SEED[1:], "linux"),
        lambda: DeviceIdentity(SEED, ""),
        lambda: DeviceIdentity.from_seed(SEED, platform="a\nb"),
        lambda: ConnectionManager(lambda _: None, max_connections=0, proxy=PROXY),
        lambda: AsyncConnectionManager(lambda _: None, idle_timeout=-1, proxy=PROXY),
        lambda: EmbeddedGateway(token=TOKEN, release="1999.1.1"),
        lambda: EmbeddedGateway(token="", password=PASSWORD, auth="token"),
        lambda: BlockingEmbeddedGateway(token=TOKEN, release="1999.1.1"),
    ],
)
def test_no_secret_in_what_a_constructor_raises(make: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        make()
    assert not leaks(dump(caught.value))


class Awkward:
    """Raises what no constructor expects."""

    def __iter__(self) -> Any:
        raise RuntimeError("no")


async def test_no_secret_in_what_a_manager_raises_of_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", HEADER)
    given = Credentials(f"ftp://127.0.0.1/?token={QUERY}", token=TOKEN)
    with pytest.raises(UsageError) as caught:
        ConnectionManager(lambda _: given, proxy=PROXY).connection_for("ann")
    assert not leaks(dump(caught.value))
    with pytest.raises(UsageError) as caught:
        await AsyncConnectionManager(lambda _: given, proxy=PROXY).connection_for("ann")
    assert not leaks(dump(caught.value))


def settings() -> Settings:
    unset = {"role": "operator", "scopes": None, "caps": None}
    unset |= {"reconnect": ReconnectPolicy(), "client_info": ClientInfo()}
    rest = {"tls_fingerprint": None, "ssl_context": None, "proxy": f"http://me:{PASSWORD}@10.0.0.1:3128"}
    return build_settings(f"ws://127.0.0.1:1/?token={QUERY}", **options(**unset, **rest))


def test_no_secret_in_a_repr() -> None:
    made = settings()
    target = Target(made.url.text, made.url.redacted, headers=made.headers, proxy=made.proxy)
    clients = [kind(made.url.text, **options()) for kind in (AsyncGatewayClient, GatewayClient)]
    for thing in (made, made.url, made.credentials, made.store, target, Redactor(made.secrets), *clients):
        assert not leaks(f"{thing!r} {thing}")


def test_the_redactor_goes_into_everything() -> None:
    redactor = Redactor(settings().secrets)
    said = {"a": [TOKEN, {f"x {QUERY}": (1, None)}], HEADER: f"{PASSWORD}{DEVICE_TOKEN}"}
    assert redactor.value(said) == {"a": ["…", {"x …": (1, None)}], "…": "……"}
    assert Redactor(["abc", "long secret", "long"]).text("abc: long secret, long") == "abc: …, …"


def test_the_watch_sees_a_leak(logged: list[str]) -> None:
    logging.getLogger("openclaw_client.anything").log(1, "sent %s", TOKEN)
    assert leaks("\n".join(logged)) == [TOKEN]
    with pytest.raises(ValueError, match="no number") as caught:
        refuse(TOKEN)
    assert leaks(dump(caught.value)) == [TOKEN]


def refuse(text: str) -> None:
    raise ValueError(f"no number: {text}")


def spoil_key(path: Path) -> FileIdentityStore:
    store = FileIdentityStore(path)
    path.write_text(json.dumps({"version": 1, "deviceId": "x", "privateKey": encode_base64url(SEED)}))
    return store


def swap_key(path: Path) -> FileIdentityStore:
    """A whole file, with the key of another device."""
    store = FileIdentityStore(path)
    store.load()
    file = json.loads(path.read_text())
    path.write_text(json.dumps({**file, "privateKey": encode_base64url(SEED)}))
    return store


def spoil_tokens(path: Path) -> FileIdentityStore:
    store = FileIdentityStore(path)
    store.tokens_path.write_text(json.dumps({"version": 1, "tokens": [{"token": DEVICE_TOKEN}]}))
    return store


def full_disk(path: Path) -> FileIdentityStore:
    """The folder that holds the tokens' lock is gone, and a file stands in its place."""
    store = FileIdentityStore(path)
    store.save_token(GATEWAY, "device", DeviceToken(DEVICE_TOKEN, "operator"))
    store.tokens_path.with_name(f"{path.stem}.lock").unlink()
    store.tokens_path.with_name(f"{path.stem}.lock").mkdir()
    return store


@pytest.mark.parametrize(
    ("spoil", "call"),
    [
        (spoil_key, lambda store: store.load()),
        (swap_key, lambda store: store.load()),
        (spoil_tokens, lambda store: store.load_token(GATEWAY, "device", "operator")),
        (spoil_tokens, lambda store: store.save_token(GATEWAY, "device", DeviceToken(DEVICE_TOKEN, "operator"))),
        (full_disk, lambda store: store.save_token(GATEWAY, "device", DeviceToken(DEVICE_TOKEN + "2", "operator"))),
        (full_disk, lambda store: store.clear_token(GATEWAY, "device", "operator", DEVICE_TOKEN)),
    ],
)
def test_no_secret_in_what_a_store_raises(
    spoil: Callable[[Path], FileIdentityStore], call: Callable[[FileIdentityStore], object], tmp_path: Path
) -> None:
    store = spoil(tmp_path / "device.json")
    with pytest.raises(IdentityError) as caught:
        call(store)
    assert not leaks(dump(caught.value))


def test_no_secret_in_what_a_failed_write_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileIdentityStore(tmp_path / "device.json")

    def no_room(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(IdentityError, match="No space left") as caught:
        store.save_token(GATEWAY, "device", DeviceToken(DEVICE_TOKEN, "operator"))
    assert not leaks(dump(caught.value))


@pytest.mark.parametrize("secret", [encode_base64url(SEED) + ":a:b:c", encode_base64url(SEED) + "x", SEED.hex()])
def test_no_secret_in_what_a_mangled_device_secret_raises(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for read in (DeviceIdentity.from_secret, SecretIdentityStore):
        with pytest.raises(IdentityError) as caught:
            read(secret)
        assert not leaks(dump(caught.value))
    monkeypatch.setenv("DEVICE", secret)
    with pytest.raises(IdentityError) as caught:
        SecretIdentityStore.from_env("DEVICE")
    assert not leaks(dump(caught.value))


def test_no_secret_of_the_environment_in_a_refused_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setenv("OPENCLAW_GATEWAY_PASSWORD", PASSWORD)
    for name in ("HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    for kind in (AsyncGatewayClient, GatewayClient):
        with pytest.raises(IdentityError, match="no home folder") as caught:
            kind()
        assert not leaks(dump(caught.value))
