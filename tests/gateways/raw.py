"""A minimal gateway client over `websockets`: the harness's own eyes, and an independent witness in tests.

Shares no code with the package under test, on purpose. Knows the handshake, requests and chat events of wire
protocols 3 and 4; refuses to know reconnects, retries and the differences between releases. Blocking; one thread at
a time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

Frame = dict[str, Any]

ALL_SCOPES = ("operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing")
TERMINAL_STATES = frozenset({"final", "aborted", "error"})
MAX_FRAME = 64 * 1024 * 1024
"""Bytes. Above the 25 MiB of every gateway's policy: the witness must see what the client under test may refuse."""

_SECRETS = frozenset({"token", "password", "deviceToken", "bootstrapToken", "signature", "publicKey"})


class RawRefused(Exception):
    """The gateway did not give hello-ok: `error` is from its answer, `close_code` and `close_reason` followed it."""

    def __init__(self, error: Frame, close_code: int | None, close_reason: str) -> None:
        super().__init__(f"no hello-ok: {error or 'no answer'}; closed with {close_code} {close_reason!r}")
        self.error = error
        self.close_code = close_code
        self.close_reason = close_reason


class RawError(Exception):
    """A request was answered with `ok: false`; `response` is the whole frame."""

    def __init__(self, method: str, response: Frame) -> None:
        super().__init__(f"{method}: {response.get('error')}")
        self.response = response


