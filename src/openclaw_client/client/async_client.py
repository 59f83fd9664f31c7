"""The client for coroutines."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Self

from openclaw_client.chat.arguments import (
    InjectResult,
    inject_params,
    inject_result,
)
from openclaw_client.client.access import AsyncAccess
from openclaw_client.client.agent_files import AsyncAgentFiles
from openclaw_client.client.answering import ApprovalHandler, AsyncAnswering, QuestionHandler
from openclaw_client.client.callbacks import CallbackQueue
from openclaw_client.client.chatting import AsyncChatting
from openclaw_client.client.client_base import ClientBase
from openclaw_client.client.engine import Engine
from openclaw_client.client.options import CaFile, Identity, Proxy, build_settings
from openclaw_client.client.port import Port
from openclaw_client.client.scope import with_scope
from openclaw_client.client.shared_journal import JournalLike, SharedJournal, shared_journal
from openclaw_client.client.streams import AsyncStreams
from openclaw_client.connection.settings import ClientInfo, Settings
from openclaw_client.connection.supervisor import ConnectionState
from openclaw_client.errors import UsageError
from openclaw_client.errors.frames import without_frames
from openclaw_client.interactions.handling import TaskRunner
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.sessions.filter import SessionFilter, Sessions
from openclaw_client.wire.history import HistoryPage


class AsyncGatewayClient(AsyncChatting, AsyncStreams, AsyncAnswering, AsyncAgentFiles, AsyncAccess, ClientBase):
    """One user's connection to one gateway, for coroutines of one event loop.

    Nothing is opened before `connect()` or `async with`; the first of them binds the client to the running loop. Every
    method but the constructor must be called on that loop's thread. All times are in seconds. The parameters:

    url: `ws://`, `wss://`, `http://` or `https://`; None takes OPENCLAW_GATEWAY_URL or this machine's default port.
    token, password, device_token: credentials; None takes OPENCLAW_GATEWAY_TOKEN and OPENCLAW_GATEWAY_PASSWORD, and
    only for the URL that the environment names. user: any object, handed back to handlers. identity: an
    `IdentityStore`, a `DeviceIdentity`, None for the default file (created when absent), False for no device.
    sessions: whose messages and events are handed out: None for all of the gateway, else a predicate on the canonical
    key, or keys: 2026.8.1 and later then send nothing else. scopes: None for read, write and approvals ("operator." may
    be left out). caps: what the caller implements beside what this package does. on_approval, on_question: as the
    methods of these names. answers: "approvals", "questions", or both, where they are answered without a handler, from
    run events or by their ids; a gateway asks nobody who does not say so when connecting.
    tls_fingerprint: the SHA-256 of the gateway's certificate, which is then the only one trusted; None takes
    OPENCLAW_GATEWAY_TLS_FINGERPRINT, as with the credentials. ca_file: a PEM file of authorities, trusted beside the
    system's; None takes OPENCLAW_GATEWAY_CA_FILE. ssl_context: the caller's own. One of the three, and for wss:// only.
    application: a name that the keys of its runs begin with, for a program of several processes (docs/processes.md).
    journal: a path, a `SqliteJournal` or another `Journal`: what is sent and said is written down first, and survives
    this process (docs/durable.md). The user is a str then; a process has the file alone.
    proxy: a URL (`http://`, `https://`, `socks4://`, `socks5://`); None takes https_proxy, http_proxy, all_proxy and
    no_proxy from the environment, but never for this machine, private hosts or a pinned certificate; "" or False for
    none.

    Raises UsageError for arguments that cannot work.
    """

    @without_frames
    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        password: str | None = None,
        device_token: str | None = None,
        user: Any = None,
        identity: Identity = None,
        sessions: Sessions = None,
        role: str = "operator",
        scopes: Iterable[str] | None = None,
        caps: Iterable[str] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        reconnect: ReconnectPolicy = ReconnectPolicy(),  # noqa: B008 - frozen
        tls_fingerprint: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy = None,
        headers: Mapping[str, str] | None = None,
        client_info: ClientInfo = ClientInfo(),  # noqa: B008 - frozen
        ca_file: CaFile = None,
        on_approval: ApprovalHandler | None = None,
        on_question: QuestionHandler | None = None,
        answers: Iterable[str] = (),
        application: str | None = None,
        journal: JournalLike = None,
    ) -> None:
        settings = build_settings(
            url,
            token=token,
            password=password,
            device_token=device_token,
            identity=identity,
            role=role,
            scopes=scopes,
            caps=caps,
            timeouts=timeouts,
            reconnect=reconnect,
            tls_fingerprint=tls_fingerprint,
            ssl_context=ssl_context,
            proxy=proxy,
            headers=headers,
            client_info=client_info,
            ca_file=ca_file,
            answers=answers,
            application=application,
        )
        known = SessionFilter(sessions)
        self._set_up(with_scope(settings, known), known, user, shared_journal(journal))
        if on_approval is not None:
            self.on_approval(on_approval)
        if on_question is not None:
            self.on_question(on_question)

    @classmethod
    def _from_settings(
        cls, settings: Settings, sessions: SessionFilter, user: Any, journal: SharedJournal | None = None
    ) -> Self:
        """A client whose settings are checked already, for the manager."""
        client = cls.__new__(cls)
        client._set_up(settings, sessions, user, journal)
        return client

    def _set_up(self, settings: Settings, sessions: SessionFilter, user: Any, journal: SharedJournal | None) -> None:
        self._settings = settings
        self._engine = Engine(
            settings,
            sessions,
            owner=self,
            user=user,
            callbacks=CallbackQueue,
            runner=TaskRunner(),
            journal=journal,
        )
        self._port: Port = self._engine
        self._loop: asyncio.AbstractEventLoop | None = None

    # Life.

    async def connect(self) -> None:
        """Connect and return when hello-ok with usable scopes has come. Callers at once share one handshake.

        Raises ConnectError (Unreachable, HandshakeTimeout, ProtocolMismatch, AuthRejected, RateLimited,
        PairingRequired, MissingScope) or IdentityError. Cancelling leaves the attempt to the other callers and ends it
        when there are none. May be called again after any failure and after disconnect().
        """
        self._bind()
        await self._port.connect()

    async def disconnect(self) -> None:
        """Close the connection. Requests, runs and event streams that wait end with ClientClosed, runs with RunLost.

        Never raises; may be called twice, and before connect(). Cancelling ends the wait for the socket and drops it:
        the client is disconnected all the same.
        """
        self._bind()
        await self._port.disconnect()

    close = disconnect

    async def close_if_idle(self, seconds: float = 0.0) -> bool:
        """Disconnect, unless something is under way or the last use is younger than so many seconds.

        Returns whether it did. Cuts no run: one that begins in the same moment either spares the connection or raises
        NotConnected with nothing sent.
        """
        self._bind()
        return await self._port.disconnect_if_idle(seconds)

    def retry_now(self) -> None:
        """Try to reconnect at once instead of waiting, also when parked; returns without waiting for the outcome.

        For when something has changed: the network is back, the device was approved. Does nothing while connected and
        before connect().
        """
        self._bind()
        self._port.retry_now()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.disconnect()

    # Chat.

    async def chat_history(self, *, session_key: str, limit: int | None = None, **params: Any) -> HistoryPage:
        """The latest messages of a session, oldest first; limit is cut to 1000. A session never used is empty.

        Calls at the same time with equal arguments share requests, and no page is older than its call. Where the
        connection is lost meanwhile, it is asked again over the next one, within the time limit. Raises
        RequestError, ConnectionLost, UsageError. Cancelling is safe.
        """
        self._bind()
        return await self._port.history(session_key, limit, **params)

    async def chat_inject(self, *, session_key: str, message: str, label: str | None = None) -> InjectResult:
        """Put a message into a session that exists, without a run. Needs the scope operator.admin.

        label: at most 100 characters; the gateway writes it before the text. Raises MissingScope, RequestFailed.
        """
        self._bind()
        params = inject_params(session_key, message, label)
        return inject_result(await self._port.call("chat.inject", params, -1, None, False))

    # Everything else.

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = -1,
        idempotency_key: str | None = None,
        expect_final: bool = False,
    ) -> Any:
        """Call any method of the gateway; the payload as plain Python values.

        timeout: seconds, None for no limit, by default Timeouts.request. idempotency_key is put into the parameters
        (`idempotencyKey`). expect_final: a response with status "accepted" is not the answer yet (method `agent`).
        None within params is sent as null, which most methods refuse. What only reads is asked again where the
        connection is lost. Raises RequestFailed, MissingScope,
        RequestTimeout, OutcomeUnknown, PayloadTooLarge, UsageError, ConnectionLost. Cancelling drops the answer; the
        gateway acts on the request all the same.
        """
        if self._loop is not asyncio.get_running_loop():
            self._bind()
        return await self._port.call(method, params, timeout, idempotency_key, expect_final)

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None or (self._loop.is_closed() and self.state is ConnectionState.DISCONNECTED):
            self._loop = loop
        elif self._loop is not loop:
            raise UsageError(
                message="this client belongs to another event loop",
                remedy="Make one client per loop, or use GatewayClient, which has a loop of its own",
            )
