"""One client's way past the breaker of its gateway: at once, in line, or not in time. `policy.admission` decides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from weakref import WeakKeyDictionary

from openclaw_client.connection.breakers import breaker_for, credentials_key, is_known, learn, unlearn
from openclaw_client.connection.settings import Settings
from openclaw_client.errors import RateLimited
from openclaw_client.policy.admission import UNHEARD, Admission
from openclaw_client.policy.breaker import AuthBreaker
from openclaw_client.policy.urls import GatewayUrl
from openclaw_client.policy.verdict import judge_refusal
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

Place = asyncio.Future[None]
"""One client's in a line; done when it may go on."""


class HeldBack(Exception):
    """The credentials may not go to the gateway now; the attempt is to be given up, and made again behind others."""


class _Line:
    """The clients of one gateway on one event loop. Times are by the clients' clock."""

    def __init__(self, url: GatewayUrl, clock: Callable[[], float]) -> None:
        self.url = url
        self.clock = clock
        self._admission: Admission[Place] = Admission(self.breaker, is_known, random.random)
        self._timer: asyncio.TimerHandle | None = None
        self._changed: asyncio.Future[None] | None = None

    @property
    def admission(self) -> Admission[Place]:
        # A breaker that remembers nothing may have given way to a new one.
        self._admission.breaker = self.breaker
        return self._admission

    @property
    def breaker(self) -> AuthBreaker:
        return breaker_for(self.url, self.clock())

    def serve(self) -> None:
        """Let in who may try now, and look again while others wait: time alone makes room, and other loops do."""
        for place in self.admission.admit(self.clock()):
            if not place.done():
                place.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set_result(None)
        if self._admission.waiting:
            self._look_again()
        elif self._admission.unused:
            _lines_here().pop(self.url.origin, None)

    def next_change(self) -> asyncio.Future[None]:
        """Done when others were answered, or have taken their time."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
            if self._timer is None:
                self._look_again()
        return self._changed

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(UNHEARD, self.serve)


# Per loop, because a future belongs to one; what was refused is the whole process's.
_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Line]] = WeakKeyDictionary()


def _lines_here() -> dict[str, _Line]:
    return _lines.setdefault(asyncio.get_running_loop(), {})


class Admittance:
    """For one client, and one attempt at a time.

    clock: in seconds, and the same for all clients of the process, since they share the breaker.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._who = credentials_key(settings.url, settings.credentials)
        self._place: Place | None = None
        self._asked: bytes | None = None
        self.in_line = False

    async def enter(self, until: float, *, trusted: bool) -> None:
        """Wait until the gateway may be tried; `leave` follows, however this ends.

        trusted: what is presented was made by the gateway itself (a device token). until: how long the caller waits at
        most. Raises RateLimited where it is known that the wait is longer: with a lock-out, and with credentials that
        were refused themselves.
        """
        line = _lines_here().setdefault(self._settings.url.origin, _Line(self._settings.url, self._clock))
        place = self._place = asyncio.get_running_loop().create_future()
        self._asked = None if trusted else self._who
        if line.admission.enter(place, self._asked, self._clock()):
            return
        self.in_line = True
        try:
            line.serve()
            while not place.done():
                self._check_wait(until)
                await asyncio.wait((place,), timeout=UNHEARD)
        finally:
            self.in_line = False

    def begun(self) -> None:
        """The handshake begins."""
        line = _lines_here().get(self._settings.url.origin)
        if line is not None and self._place is not None:
            line.admission.begun(self._place, self._clock())

    def show(self) -> asyncio.Future[None] | None:
        """The gateway asks for the credentials: None where they may go, else when to ask again.

        Raises HeldBack where they may not go for longer, since the gateway could count one refusal too many.
        """
        line, place, now = _lines_here().get(self._settings.url.origin), self._place, self._clock()
        if line is None or place is None or line.admission.show(place, now):
            return None
        if not line.admission.soon(place, now):
            raise HeldBack
        return line.next_change()

    def leave(self, *, answered: bool = False) -> None:
        """The attempt is over, or given up. answered: whether the gateway decided on it, or closed the connection."""
        place, self._place = self._place, None
        line = _lines_here().get(self._settings.url.origin)
        if line is not None and place is not None:
            line.admission.leave(place, self._asked, answered=answered)
            line.serve()

    def refused(self, error: ErrorShape) -> None:
        """The gateway refused the connect: remember it where it counts such refusals."""
        now, code = self._clock(), codes.detail_code_of(error)
        breaker = breaker_for(self._settings.url, now)
        if code == codes.RATE_LIMITED:
            breaker.rate_limited(now, judge_refusal(error).delay or 0.0, self._who)
        elif code is not None and code.startswith("AUTH_") and code not in codes.UNCOUNTED:
            unlearn(self._who)
            breaker.failed(now, self._who)

    def welcomed(self, *, trusted: bool) -> None:
        """The gateway let the client in; trusted: as for `enter`."""
        if not trusted and learn(self._who):
            breaker_for(self._settings.url, self._clock()).welcomed(self._who)

    def limited(self) -> RateLimited | None:
        """Why it has to wait; None where no refusal is the reason."""
        now = self._clock()
        breaker = breaker_for(self._settings.url, now)
        delay = breaker.delay(now, self._asked)
        if delay <= 0:
            return None
        said = "the gateway locked this address out" if breaker.locked(now) else "too many connects were refused"
        return RateLimited(
            message=f"{said}; no connect is tried for {delay:.0f} s",
            remedy="Correct the credentials that were refused; the others connect when the time is over",
            url=self._settings.url.redacted,
            detail_code=codes.RATE_LIMITED,
            stage="connect",
            retry_after=delay,
        )

    def _check_wait(self, until: float) -> None:
        now = self._clock()
        breaker = breaker_for(self._settings.url, now)
        hopeless = breaker.locked(now) or breaker.refused(self._asked, now)
        if hopeless and now + breaker.delay(now, self._asked) > until and (error := self.limited()) is not None:
            raise error