class RawDevice:
    """A device identity with a key of its own, forgotten with the object."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes_raw()
        self.device_id = hashlib.sha256(public).hexdigest()
        self.public_key = _base64url(public)

    def proof(self, params: Mapping[str, Any], challenge: Mapping[str, Any]) -> Frame:
        """The `device` object of these connect params: payload version 2, the only one that every release accepts."""
        nonce, signed_at = challenge["nonce"], challenge["ts"]
        client, auth = params["client"], params["auth"]
        signed = (
            "v2", self.device_id, client["id"], client["mode"], params["role"], ",".join(params["scopes"]),
            str(signed_at), auth.get("token", ""), nonce,
        )  # fmt: skip
        signature = _base64url(self._key.sign("|".join(signed).encode()))
        proof = {"id": self.device_id, "publicKey": self.public_key, "signature": signature}
        return {**proof, "signedAt": signed_at, "nonce": nonce}


@dataclass(frozen=True, slots=True)
class RawRun:
    """What a connection saw of one chat run: `events` are the payloads of its chat events, the terminal one last."""

    run_id: str
    events: list[Frame] = field(repr=False)

    @property
    def state(self) -> str:
        """`final`, `aborted` or `error`."""
        return str(self.events[-1]["state"])

    @property
    def deltas(self) -> list[Frame]:
        """The payloads of the deltas."""
        return [event for event in self.events if event["state"] == "delta"]

    @property
    def text(self) -> str:
        """The text of the terminal event; empty when it has no message."""
        return text_of(self.events[-1].get("message"))


@dataclass(kw_only=True)
class RawClient:
    """One connection. `with RawClient(url, token=…) as client:` connects and closes.

    Has a device identity unless `device` is None: gateways of protocol 3 give scopes to nobody else.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    device: RawDevice | None = field(default_factory=RawDevice)
    scopes: Sequence[str] = ALL_SCOPES
    caps: Sequence[str] = ()
    client_id: str = "gateway-client"
    client_mode: str = "backend"
    role: str = "operator"
    commands: Sequence[str] = ()
    """What a node offers; nothing is sent where it is empty."""
    display_name: str | None = None
    protocols: tuple[int, int] = (3, 4)
    headers: Mapping[str, str] = field(default_factory=dict)
    on_frame: Callable[[Literal["sent", "received"], Frame], None] | None = None
    """Sees every frame in both directions, in order; for recordings, see `without_secrets`."""

    hello: Frame = field(default_factory=dict, init=False, repr=False)
    events: deque[Frame] = field(default_factory=deque, init=False, repr=False)
    """Event frames that arrived and nobody took yet."""
    _socket: ClientConnection | None = field(default=None, init=False, repr=False)
    _requests: int = field(default=0, init=False, repr=False)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def connect(self, timeout: float = 15.0) -> Frame:
        """Do the handshake; returns the payload of hello-ok.

        Raises `RawRefused`; when no WebSocket opens, `OSError` (`TimeoutError` included) or websockets'
        `InvalidHandshake`.
        """
        # compression off: recordings and byte counts are those of the protocol itself
        opening = connect(
            self.url, open_timeout=timeout, close_timeout=2, max_size=MAX_FRAME, compression=None, proxy=None,
            ping_interval=None, additional_headers=self.headers,
        )  # fmt: skip
        # Entered here and left in close(): websockets wants a context manager, this class is one itself.
        self._socket = opening.__enter__()
        try:
            return self._handshake(time.monotonic() + timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; harmless when there is none."""
        if self._socket is not None:
            self._socket.close()

    def send(self, frame: Frame) -> None:
        """Send any JSON object."""
        if self.on_frame is not None:
            self.on_frame("sent", frame)
        self._connected.send(json.dumps(frame))

    def request(self, method: str, params: Frame | None = None, *, timeout: float = 30.0) -> Frame:
        """Call a method; returns the payload. Raises `RawError`, `TimeoutError`, websockets' `ConnectionClosed`."""
        response = self._call(method, params, time.monotonic() + timeout)
        if not response["ok"]:
            raise RawError(method, response)
        payload: Frame = response.get("payload") or {}
        return payload

    def next_event(self, name: str | None = None, *, timeout: float = 30.0) -> Frame:
        """The oldest event frame (of this name; others are dropped). Raises like `request`."""
        deadline = time.monotonic() + timeout
        while True:
            while self.events:
                event = self.events.popleft()
                if name in (None, event["event"]):
                    return event
            self._receive(deadline)

    def chat_send(self, session_key: str, message: str, **params: Any) -> str:
        """Send a message; returns the run's id. Its events are in `events`, see `follow`. Raises like `request`."""
        given = {"sessionKey": session_key, "message": message, "idempotencyKey": uuid.uuid4().hex, **params}
        return str(self.request("chat.send", given).get("runId", ""))

    def follow(
        self, run_id: str, *, timeout: float = 60.0, until: Callable[[list[Frame]], bool] | None = None
    ) -> RawRun:
        """Wait for the terminal chat event of this run, or until `until(payloads so far)`. Raises like `request`."""
        deadline = time.monotonic() + timeout
        seen: list[Frame] = []
        while True:
            payload: Frame = self.next_event("chat", timeout=deadline - time.monotonic())["payload"]
            if payload["runId"] != run_id:
                continue
            seen.append(payload)
            if payload["state"] in TERMINAL_STATES or (until is not None and until(seen)):
                return RawRun(run_id, seen)

    def chat(self, session_key: str, message: str, *, timeout: float = 60.0, **params: Any) -> RawRun:
        """Send a message and wait for the end of its run. Raises like `request`."""
        return self.follow(self.chat_send(session_key, message, **params), timeout=timeout)

    @property
    def _connected(self) -> ClientConnection:
        if self._socket is None:
            raise RuntimeError("this client is not connected; call connect() first")
        return self._socket

    def _handshake(self, deadline: float) -> Frame:
        error: Frame = {}
        try:
            while not (self.events and self.events[0]["event"] == "connect.challenge"):
                self._receive(deadline)
            response = self._call("connect", self._connect_params(self.events.popleft()["payload"]), deadline)
            if response["ok"]:
                self.hello = response["payload"]
                return self.hello
            error = response["error"]
            while True:  # the gateway closes after a refusal, with a code worth reporting
                self._receive(deadline)
        except ConnectionClosed as closed:
            close = closed.rcvd
            raise RawRefused(error, close.code if close else None, close.reason if close else "") from None

    def _connect_params(self, challenge: Frame) -> Frame:
        auth = {"token": self.token, "password": self.password}
        client = {"id": self.client_id, "version": "1.0.0", "platform": "linux", "mode": self.client_mode}
        if self.display_name is not None:
            client["displayName"] = self.display_name
        params: Frame = {
            "minProtocol": self.protocols[0],
            "maxProtocol": self.protocols[1],
            "client": client,
            "role": self.role,
            "scopes": list(self.scopes),
            "caps": list(self.caps),
            "auth": {name: value for name, value in auth.items() if value is not None},
        }
        if self.commands:
            params["commands"] = list(self.commands)
        if self.device is not None:
            params["device"] = self.device.proof(params, challenge)
        return params

    def _call(self, method: str, params: Frame | None, deadline: float) -> Frame:
        self._requests += 1
        request_id = f"raw-{self._requests}"
        frame: Frame = {"type": "req", "id": request_id, "method": method}
        self.send(frame if params is None else {**frame, "params": params})
        while (response := self._receive(deadline)) is None or response.get("id") != request_id:
            pass
        return response

    def _receive(self, deadline: float) -> Frame | None:
        """Read one frame. An event goes to `events`; a response is returned."""
        data = self._connected.recv(timeout=max(deadline - time.monotonic(), 0.0))
        frame: Frame = json.loads(data)
        if self.on_frame is not None:
            self.on_frame("received", frame)
        if frame.get("type") == "event":
            self.events.append(frame)
            return None
        return frame


def is_reachable(client: RawClient) -> bool:
    """Whether this client gets hello-ok now. Raises `RawRefused` when trying again later would not help."""
    try:
        client.connect()
    except (OSError, InvalidHandshake):
        return False
    except RawRefused as refused:
        # A gateway that is starting or stopping says so, or hangs up without an answer.
        if refused.error and not refused.error.get("retryable"):
            raise
        return False
    finally:
        client.close()
    return True


def text_of(message: Any) -> str:
    """The text of a chat message, whose content is a string or a list of blocks; empty for None."""
    content = (message or {}).get("content", "")
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content if block.get("type") == "text")


def without_secrets(frame: Any) -> Any:
    """A copy of a frame in which every credential is replaced by its name in angle brackets."""
    if isinstance(frame, dict):
        return {
            key: f"<{key}>" if key in _SECRETS and isinstance(value, str) else without_secrets(value)
            for key, value in frame.items()
        }
    return [without_secrets(item) for item in frame] if isinstance(frame, list) else frame


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
