"""Requests of one client and what became of them: sent, answered, refused, or nobody knows. On the loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from math import inf
from time import monotonic
from typing import Any

from openclaw_client.client.chat import AbortResult, abort_result, history_params
from openclaw_client.client.reads import SHARED, Reads
from openclaw_client.client.router import SessionFilter
from openclaw_client.client.watch import SessionWatch
from openclaw_client.connection.connection import Cause, Connection, Expired, Known, Outcome, Responded
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import Supervisor, lost_error
from openclaw_client.errors import GatewayError, OutcomeUnknown, RequestFailed, RequestTimeout, UsageError
from openclaw_client.policy import diagnose
from openclaw_client.policy.scopes import MethodScopes
from openclaw_client.policy.timeouts import check_time_limit
from openclaw_client.policy.verdict import starting_delay
from openclaw_client.wire import codes
from openclaw_client.wire.frames import decode_payload
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.history import HistoryPage, history_page
from openclaw_client.wire.sessions import check_session_key

Answer = Callable[[Any, GatewayError | None], None]
DEFAULT_LIMIT = -1
"""What stands for the default time limit where None stands for no limit."""

_later: set[asyncio.Task[None]] = set()
"""Requests of other threads that wait for a connection; a loop itself keeps only a weak reference to a task."""


class Requests:
    """Knows the latest connection, its scopes, and what refusals have taught about methods.

    used_at: when the caller last made a request, by the monotonic clock.
    """

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        sessions: SessionFilter,
        watch: SessionWatch,
    ) -> None:
        self.used_at = -inf
        self.granted: tuple[str, ...] | None = None
        self._settings = settings
        self._supervisor = supervisor
        self._sessions = sessions
        self._watch = watch
        self._latest: Connection | None = None
        self._method_scopes = MethodScopes()
        self._unknown_methods: frozenset[str] = frozenset()
        self._reads = Reads(self._ask)

    @property
    def hello(self) -> Hello | None:
        return self._latest.hello if self._latest is not None else None

    def on_ready(self, connection: Connection) -> None:
        self._latest, self.granted = connection, connection.granted
        # Perhaps of a newer release.
        self._unknown_methods = frozenset()

    async def ready_in(self, session: str | None, timeout: float | None) -> Connection:
        """A ready connection, on which the events of a session come if a private client names one."""
        while True:
            connection = await self._supervisor.ready(timeout)
            if session is None or not self._sessions.private:
                return connection
            self._sessions.use(session)
            if self._watch.covers(session):
                return connection
            await self._watch.ensure(session)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        expect_final: bool = False,
    ) -> Any:
        """Send and wait for the payload. When cancelled, the answer is dropped; the gateway acts on it all the same."""
        connection = self._supervisor.usable
        if connection is None or self._sessions.private:
            connection = await self.ready_in(self._session_of(method, params), timeout)
        self.used_at = monotonic()
        waiter: asyncio.Future[Any] = connection.new_future()

        def done(outcome: Outcome) -> None:
            if type(outcome) is Responded and outcome.error is None:
                if not waiter.done():
                    waiter.set_result(decode_payload(outcome.payload))
                return
            error = self._request_error(outcome)
            if not waiter.done():
                waiter.set_exception(error)

        ident = connection.request(method, params, timeout, done, expect_final)
        try:
            return await waiter
        except RequestFailed as error:
            if starting_delay(error) is None:
                raise
            return await self._when_started(error, method, params, timeout, expect_final)
        except BaseException:
            connection.forget(ident)
            raise

    async def _when_started(
        self,
        error: GatewayError,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        expect_final: bool = False,
    ) -> Any:
        """Ask again until a gateway that is starting has the method. Raises what it said last where time runs out."""
        until = inf if timeout is None else monotonic() + timeout
        while (delay := starting_delay(error)) is not None and monotonic() + delay < until:
            await asyncio.sleep(delay)
            outcome = await self._ask(method, params, None if timeout is None else until - monotonic(), expect_final)
            if isinstance(outcome, Responded) and outcome.error is None:
                return decode_payload(outcome.payload)
            error = self._request_error(outcome)
        raise error

    async def read(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, _expect_final: bool = False
    ) -> Any:
        """`request` for one of `SHARED`, which have one answer: equal ones at the same time share it.

        Each caller gets a copy of its own.
        """
        try:
            outcome = await self._reads.read(method, params, timeout)
        except TimeoutError:
            remedy = "The gateway has not answered an equal request before it either: look into its log"
            raise RequestTimeout(method=method, timeout=timeout, remedy=remedy, **self.known) from None
        if isinstance(outcome, Responded) and outcome.error is None:
            return decode_payload(outcome.payload)
        return await self._when_started(self._request_error(outcome), method, params, timeout)

    async def _ask(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, expect_final: bool = False
    ) -> Outcome:
        connection = await self.ready_in(self._session_of(method, params), timeout)
        self.used_at = monotonic()
        waiter: asyncio.Future[Outcome] = connection.new_future()

        def done(outcome: Outcome) -> None:
            if not waiter.done():
                waiter.set_result(outcome)

        ident = connection.request(method, params, timeout, done, expect_final)
        try:
            return await waiter
        except BaseException:
            connection.forget(ident)
            raise

    def start(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        answer: Answer,
        *,
        expect_final: bool = False,
    ) -> Callable[[], object]:
        """`request` without a coroutine, for callers in other threads: answer is called once. Returns what drops it."""
        connection = self._supervisor.usable
        send = self.read if method in SHARED else self.request
        if connection is None or method in SHARED:
            return _in_background(partial(send, method, params, timeout, expect_final), answer)
        session = self._session_of(method, params)
        if session is not None and not self._watch.covers(session):
            return _in_background(partial(send, method, params, timeout, expect_final), answer)
        self.used_at = monotonic()
        drop: Callable[[], object] = _nothing

        def answered(payload: Any, error: GatewayError | None) -> None:
            nonlocal drop
            if error is None or starting_delay(error) is None:
                answer(payload, error)
            else:
                again = partial(self._when_started, error, method, params, timeout, expect_final)
                drop = _in_background(again, answer)

        try:
            ident = connection.request(method, params, timeout, self.outcome(answered), expect_final)
        except GatewayError as error:
            answer(None, error)
            return _nothing
        drop = partial(connection.forget, ident)
        return lambda: drop()

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        idempotency_key: str | None,
        expect_final: bool,
    ) -> Coroutine[Any, Any, Any]:
        """`request` for users: the default time limit, the idempotency key, and the key in the errors."""
        limit, params = self.arguments(method, params, timeout, idempotency_key)
        request = (self.read if method in SHARED else self.request)(method, params, limit, expect_final)
        return request if idempotency_key is None else _naming(idempotency_key, request)

    def arguments(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, idempotency_key: str | None
    ) -> tuple[float | None, Mapping[str, Any] | None]:
        """The time limit that counts, and the parameters with the idempotency key. Raises UsageError."""
        if type(method) is not str or not method or (params is not None and type(params) is not dict):
            _check_request(method, params)
        if idempotency_key is not None:
            if not isinstance(idempotency_key, str) or not idempotency_key:
                raise UsageError(message="the idempotency key is no text; nothing was sent", remedy="Pass a str")
            params = {**(params or {}), "idempotencyKey": idempotency_key}
        if timeout is None:
            return None, params
        if timeout == DEFAULT_LIMIT:
            return self._settings.timeouts.request, params
        check_time_limit(timeout)
        return timeout, params

    def outcome(self, answer: Answer) -> Callable[[Outcome], None]:
        """Turn what the connection tells about a request into a payload or an error for `answer`."""

        def done(outcome: Outcome) -> None:
            if type(outcome) is Responded and outcome.error is None:
                answer(decode_payload(outcome.payload), None)
            else:
                answer(None, self._request_error(outcome))

        return done

    def supports(self, method: str) -> bool | None:
        if self.hello is not None and method in self.hello.features.methods:
            return True
        return False if method in self._unknown_methods else None

    def missing_scopes(self, method: str) -> tuple[str, ...]:
        """The scopes that a method is known to need and the latest connection does not have. From any thread."""
        return self._method_scopes.missing(method, self.granted)

    async def history(self, session_key: str, limit: int | None, **extra: Any) -> HistoryPage:
        params = history_params(session_key, limit, extra)
        return history_page(await self.request("chat.history", params, self._settings.timeouts.request))

    async def page(self, session_key: str, limit: int | None, **extra: Any) -> HistoryPage:
        """`history` for users: equal ones at the same time share an answer."""
        params = history_params(session_key, limit, extra)
        return history_page(await self.read("chat.history", params, self._settings.timeouts.request))

    async def abort(self, session_key: str, run_id: str | None) -> AbortResult:
        """Stop a run, or all of a session; tries the canonical key where the gateway wants another spelling.

        2026.2.17 and 2026.4.15 want the key as it was in chat.send, 2026.6.1 the canonical one when there is no run id.
        """
        canonical = self._sessions.canonical(check_session_key(session_key))
        timeout = self._settings.timeouts.request
        params = {"sessionKey": session_key} if run_id is None else {"sessionKey": session_key, "runId": run_id}
        try:
            result = abort_result(await self.request("chat.abort", params, timeout))
        except RequestFailed as error:
            if canonical == session_key or "does not match" not in error.message:
                raise
            result = AbortResult(False)
        if result.aborted or canonical == session_key:
            return result
        return abort_result(await self.request("chat.abort", {**params, "sessionKey": canonical}, timeout))

    @property
    def known(self) -> Known:
        """What an error can tell about the latest connection, also when it has ended."""
        if self._latest is None:
            return {"connection_id": None, "gateway_version": None, "last_frame_age": None}
        return self._latest.known

    # Inside.

    def _session_of(self, method: str, params: Mapping[str, Any] | None) -> str | None:
        """The session that a request of a private client is about, which is one of its user's then."""
        if params is None or not self._sessions.private:
            return None
        session = params.get("sessionKey") or (params.get("key") if method.startswith("sessions.") else None)
        if not isinstance(session, str):
            return None
        if method.startswith("sessions.messages."):
            # The caller's own subscription; what it leaves behind is not known here.
            self._sessions.use(session)
            self._watch.forget(session)
            return None
        return session

    def _request_error(self, outcome: Outcome) -> GatewayError:
        method, known = outcome.method, self.known
        if isinstance(outcome, Responded):
            assert outcome.error is not None
            self._method_scopes.learn(method, codes.required_scopes_of(outcome.error))
            if outcome.error.message == f"unknown method: {method}":
                self._unknown_methods |= {method}
            return diagnose.request_failure(
                method,
                outcome.error,
                decode_payload(outcome.payload),
                requested=self._settings.requested_scopes,
                granted=self.granted or (),
                connection_id=known["connection_id"],
                gateway_version=known["gateway_version"],
            )
        if isinstance(outcome, Expired):
            remedy = "Ask the gateway before trying again"
            return RequestTimeout(method=method, timeout=outcome.timeout, remedy=remedy, **known)
        end = outcome.end
        if end.cause is Cause.ASKED:
            return lost_error(end, known, sent=True)
        return OutcomeUnknown(
            message=f"the connection was lost before the answer came: {end.cause.value}",
            remedy="Ask the gateway before trying again",
            method=method,
            close_code=end.code,
            close_reason=end.reason or None,
            sent=True,
            **known,
        )


def _check_request(method: object, params: object) -> None:
    """Raise UsageError for what no gateway takes, by name."""
    if not isinstance(method, str) or not method:
        raise UsageError(message=f"method={method!r} names no method; nothing was sent", remedy="Pass its name")
    if params is not None and not isinstance(params, Mapping):
        raise UsageError(
            message=f"{method}: the parameters are no dict but {type(params).__name__}; nothing was sent",
            remedy="Pass a dict of names and values",
        )


async def _naming(key: str, request: Coroutine[Any, Any, Any]) -> Any:
    """The request, with its idempotency key in the errors after which the caller needs it."""
    try:
        return await request
    except (RequestTimeout, OutcomeUnknown) as error:
        error.idempotency_key = key
        raise


def _in_background(request: Callable[[], Coroutine[Any, Any, Any]], answer: Answer) -> Callable[[], object]:
    """Answer with what a request comes to; returns what drops it."""

    async def wait() -> None:
        try:
            payload = await request()
        except GatewayError as error:
            answer(None, error)
        else:
            answer(payload, None)

    task = asyncio.get_running_loop().create_task(wait())
    _later.add(task)
    task.add_done_callback(_later.discard)
    return task.cancel


def _nothing() -> None:
    """What drops a request that was never sent."""
