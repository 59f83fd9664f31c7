"""The client for threads: the names of `AsyncGatewayClient` without await."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self

from openclaw_client.chat.arguments import (
    InjectResult,
    inject_params,
    inject_result,
)
from openclaw_client.client.answering import ApprovalHandler, QuestionHandler
from openclaw_client.client.client_base import ClientBase
from openclaw_client.client.engine import Engine
from openclaw_client.client.options import (
    CaFile,
    ClientInfo,
    ConnectionState,
    Identity,
    Proxy,
    ReconnectPolicy,
    Settings,
    Timeouts,
    build_settings,
)
from openclaw_client.client.port import Port
from openclaw_client.client.scope import with_scope
from openclaw_client.client.shared_journal import JournalLike, SharedJournal, shared_journal
from openclaw_client.errors import OutcomeUnknown, RequestTimeout
from openclaw_client.errors.frames import without_frames
from openclaw_client.sessions.filter import SessionFilter, Sessions
from openclaw_client.sync.access import BlockingAccess
from openclaw_client.sync.agent_files import BlockingAgentFiles
from openclaw_client.sync.answering import BlockingAnswering, ThreadRunner
from openclaw_client.sync.callbacks import HandlerExecutor, ThreadCallbacks
from openclaw_client.sync.chatting import BlockingChatting
from openclaw_client.sync.loop_thread import LoopThread, check_caller, loop_thread
from openclaw_client.sync.streams import BlockingStreams
from openclaw_client.sync.waiter import Waiter
from openclaw_client.wire.history import HistoryPage


class GatewayClient(
    BlockingChatting, BlockingStreams, BlockingAnswering, BlockingAgentFiles, BlockingAccess, ClientBase
):
    """One user's connection to one gateway, for any number of threads.

    Nothing is opened and no thread is started before `connect()` or `with`. All clients of a process share one
    event-loop thread. The parameters are those of `AsyncGatewayClient`. Handlers run on worker threads, in order per
    client, and may call this client; none may be `async def`. Raises UsageError for arguments that cannot work.

    tls_fingerprint: the SHA-256 of the gateway's certificate, which is then the only one trusted; None takes
    OPENCLAW_GATEWAY_TLS_FINGERPRINT, as with the credentials. ca_file: a PEM file of authorities, trusted beside the
    system's; None takes OPENCLAW_GATEWAY_CA_FILE. ssl_context: the caller's own. One of the three, and for wss:// only.
    application: a name that the keys of its runs begin with, for a program of several processes (docs/processes.md).
    journal: a path, a `SqliteJournal` or another `Journal`: what is sent and said is written down first, and survives
    this process (docs/durable.md). The user is a str then; a process has the file alone.
    proxy: a URL (`http://`, `https://`, `socks4://`, `socks5://`); None takes https_proxy, http_proxy, all_proxy and
    no_proxy from the environment, but never for this machine, private hosts or a pinned certificate; "" or False for
    none.
    """

    _coroutines = False

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
        cls, settings: Settings, sessions: SessionFilter, user: object, journal: SharedJournal | None = None
    ) -> Self:
        """A client whose settings are checked already, for the manager."""
        client = cls.__new__(cls)
        client._set_up(settings, sessions, user, journal)
        return client

    def _set_up(self, settings: Settings, sessions: SessionFilter, user: object, journal: SharedJournal | None) -> None:
        self._settings = settings
        self._journal = journal
        self._sessions = sessions
        self._user = user
        self._executor = HandlerExecutor()
        self._engine = self._new_engine()
        self._port: Port = self._engine
        self._thread: LoopThread | None = None
        self._reconnect_after_fork = False

    def connect(self) -> None:
        """Connect and return when hello-ok with usable scopes has come. Threads at once share one handshake.

        Raises ConnectError (Unreachable, HandshakeTimeout, ProtocolMismatch, AuthRejected, RateLimited,
        PairingRequired, MissingScope) or IdentityError. Ctrl-C leaves the attempt to the other callers and ends it when
        there are none. May be called again after any failure and after disconnect().
        """
        self._loop_thread().call(self._port.connect, "connect")

    def disconnect(self) -> None:
        """Close the connection. Requests, runs and event streams that wait end with ClientClosed, runs with RunLost.

        Never raises; may be called twice, before connect(), and from any thread but the loop's. Ctrl-C ends the wait
        for the socket and drops it: the client is disconnected all the same.
        """
        self._reconnect_after_fork = False
        if self._thread is not None:
            self._thread.close(self._port.disconnect, "disconnect")

    close = disconnect

    def close_if_idle(self, seconds: float = 0.0) -> bool:
        """Disconnect, unless something is under way or the last use is younger than so many seconds.

        Returns whether it did. Cuts no run: one that begins in the same moment either spares the connection or raises
        NotConnected with nothing sent.
        """
        if self._thread is None:
            return True
        return self._thread.call(lambda: self._port.disconnect_if_idle(seconds), "close_if_idle")

    def retry_now(self) -> None:
        """Try to reconnect at once instead of waiting, also when parked; returns without waiting for the outcome.

        For when something has changed: the network is back, the device was approved. Does nothing while connected and
        before connect().
        """
        self._loop_thread().soon("retry_now", self._port.retry_now)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        self.disconnect()

    def chat_history(self, *, session_key: str, limit: int | None = None, **params: Any) -> HistoryPage:
        """The latest messages of a session, oldest first; limit is cut to 1000. A session never used is empty.

        Calls at the same time with equal arguments share requests, and no page is older than its call. Where the
        connection is lost meanwhile, it is asked again over the next one, within the time limit. Raises
        RequestError, ConnectionLost, UsageError. Ctrl-C is safe.
        """
        return self._ready_thread().call(lambda: self._port.history(session_key, limit, **params), "chat_history")

    def chat_inject(self, *, session_key: str, message: str, label: str | None = None) -> InjectResult:
        """Put a message into a session that exists, without a run. Needs the scope operator.admin.

        label: at most 100 characters; the gateway writes it before the text. Raises MissingScope, RequestFailed.
        """
        return inject_result(self.request("chat.inject", inject_params(session_key, message, label)))

    def request(
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
        RequestTimeout, OutcomeUnknown, PayloadTooLarge, UsageError, ConnectionLost. Ctrl-C drops the answer; the
        gateway acts on the request all the same.
        """
        check_caller("request")
        thread = self._ready_thread()
        limit, params = self._port.arguments(method, params, timeout, idempotency_key)
        waiter = Waiter()
        # A coroutine per call would cost three times as much as this lock.
        thread.soon("request", waiter.start, self._port, method, params, limit, expect_final)
        try:
            return waiter.wait()
        except (RequestTimeout, OutcomeUnknown) as error:
            error.idempotency_key = idempotency_key
            raise
        except BaseException:
            if not waiter.answered:
                thread.soon("request", waiter.drop)
            raise

    def _soon(self, call: Callable[..., object], *args: Any) -> None:
        """Run call(*args) on the loop's thread, soon; at once where there is none."""
        if self._thread is None or self._thread.closing:
            call(*args)
        else:
            self._thread.soon("close", call, *args)

    async def _leave(self) -> None:
        """The process ends."""
        await self._port.disconnect()

    def _forked(self) -> None:
        """This is a forked child: start anew, without touching the parent's socket."""
        old = self._engine
        self._settings = old.settings
        self._reconnect_after_fork |= old.state is not ConnectionState.DISCONNECTED
        self._executor, self._thread = HandlerExecutor(), None
        self._journal = self._journal.after_fork() if self._journal is not None else None
        self._engine = self._new_engine()
        self._port = self._engine
        self._engine.adopt_handlers(old)
        old.after_fork()

    def _new_engine(self) -> Engine:
        callbacks = partial(ThreadCallbacks, self._executor)
        runner = ThreadRunner(self._executor)
        return Engine(
            self._settings,
            self._sessions,
            owner=self,
            user=self._user,
            callbacks=callbacks,
            runner=runner,
            journal=self._journal,
        )

    def _loop_thread(self) -> LoopThread:
        if self._thread is None:
            thread = loop_thread()
            thread.adopt(self)
            self._executor.settle()
            self._thread = thread
        return self._thread

    def _ready_thread(self) -> LoopThread:
        """The loop thread; in a forked child of a connected client, with a connection of its own."""
        thread = self._loop_thread()
        if self._reconnect_after_fork:
            thread.call(self._port.connect, "connect")
            self._reconnect_after_fork = False
        return thread
