"""One attempt to connect: credentials, signature, hello, and the retries that belong to the attempt itself.

Those retries are bounded by construction: each changes one thing about what is sent, and none is made twice in a row
of connects without a hello between. What a gateway advises beyond that is not followed, because observed gateways
advise the same again after it failed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import msgspec

from openclaw_client.connection.admittance import Admittance, HeldBack
from openclaw_client.connection.bonus_scopes import BonusScopes
from openclaw_client.connection.connection import Connection, FrameSink, HandshakeRefused
from openclaw_client.connection.file_calls import call_blocking
from openclaw_client.connection.grant import find_grant
from openclaw_client.connection.handshake_limiter import TurnLost, limited_handshake
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.tls_context import tls_context
from openclaw_client.errors import (
    ConnectError,
    GatewayError,
    IdentityError,
    MissingScope,
    RateLimited,
    TlsPinMismatch,
    Unreachable,
)
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.identity.payload import PayloadVersion, prove
from openclaw_client.identity.store import DeviceToken, MemoryIdentityStore, token_to_store
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy import diagnose
from openclaw_client.policy.credentials import Selection, clarify, may_retry_with_stored, select, trusted_endpoint
from openclaw_client.policy.redact import Redactor
from openclaw_client.policy.scopes import missing_scopes
from openclaw_client.policy.turns import pause_after
from openclaw_client.policy.verdict import PARK, RETRY, Action, Verdict, judge_close, judge_refusal
from openclaw_client.protocol.events import Cause, ConnectionEnd
from openclaw_client.transport.base import Listener, Opener
from openclaw_client.transport.opening import Target, open_websocket
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.handshake import Challenge, ConnectParams, Hello, connect_params

_SLOW = {Cause.CHALLENGE_TIMEOUT: "NO_CHALLENGE", Cause.HELLO_TIMEOUT: "NO_HELLO"}
_STRANGE = {Cause.BAD_CHALLENGE: "BAD_CHALLENGE", Cause.BAD_HELLO: "BAD_HELLO"}

logger = GuardedLogger("openclaw_client.connection")

_T = TypeVar("_T")
_serial = itertools.count(1)


class DialFailed(Exception):
    """The attempt failed. error is what the caller gets, verdict what the supervisor does."""

    def __init__(self, error: ConnectError, verdict: Verdict) -> None:
        super().__init__(str(error))
        self.error = error
        self.verdict = verdict


@dataclass(slots=True)
class _Memory:
    """What earlier connects taught about this gateway."""

    signature: PayloadVersion = 3
    compat: bool = False
    retry_stored: bool = False
    retried_stored: bool = False
    gateway_version: str | None = None


class Dialer:
    """Makes connections for one client. Not to be used by two tasks at once.

    clock: in seconds, and the same for all clients of the process, since they share the breaker.
    """

    def __init__(
        self, settings: Settings, *, opener: Opener | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._opener = opener or self._open
        self._memory = _Memory()
        self._device: DeviceIdentity | None = None
        self._in_memory = isinstance(settings.store, MemoryIdentityStore)
        self._current: Connection | None = None
        self._in_line = False
        self._given_up = self._held_back = 0
        self._pinned: ssl.SSLContext | None = None
        self._admittance = Admittance(settings, clock)
        self._bonus = BonusScopes()

    def reconfigure(self, settings: Settings) -> None:
        """Other settings for the next attempt; only what is announced and asked for may differ."""
        self._settings = settings

    def ask_again(self) -> None:
        """Something has changed at the gateway: ask for all scopes once more."""
        self._bonus.ask_again()

    @property
    def device_id(self) -> str | None:
        """The device's; None before the first attempt, and without one."""
        return self._device.id if self._device is not None else None

    @property
    def phase(self) -> str:
        """How far the attempt under way has come, in words for an error."""
        if self._current is not None:
            return self._current.phase
        return "waiting for the handshakes of other clients with this gateway" if self._in_line else "preparing"

    @property
    def moments(self) -> dict[str, float]:
        """What the latest socket reached and when; see `Connection.moments`."""
        return self._current.moments if self._current is not None else {}

    async def dial(self, sink: FrameSink, number: int) -> Connection:
        """A ready connection. number counts attempts since the client was last connected, from 1.

        Raises DialFailed, IdentityError or ProtocolViolation. When cancelled no socket is left behind.
        """
        store = self._settings.store
        self._current, self._in_line, self._given_up, self._held_back = None, False, 0, 0
        until = self._clock() + self._settings.timeouts.connect
        if store is not None and self._device is None:
            self._device = _checked(await self._blocking(store.load))
        while True:
            stored = await self._stored()
            selection = self._select(stored)
            connection = Connection(sink, prefix=f"{os.getpid():x}.{next(_serial):x}", redactor=self._redactor(stored))
            try:
                hello = await self._shake_hands(connection, selection, until)
            except (TurnLost, HeldBack) as lost:
                await asyncio.sleep(self._stand_back(lost))
                continue
            except HandshakeRefused as refused:
                end = refused.end
                if end.error is not None:
                    error = clarify(end.error, selection)
                    end = replace(end, error=error)
                    if await self._try_otherwise(error, stored, selection):
                        continue
                raise self._failure(end, number, selection) from None
            except RateLimited as held:
                held.attempt = number
                raise DialFailed(held, Verdict(Action.WAIT, held.retry_after)) from None
            except ConnectError as failed:
                raise self._unreachable(failed, number, stored) from failed
            try:
                await self._accept(connection, hello, stored, selection, number)
            except BaseException:
                connection.abort()
                raise
            if connection.end is not None:
                # It died while the device token was being written, or the scopes looked at.
                raise self._failure(connection.end, number, selection)
            return connection

    def _stand_back(self, lost: TurnLost | HeldBack) -> float:
        """Seconds until the next socket of this attempt."""
        if isinstance(lost, TurnLost):
            self._given_up += 1
            return pause_after(self._given_up)
        self._held_back += 1
        # Its socket was not in the way: until the next one it stands in line.
        self._current, self._in_line = None, True
        return pause_after(self._held_back)

    def _unreachable(self, failed: ConnectError, number: int, stored: DeviceToken | None) -> DialFailed:
        failed.attempt, failed.gateway_version = number, self._memory.gateway_version
        # A web server's name for itself stands in it, and may be made of what it was sent.
        failed.message = self._redactor(stored).text(failed.message)
        diagnose.explain(failed)
        # A certificate that changed in good faith is an upgrade that a person must confirm.
        return DialFailed(failed, PARK if isinstance(failed, TlsPinMismatch) else RETRY)

    async def _shake_hands(self, connection: Connection, selection: Selection, until: float) -> Hello:
        """Wait until the gateway may be tried, and for a turn; then try it."""
        admittance, trusted, answered = self._admittance, selection.uses_device_token, False
        self._current, self._in_line = None, True
        try:
            await admittance.enter(until, trusted=trusted)
            async with limited_handshake(self._settings.url):
                self._current = connection
                admittance.begun()
                hello = await connection.open(self._opener, partial(self._show, selection))
            admittance.welcomed(trusted=trusted)
            answered = True
        except HandshakeRefused as refused:
            answered = refused.end.cause not in _SLOW
            if refused.end.error is not None:
                # Before the next in line is let in.
                admittance.refused(clarify(refused.end.error, selection))
            raise
        finally:
            admittance.leave(answered=answered)
        return hello

    def _redactor(self, stored: DeviceToken | None) -> Redactor:
        return Redactor(self._settings.secrets).plus(stored.token if stored is not None else None)

    async def _open(self, listener: Listener) -> None:
        settings, pin = self._settings, self._settings.tls_fingerprint
        if pin is not None and self._pinned is None:
            self._pinned = await tls_context(settings)
        target = Target(
            url=settings.url.text,
            shown=settings.url.redacted,
            ssl_context=self._pinned if pin is not None else await tls_context(settings),
            headers=settings.headers,
            proxy=settings.proxy,
        )
        try:
            await open_websocket(target, listener)
        except Unreachable as failed:
            if pin is not None and isinstance(failed.__cause__, ssl.SSLCertVerificationError):
                # The certificate is not the one of the check any more: see which it is now.
                self._pinned = await tls_context(settings)
            raise

    def _select(self, stored: DeviceToken | None) -> Selection:
        settings, memory = self._settings, self._memory
        return select(
            settings.credentials,
            stored,
            scopes=settings.scopes,
            default_scopes=settings.requested_scopes,
            bonus_scopes=self._bonus.of(settings),
            retry_with_stored=memory.retry_stored,
            trusted_endpoint=self._trusted,
            compat=memory.compat,
        )

    @property
    def _trusted(self) -> bool:
        url = self._settings.url
        return trusted_endpoint(
            loopback=url.loopback, tls=url.secure, pinned=self._settings.tls_fingerprint is not None
        )

    def _show(self, selection: Selection, challenge: Challenge) -> ConnectParams | asyncio.Future[None]:
        return self._admittance.show() or self._params(selection, challenge)

    def _params(self, selection: Selection, challenge: Challenge) -> ConnectParams:
        settings, device = self._settings, self._device
        params = connect_params(
            client=settings.client.fields(device),
            role=settings.role,
            scopes=selection.scopes,
            caps=settings.announced_caps,
            commands=settings.commands,
            auth=selection.auth,
        )
        if device is None:
            return params
        proof = prove(
            device,
            version=self._memory.signature,
            params=params,
            challenge=challenge,
            token=selection.signed_token,
        )
        return msgspec.structs.replace(params, device=proof)

    async def _try_otherwise(self, error: ErrorShape, stored: DeviceToken | None, selection: Selection) -> bool:
        """Whether the refusal is one that this attempt answers by sending something else; remembers what."""
        memory, code = self._memory, codes.detail_code_of(error)
        if self._bonus.were_refused(error, selection, self._settings):
            return True
        if code == codes.SIGNATURE_INVALID and memory.signature == 3 and self._device is not None:
            # 2026.2.17 verifies the older payload only, and has no way to say so.
            memory.signature = 2
            logger.debug("the signature of version 3 was refused; version 2 is tried")
            return True
        if code == codes.INVALID_CONNECT and "deviceToken" in error.message and not memory.compat:
            memory.compat = True
            logger.debug("the gateway knows no deviceToken; the device token is sent as token")
            return True
        if code == codes.DEVICE_TOKEN_MISMATCH and selection.uses_stored and stored is not None:
            # A stored token is only sent where there is no shared secret, or beside one that was refused: nothing is
            # left to try. It is kept where the scopes may be what was refused.
            if not selection.exceeds_stored:
                logger.info("the stored device token was refused and is forgotten")
                await self._forget(stored)
            memory.retry_stored = False
            return False
        if may_retry_with_stored(
            error,
            credentials=self._settings.credentials,
            stored=stored,
            refused=selection,
            trusted_endpoint=self._trusted,
            retried=memory.retried_stored,
        ):
            memory.retry_stored = memory.retried_stored = True
            logger.debug("the shared token was refused; the stored device token is tried beside it")
            return True
        return False

    async def _accept(
        self, connection: Connection, hello: Hello, stored: DeviceToken | None, selection: Selection, number: int
    ) -> None:
        """Check release and scopes, and keep the device token before anybody is told that the connection is ready."""
        settings, store, device = self._settings, self._settings.store, self._device
        version = hello.server.version or None
        too_old = diagnose.too_old(hello, replace(self._attempt(number), gateway_version=version))
        if too_old is not None:
            raise DialFailed(too_old, PARK)
        if store is not None and device is not None:
            token = token_to_store(stored, hello.auth, settings.role)
            if token is not None:
                await self._blocking(lambda: store.save_token(settings.url.origin, device.id, token))
                logger.debug("a device token was stored for %s", settings.url.origin)
        self._bonus.learn(hello)
        self._memory = replace(self._memory, retried_stored=False, gateway_version=version)
        needed = settings.needed_scopes
        granted = await find_grant(connection, hello, selection.scopes, needed, with_device=device is not None)
        connection.granted = granted
        missing = missing_scopes(needed, granted) if granted is not None else ()
        if granted is not None and missing:
            raise DialFailed(self._missing(hello, granted, missing, selection, number), PARK)

    def _missing(
        self,
        hello: Hello,
        granted: tuple[str, ...],
        missing: tuple[str, ...],
        selection: Selection,
        number: int,
    ) -> MissingScope:
        remedy = (
            "This gateway grants a client without a device identity nothing: leave identity at its default"
            if self._device is None and not granted
            else "Have the scopes approved for this device, or ask for fewer with scopes="
        )
        return MissingScope(
            message="the gateway did not grant what was asked for",
            stage="scopes",
            remedy=remedy,
            url=self._settings.url.redacted,
            detail_code=codes.MISSING_SCOPE,
            requested=selection.scopes,
            granted=granted,
            missing=missing,
            attempt=number,
            gateway_version=hello.server.version or None,
            connection_id=hello.server.conn_id or None,
        )

    def _failure(self, end: ConnectionEnd, number: int, selection: Selection) -> DialFailed:
        attempt = replace(
            self._attempt(number),
            close_code=end.code,
            close_reason=end.reason,
            requested_scopes=selection.scopes,
            device_id=self._device.id if self._device else None,
        )
        if end.error is not None:
            return DialFailed(diagnose.refusal(end.error, attempt), judge_refusal(end.error))
        if end.cause in _SLOW:
            return DialFailed(diagnose.too_slow(end.cause.value, _SLOW[end.cause], attempt), RETRY)
        if end.cause in _STRANGE:
            return DialFailed(diagnose.not_understood(end.cause.value, _STRANGE[end.cause], attempt), RETRY)
        return DialFailed(diagnose.closed_early(attempt), judge_close(end.code, end.reason))

    def out_of_time(self, number: int) -> ConnectError:
        """The error for an attempt that was ended because the time limit of connect() passed."""
        limit, attempt = self._settings.timeouts.connect, self._attempt(number)
        if self._current is None and self._in_line and (held := self._admittance.limited()) is not None:
            held.attempt = number
            return held
        if self._given_up:
            tried = f"it answered others, and none of the {self._given_up + 1} sockets of this one within {limit:g} s"
            return diagnose.too_slow(tried, "NO_HELLO", attempt)
        if self._current is None and self._in_line:
            return diagnose.too_slow(f"it was {self.phase} for {limit:g} s", "OWN_QUEUE", attempt)
        if attempt.stage is None:
            return diagnose.unreachable(f"no answer within {limit:g} s", attempt)
        what = f"it was {self.phase} when the time limit of {limit:g} s passed"
        code = "NO_CHALLENGE" if attempt.stage == "challenge" else "NO_HELLO"
        return diagnose.too_slow(what, code, attempt)

    def _attempt(self, number: int) -> diagnose.Attempt:
        """What is known of the attempt under way."""
        return diagnose.Attempt(
            url=self._settings.url.redacted,
            number=number,
            stage=self._current.stage if self._current is not None else None,
            gateway_version=self._memory.gateway_version,
            last_frame_age=self._current.known["last_frame_age"] if self._current is not None else None,
        )

    async def _stored(self) -> DeviceToken | None:
        store, device, settings = self._settings.store, self._device, self._settings
        if store is None or device is None:
            return None
        return await self._blocking(lambda: store.load_token(settings.url.origin, device.id, settings.role))

    async def _forget(self, token: DeviceToken) -> None:
        store, device, settings = self._settings.store, self._device, self._settings
        if store is not None and device is not None:
            await self._blocking(lambda: store.clear_token(settings.url.origin, device.id, settings.role, token.token))

    async def _blocking(self, call: Callable[[], _T]) -> _T:
        """Stores read and write files; only one in memory may be asked on the loop's thread."""
        if self._in_memory:
            return _asked(call)
        return await call_blocking(partial(_asked, call))


def _asked(call: Callable[[], _T]) -> _T:
    """What a store answers. Raises IdentityError for whatever it raises."""
    try:
        return call()
    except GatewayError:
        raise
    except Exception as error:
        # Not in its own words: a database's errors show the values of the statement, of which one is a token.
        raise IdentityError(
            message=f"the identity store raised {type(error).__name__}",
            remedy="Look at the cause of this error; what a store cannot read or write it tells as IdentityError",
        ) from error


def _checked(loaded: object) -> DeviceIdentity:
    if isinstance(loaded, DeviceIdentity):
        return loaded
    raise IdentityError(
        message=f"the identity store gave {type(loaded).__name__} for a device identity",
        remedy="load() returns a DeviceIdentity, made where there is none yet, or raises IdentityError",
    )
