"""connect.challenge, the parameters of `connect`, and hello-ok.

The base set of connect parameters is what all releases from 2026.2.17 to 2026.9.6 accept: every object is closed there,
and one key too many costs the connection.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, Protocol, TypeVar

import msgspec

from openclaw_client.errors.peer_text import cut, one_line
from openclaw_client.wire.frames import UNDECODABLE
from openclaw_client.wire.limits import DEFAULT_TICK_INTERVAL, MAX_FRAME_BYTES, PROTOCOL_MAX, PROTOCOL_MIN


class Challenge(msgspec.Struct, frozen=True):
    """ts is the gateway's clock in milliseconds; the device signature uses it, never the local clock."""

    nonce: str
    ts: int | None = None


class ClientFields(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """`client` of connect. id and mode are closed enumerations of the gateway."""

    id: str
    version: str
    platform: str
    mode: str
    display_name: str | None = None
    device_family: str | None = None
    instance_id: str | None = None


class DeviceProof(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """`device` of connect: base64url without padding, signed_at as in the challenge."""

    id: str
    public_key: str
    signature: str
    signed_at: int
    nonce: str

    def __repr__(self) -> str:
        return f"DeviceProof(id={self.id!r}, signature=…)"


class AuthFields(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """`auth` of connect. 2026.2.17 knows `token` and `password` only."""

    token: str | None = None
    device_token: str | None = None
    bootstrap_token: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        names = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"AuthFields({', '.join(f'{name}=…' for name in names)})"


class ConnectParams(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """Parameters of connect. Versions stand without a default: they must be sent always.

    commands: what a node can be asked to do; only a node has any.
    """

    min_protocol: int
    max_protocol: int
    client: ClientFields
    role: str
    scopes: list[str]
    caps: list[str] = []
    commands: list[str] = []
    device: DeviceProof | None = None
    auth: AuthFields | None = None
    locale: str | None = None
    user_agent: str | None = None


def connect_params(
    *,
    client: ClientFields,
    role: str,
    scopes: tuple[str, ...],
    caps: tuple[str, ...],
    auth: AuthFields | None,
    commands: tuple[str, ...] = (),
) -> ConnectParams:
    """Parameters for the versions that this package speaks, not yet signed."""
    return ConnectParams(
        min_protocol=PROTOCOL_MIN,
        max_protocol=PROTOCOL_MAX,
        client=client,
        role=role,
        scopes=list(scopes),
        caps=list(caps),
        commands=list(commands),
        auth=auth,
    )


class ServerInfo(msgspec.Struct, rename="camel", frozen=True):
    version: str = ""
    conn_id: str = ""
    boot_id: str | None = None


class Features(msgspec.Struct, frozen=True):
    """What the gateway advertises; it serves more than it advertises (chat.inject is never listed)."""

    methods: list[str] = []
    events: list[str] = []
    capabilities: list[str] = []


class HelloAuth(msgspec.Struct, rename="camel", frozen=True):
    """scopes: of this connection where `method` is told (2026.9.6), else of the device token that comes with them."""

    role: str | None = None
    scopes: list[str] | None = None
    device_token: str | None = None
    issued_at_ms: float | None = None
    method: str | None = None

    @property
    def scopes_are_token_s(self) -> bool:
        """Whether `scopes` may be more than this connection asked for and has."""
        return self.method is None and self.device_token is not None

    def __repr__(self) -> str:
        token = "…" if self.device_token else None
        return f"HelloAuth(role={self.role!r}, scopes={self.scopes!r}, device_token={token})"


class AttachmentPolicy(msgspec.Struct, rename="camel", frozen=True):
    max_bytes: int | None = None
    max_image_bytes: int | None = None


class Policy(msgspec.Struct, rename="camel", frozen=True):
    """Limits of this connection, sizes in bytes, the tick interval in milliseconds as on the wire."""

    max_payload: int = MAX_FRAME_BYTES
    max_buffered_bytes: int | None = None
    tick_interval_ms: float = DEFAULT_TICK_INTERVAL * 1000
    attachments: AttachmentPolicy | None = None

    @property
    def tick_interval(self) -> float:
        """Seconds; at least one, whatever the gateway says, as in the reference client."""
        return max(self.tick_interval_ms / 1000, 1.0)


class SessionDefaults(msgspec.Struct, rename="camel", frozen=True):
    default_agent_id: str | None = None
    main_key: str | None = None
    main_session_key: str | None = None


class Snapshot(msgspec.Struct, rename="camel", frozen=True):
    session_defaults: SessionDefaults | None = None
    uptime_ms: float | None = None


class Hello(msgspec.Struct, rename="camel", frozen=True):
    """The part of hello-ok that this package looks into.

    auth is None where the gateway sent none: a v3 gateway does so for a client without a device, and then grants
    nothing (observed on 2026.2.17 and 2026.4.15).
    """

    protocol: int = 0
    server: ServerInfo = ServerInfo()
    features: Features = Features()
    auth: HelloAuth | None = None
    policy: Policy = Policy()
    snapshot: Snapshot = Snapshot()

    @property
    def granted_scopes(self) -> tuple[str, ...] | None:
        """The scopes that the gateway names; None where it names none. See `HelloAuth` for what they are those of."""
        if self.auth is None or self.auth.scopes is None:
            return None
        return tuple(self.auth.scopes)

    @property
    def release(self) -> tuple[int, ...] | None:
        """The gateway's release as numbers; None where it reports none, as 2026.2.17, which says "dev"."""
        return release_of(self.server.version)

    @property
    def takes_traceparent(self) -> bool:
        """Whether a request frame may carry a trace context: one key too many, and older gateways refuse the frame.

        No gateway advertises it. 2026.9.6 documents and takes it, 2026.6.1 does not (observed).
        """
        return self.release is not None and self.release >= (2026, 9, 6)

    def __repr__(self) -> str:
        return f"Hello(protocol={self.protocol}, version={self.server.version!r}, conn_id={self.server.conn_id!r})"


_RELEASE = re.compile(r"(\d{4})\.(\d{1,2})\.(\d{1,2})\b")


def release_of(version: str) -> tuple[int, int, int] | None:
    """The release that a gateway names, as numbers; None where it names none, such as "dev" of 2026.2.17."""
    match = _RELEASE.match(version)
    return (int(match[1]), int(match[2]), int(match[3])) if match is not None else None


MAX_NAME = 128
"""Characters of a version or of a connection's id that are kept; gateways' have 12 and 36."""
MAX_COMMON = 64
"""Values kept for sharing, six of each release and configuration; a process rarely meets more than a few."""
MAX_SHARED = 65_536
"""Bytes of a hello whose values are shared: gateways' have 15 KB, and what is shared outlives the connection."""
MAX_NONCE = 1024
"""Characters of a challenge's nonce, which goes back within the connect; gateways' have 36."""

_T = TypeVar("_T")
_common: dict[Hashable, Any] = {}


class _Share(Protocol):
    def __call__(self, key: Hashable, value: _T, /) -> _T: ...


_hello = msgspec.json.Decoder(Hello)
_challenge = msgspec.json.Decoder(Challenge)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_sections: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(kind)
    for name, kind in (
        ("protocol", int),
        ("server", ServerInfo),
        ("features", Features),
        ("auth", HelloAuth),
        ("policy", Policy),
        ("snapshot", Snapshot),
    )
}


def decode_challenge(payload: msgspec.Raw) -> Challenge | None:
    """The challenge; None where its nonce is not a usable string. A bad `ts` becomes None."""
    try:
        challenge = _challenge.decode(payload)
    except UNDECODABLE:
        return _challenge_without_ts(payload)
    if not _is_usable(challenge.nonce):
        return None
    if challenge.ts is not None and challenge.ts < 0:
        return Challenge(challenge.nonce)
    return challenge


def _challenge_without_ts(payload: msgspec.Raw) -> Challenge | None:
    try:
        nonce = msgspec.json.decode(_object.decode(payload)["nonce"])
    except (KeyError, *UNDECODABLE):
        return None
    return Challenge(nonce) if isinstance(nonce, str) and _is_usable(nonce) else None


def _is_usable(nonce: str) -> bool:
    return len(nonce) <= MAX_NONCE and bool(nonce.strip())


def decode_hello(payload: msgspec.Raw) -> Hello | None:
    """hello-ok; a section of a wrong shape falls back to its default. None where there is no protocol number."""
    hello: Hello | None
    try:
        hello = _hello.decode(payload)
    except UNDECODABLE:
        hello = _hello_by_sections(payload)
    if hello is None or hello.protocol < 1:
        return None
    return _slim(hello, len(bytes(payload)))


def _slim(hello: Hello, size: int) -> Hello:
    """The hello with one object for all that many connections have in common, the names of methods above all."""
    features, server = hello.features, hello.server
    share = _shared if size <= MAX_SHARED else _alone
    # They are shown in errors and logs, or compared.
    version, conn_id = (cut(one_line(text), MAX_NAME) for text in (server.version, server.conn_id))
    boot_id = server.boot_id[:MAX_NAME] if server.boot_id is not None else None
    names = tuple(features.methods), tuple(features.events), tuple(features.capabilities)
    defaults = hello.snapshot.session_defaults
    return msgspec.structs.replace(
        hello,
        server=msgspec.structs.replace(
            server, version=share(version, version), conn_id=conn_id, boot_id=share(boot_id, boot_id)
        ),
        features=share(names, features),
        policy=share(hello.policy, hello.policy),
        snapshot=hello.snapshot
        if defaults is None
        else msgspec.structs.replace(hello.snapshot, session_defaults=share(defaults, defaults)),
        auth=None if hello.auth is None else _slim_auth(hello.auth, share),
    )


def _slim_auth(auth: HelloAuth, share: _Share) -> HelloAuth:
    scopes = None if auth.scopes is None else tuple(auth.scopes)
    if auth.device_token is None and auth.issued_at_ms is None:
        return share((auth.role, scopes, auth.method), auth)
    return auth if auth.scopes is None else msgspec.structs.replace(auth, scopes=share(scopes, auth.scopes))


def _shared(key: Hashable, value: _T) -> _T:
    if len(_common) >= MAX_COMMON:
        _common.clear()
    # The type belongs to the key: an empty tuple of scopes is not one of something else.
    found: _T = _common.setdefault((type(value), key), value)
    return found


def _alone(_key: Hashable, value: _T) -> _T:
    return value


def _hello_by_sections(payload: msgspec.Raw) -> Hello | None:
    try:
        parts = _object.decode(payload)
    except UNDECODABLE:
        return None
    fields: dict[str, Any] = {}
    for name, decoder in _sections.items():
        if name in parts:
            try:
                fields[name] = decoder.decode(parts[name])
            except UNDECODABLE:
                continue
    return Hello(**fields)
