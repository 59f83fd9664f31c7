"""Requests of one client and what became of them: sent, answered, refused, or nobody knows. On the loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from math import inf
from time import monotonic
from typing import Any

import msgspec

from openclaw_client.connection.connection import (
    Abandoned,
    Cause,
    Connection,
    Outcome,
    Responded,
)
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import Supervisor
from openclaw_client.errors import (
    ClientClosed,
    GatewayError,
    OutcomeUnknown,
    RequestFailed,
    RequestTimeout,
    UsageError,
)
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.timeouts import check_time_limit
from openclaw_client.policy.verdict import starting_delay
from openclaw_client.requests.coalescing import COALESCED_METHODS, RequestCoalescer
from openclaw_client.requests.gateway_facts import GatewayFacts
from openclaw_client.requests.reads import AT_ONCE, READ_METHODS, READS_AGAIN
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.sessions.subscription import SessionSubscriptions
from openclaw_client.wire.frames import decode_payload

logger = GuardedLogger("openclaw_client.requests")

Answer = Callable[[Any, GatewayError | None], None]
DEFAULT_LIMIT = -1
"""What stands for the default time limit where None stands for no limit."""

_later: set[asyncio.Task[None]] = set()
"""Requests of other threads that wait for a connection; a loop itself keeps only a weak reference to a task."""


class Requests:
    """facts: what is known of the gateway. used_at: when the caller last made a request, by the monotonic clock.
    on_new_session: called when a private client names a session that was not its own."""

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        sessions: SessionFilter,
        subscriptions: SessionSubscriptions,
    ) -> None:
        self.used_at = -inf
        self.facts = GatewayFacts(settings.requested_scopes)
        self._settings = settings
        self._supervisor = supervisor
        self._sessions = sessions
        self._subscriptions = subscriptions
        self._reads = RequestCoalescer(self._ask_to_read)
        self._again = asyncio.Semaphore(AT_ONCE)
        self.on_new_session: Callable[[], object] = _nothing

    @property
    def usable(self) -> Connection | None:
        """The connection that requests may be sent over now; None while there is none."""
        return self._supervisor.usable

    async def ready(self, timeout: float | None) -> Connection:
        """A ready connection, waited for while it is being made again."""
        return await self._supervisor.ready(timeout)

    async def ready_in(self, session: str | None, timeout: float | None) -> Connection:
        """A ready connection, on which the events of a session come also where a gateway has to be asked for them."""
        while True:
            connection = await self._supervisor.ready(timeout)
            if session is None or not self._sessions.remembers:
                return connection
            self._use(session)
            if self._subscriptions.covers(session):
                return connection
            await self._subscriptions.ensure(session, timeout)
            # Not by what it covers now: a crowd of sessions would go on forgetting one another.
            if self._supervisor.usable is connection:
                return connection

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        expect_final: bool = False,
    ) -> Any:
        """Send and wait for the payload. When cancelled, the answer is dropped; the gateway acts on it all the same."""
        connection = self._supervisor.usable
        if connection is None or self._sessions.remembers:
            connection = await self.ready_in(self._session_of(method, params), timeout)
        self.used_at = monotonic()
        waiter: asyncio.Future[Any] = connection.new_future()

        def done(outcome: Outcome) -> None:
            if type(outcome) is Responded and outcome.error is None:
                if not waiter.done():
                    waiter.set_result(decode_payload(outcome.payload))
                return
            error = self.facts.error_of(outcome)
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
            # A loop that was held up may wake up behind the end.
            if (left := until - monotonic()) <= 0:
                break
            outcome = await self._ask(method, params, None if timeout is None else left, expect_final)
            if isinstance(outcome, Responded) and outcome.error is None:
                return decode_payload(outcome.payload)
            error = self.facts.error_of(outcome)
        raise error

    async def read(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, _expect_final: bool = False
    ) -> Any:
        """`request` for one of `COALESCED_METHODS`, which have one answer: equal ones at the same time share it.

        Each caller gets a copy of its own.
        """
        try:
            outcome = await self._reads.read(method, params, timeout)
        except TimeoutError:
            remedy = "The gateway has not answered an equal request before it either: look into its log"
            raise RequestTimeout(method=method, timeout=timeout, remedy=remedy, **self.facts.known) from None
        if isinstance(outcome, Responded) and outcome.error is None:
            return decode_payload(outcome.payload)
        return await self._when_started(self.facts.error_of(outcome), method, params, timeout)

    async def _read_alone(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, _expect_final: bool = False
    ) -> Any:
        """`request` for one of `READ_METHODS`."""
        outcome = await self._ask_to_read(method, params, timeout)
        if isinstance(outcome, Responded) and outcome.error is None:
            return decode_payload(outcome.payload)
        return await self._when_started(self.facts.error_of(outcome), method, params, timeout)

    async def _ask(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, expect_final: bool = False
    ) -> Outcome:
        connection = await self.ready_in(self._session_of(method, params), timeout)
        self.used_at = monotonic()
        waiter: asyncio.Future[Outcome] = connection.new_future()

        def done(outcome: Outcome) -> None:
            if not waiter.done():
                # Its tag is this function, which holds the waiter, which would hold the outcome and all of its page.
                waiter.set_result(msgspec.structs.replace(outcome, tag=None))

        ident = connection.request(method, params, timeout, done, expect_final)
        try:
            return await waiter
        except BaseException:
            connection.forget(ident)
            raise

    async def _ask_to_read(self, method: str, params: Mapping[str, Any] | None, timeout: float | None) -> Outcome:
        """`_ask`, for what only reads: again on the next connection where one was lost."""
        until = inf if timeout is None else monotonic() + timeout
        return await self._read_again(await self._ask(method, params, timeout), method, params, until)

    async def _read_again(
        self, outcome: Outcome, method: str, params: Mapping[str, Any] | None, until: float
    ) -> Outcome:
        """What becomes of a read whose connection was lost; the loss itself where no other is there in time."""
        for _ in range(READS_AGAIN):
            left = None if until == inf else until - monotonic()
            lost = isinstance(outcome, Abandoned) and outcome.end.cause is not Cause.ASKED
            if not lost or (left is not None and left <= 0):
                break
            try:
                async with asyncio.timeout(left), self._again:
                    outcome = await self._ask(method, params, left)
            except TimeoutError:
                break
            except ClientClosed:
                raise
            except GatewayError as failed:
                logger.debug("%s is not asked again: %s", method, failed)
                break
        return outcome

    async def _read_once_more(self, lost: Outcome, method: str, params: Mapping[str, Any] | None, until: float) -> Any:
        """The payload of a read whose connection was lost."""
        outcome = await self._read_again(lost, method, params, until)
        if isinstance(outcome, Responded) and outcome.error is None:
            return decode_payload(outcome.payload)
        raise self.facts.error_of(outcome)

    def start(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        answer: Answer,
        *,
        expect_final: bool = False,
    ) -> Callable[[], object]:
        """`request` without a coroutine, for callers in other threads: answer is called once.

        Returns a function that cancels the request.
        """
        connection = self._supervisor.usable
        send = self._sender(method, params)
        if connection is None or send == self.read:
            return _in_background(partial(send, method, params, timeout, expect_final), answer)
        session = self._session_of(method, params)
        if session is not None:
            self._use(session)
            if not self._subscriptions.covers(session):
                return _in_background(partial(send, method, params, timeout, expect_final), answer)
        self.used_at = monotonic()
        drop: Callable[[], object] = _nothing
        until = inf if timeout is None else monotonic() + timeout

        def answered(payload: Any, error: GatewayError | None) -> None:
            nonlocal drop
            if error is None or starting_delay(error) is None:
                answer(payload, error)
            else:
                again = partial(self._when_started, error, method, params, timeout, expect_final)
                drop = _in_background(again, answer)

        def done(outcome: Outcome) -> None:
            nonlocal drop
            if isinstance(outcome, Abandoned) and _only_reads(method, params):
                drop = _in_background(partial(self._read_once_more, outcome, method, params, until), answer)
            else:
                told(outcome)

        told = self.outcome(answered)
        try:
            ident = connection.request(method, params, timeout, done, expect_final)
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
        request = self._sender(method, params)(method, params, limit, expect_final)
        return request if idempotency_key is None else _naming(idempotency_key, request)

    def _sender(self, method: str, params: Mapping[str, Any] | None) -> Callable[..., Coroutine[Any, Any, Any]]:
        """What sends a request: once, or, of what only reads, again where its connection is lost."""
        if not _only_reads(method, params):
            return self.request
        return self.read if method in COALESCED_METHODS else self._read_alone

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
                answer(None, self.facts.error_of(outcome))

        return done

    def _session_of(self, method: str, params: Mapping[str, Any] | None) -> str | None:
        """The session that a request is about, where its events may have to be asked for first."""
        if params is None or not self._sessions.remembers:
            return None
        session = params.get("sessionKey") or (params.get("key") if method.startswith("sessions.") else None)
        if not isinstance(session, str):
            return None
        if method.startswith("sessions.messages."):
            # The caller's own subscription; what it leaves behind is not known here.
            self._use(session)
            self._subscriptions.forget(session)
            return None
        if method in READ_METHODS and not (self._sessions.private or self._sessions.accepts(session)):
            # A look at a session of others: their events are not for this client.
            return None
        return session

    def _use(self, session: str) -> None:
        """A session is used now; the one that is forgotten for it is subscribed to again when it is used again."""
        new = self._sessions.private and not self._sessions.accepts(session)
        forgotten = self._sessions.mark_used(session)
        if forgotten is not None and not self._sessions.accepts(forgotten):
            self._subscriptions.drop(forgotten)
        if new:
            self.on_new_session()


def _only_reads(method: str, params: Mapping[str, Any] | None) -> bool:
    """Whether a request may be sent again. One with an idempotency key is its caller's to repeat."""
    return method in READ_METHODS and (params is None or "idempotencyKey" not in params)


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
    """Answer with what a request comes to. Returns a function that cancels the request."""

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
