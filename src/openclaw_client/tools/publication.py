"""What a host is at any moment, when its list of tools is published again, and what the gateway's answer to that means.

A machine without clock and I/O: times are arguments, what is to be done comes out of `actions()`. Refuses to know which
tools there are: whoever publishes takes the newest list.

A gateway tells nobody that another process with the same device has taken its place: only the next publication is
refused. So the list is published again and again, also where nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum, auto
from math import inf
from typing import Final

from openclaw_client.errors import GatewayError, MethodUnavailable, PairingRequired, RequestFailed, RequestTimeout
from openclaw_client.policy.verdict import LONGEST
from openclaw_client.wire.nodes import UPDATE_TOOLS

PUBLISH_EVERY: Final = 60.0
"""Seconds between two publications of an unchanged list: as long a host may go on without knowing that another one has
taken its place. An answer has some hundred bytes."""
RETRY_FIRST: Final = 1.0
"""Seconds to the next publication where a gateway could not take one; twice as many each time, to `PUBLISH_EVERY`."""
ASK_FIRST: Final = 5.0
"""Seconds to the next publication where an approval is missing: 2026.8.1 tells a node nothing of it (observed; 2026.9.6
does), and somebody who approves at once should see the tools at once."""
ASK_GROWTH: Final = 1.5
"""From `ASK_FIRST` to `PUBLISH_EVERY` in the first three minutes."""
REPLACED_WITHIN: Final = 300.0
"""Seconds within which the place may be lost once. A gateway that was restarted, or an approval, is a reason for that;
two processes that take it from each other lose it every minute."""
FIRST_RELEASE: Final = "2026.8"
"""The first release that takes tools from nodes: 2026.7.1 refuses them, 2026.8.1 takes them (observed)."""

_CHANGED: Final = "PAIRING_CHANGED"
_WRONG_ROLE: Final = "unauthorized role"
_PASSING: Final = frozenset({"UNAVAILABLE", "AGENT_TIMEOUT"})


class HostState(StrEnum):
    """What a tool host is. PUBLISHED means that agents can call its tools, nothing less.

    WAITING_FOR_DEVICE and WAITING_FOR_APPROVAL end when a person approves the host at its gateway. REPLACED: another
    process with the same device serves. PAUSED: it failed in a way that passes by itself no more.
    """

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    WAITING_FOR_DEVICE = "waiting_for_device"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    PUBLISHED = "published"
    REPLACED = "replaced"
    PAUSED = "paused"


class HostAction(Enum):
    """What is to be done now."""

    PUBLISH = auto()
    RECONNECT = auto()
    """Take the place back by another connection."""
    STOP = auto()
    """Leave the gateway; `error` says why."""


class _Link(Enum):
    OFF = auto()
    DIALING = auto()
    READY = auto()
    STOPPED = auto()


class Publication:
    """One host's. published: the names that count at the gateway. error: why it is stopped, or what it waits for."""

    def __init__(self) -> None:
        self.published: tuple[str, ...] = ()
        self.error: GatewayError | None = None
        self._link = _Link.OFF
        self._waits_for_device = False
        self._unapproved = False
        self._answered = False
        self._asked = self._wanted = False
        self._due = inf
        self._delay = RETRY_FIRST
        self._ask = ASK_FIRST
        self._lost_at = -inf
        self._replaced = False
        self._told: tuple[str, ...] = ()
        self._actions: list[HostAction] = []

    @property
    def state(self) -> HostState:
        if self._link is _Link.STOPPED:
            return HostState.REPLACED if self._replaced else HostState.PAUSED
        if self._link is _Link.OFF:
            return HostState.DISCONNECTED
        if self._waits_for_device:
            return HostState.WAITING_FOR_DEVICE
        if self._link is _Link.DIALING or not self._answered:
            return HostState.CONNECTING
        return HostState.WAITING_FOR_APPROVAL if self._unapproved else HostState.PUBLISHED

    @property
    def waiting_for(self) -> str | None:
        """What a person has to do, with the command; None where nobody has to."""
        if self.state is HostState.WAITING_FOR_DEVICE and isinstance(self.error, PairingRequired):
            ident = self.error.request_id
            twin = f"openclaw-client devices approve {ident}" if ident else "openclaw-client devices list"
            return f"somebody has to approve this device at the gateway: `{self.error.command}`, or `{twin}`"
        if self.state is HostState.WAITING_FOR_APPROVAL:
            return (
                "somebody has to allow this node its tools: `openclaw nodes pending` shows its request,"
                " `openclaw nodes approve REQUEST` allows it; or `openclaw-client devices approve REQUEST`"
            )
        return None

    def actions(self) -> list[HostAction]:
        """What is to be done, each once."""
        taken, self._actions = self._actions, []
        return taken

    def deadline(self) -> float:
        """When `handle_deadline` is to be called."""
        return self._due

    # The connection.

    def begin(self) -> None:
        """The host is to connect."""
        if self._link in (_Link.OFF, _Link.STOPPED):
            self._reset(_Link.DIALING)
            self._lost_at = -inf
            self.error = None

    def needs_device(self, error: PairingRequired) -> None:
        """The gateway does not let the device in until a person has approved it."""
        if self._link is not _Link.OFF:
            self._reset(_Link.DIALING)
            self._waits_for_device, self.error = True, error

    def ready(self) -> None:
        """A connection is there."""
        if self._link in (_Link.DIALING, _Link.READY):
            self._reset(_Link.READY)
            self.error = None
            self._publish()

    def lost(self) -> None:
        """The connection is gone, and another one is being made."""
        if self._link is _Link.READY:
            self._reset(_Link.DIALING)

    def off(self) -> None:
        """The host is closed, or never came to be connected."""
        self._reset(_Link.OFF)
        self.error = None

    def stopped(self, error: GatewayError, *, replaced: bool = False) -> None:
        """Nothing more is tried until somebody says so."""
        self._reset(_Link.STOPPED)
        self.error, self._replaced = error, replaced

    # The list.

    def changed(self) -> None:
        """There is another list, or a reason to think that the answer would be another one."""
        if self._link is _Link.READY:
            self._publish()

    def answered(self, counted: Iterable[str], asked: tuple[str, ...], now: float) -> tuple[str, ...]:
        """The gateway has taken a list. counted: the names that count, asked: those that were published.

        Returns those that do not count beside others that do, where that is news.
        """
        taken = frozenset(counted)
        names = tuple(name for name in asked if name in taken)
        missing = tuple(name for name in asked if name not in taken)
        if self._link is not _Link.READY:
            return ()
        self._unapproved = bool(asked) and not names
        self._answered, self._delay = True, RETRY_FIRST
        self.published, self.error = names, None
        self._over(now + (self._ask if self._unapproved else PUBLISH_EVERY))
        self._ask = min(self._ask * ASK_GROWTH, PUBLISH_EVERY) if self._unapproved else ASK_FIRST
        news = missing if names and missing != self._told else ()
        self._told = missing if names else ()
        return news

    def refused(self, error: GatewayError, now: float) -> bool:
        """The gateway has not taken a list, or not said so in time.

        Returns whether that is news that shows in no state: the first time that the list is published again for it.
        """
        if self._link is not _Link.READY:
            return False
        if _says(error, _CHANGED):
            self._place_lost(error, now)
        elif isinstance(error, MethodUnavailable) or _says(error, _WRONG_ROLE):
            self._stop(_too_old(error))
        elif self._passes(error) or self.published:
            # What counted before goes on counting: one bad tool that was added does not take the others along.
            self.error = error
            hint = error.retry_after if isinstance(error, RequestFailed) else None
            first = self._delay == RETRY_FIRST
            self._over(now + max(self._delay, min(hint or 0.0, LONGEST)))
            self._delay = min(self._delay * 2, PUBLISH_EVERY)
            return first
        else:
            self._stop(error)
        return False

    def handle_deadline(self, now: float) -> None:
        if now >= self._due:
            self._publish()

    def _publish(self) -> None:
        """Publish now, or as soon as the publication that is under way is over."""
        self._due = inf
        if self._asked:
            self._wanted = True
            return
        self._asked, self._wanted = True, False
        self._actions.append(HostAction.PUBLISH)

    def _over(self, due: float) -> None:
        """A publication is over; the next one is due then, or now where one was wanted meanwhile."""
        self._asked = False
        self._due = due
        if self._wanted:
            self._publish()

    def _place_lost(self, error: GatewayError, now: float) -> None:
        again = now - self._lost_at < REPLACED_WITHIN
        self._lost_at = now
        if not again:
            self._reset(_Link.DIALING)
            self._actions.append(HostAction.RECONNECT)
            return
        replaced = error.again()
        replaced.message = "another process serves with the device of this host"
        replaced.remedy = (
            "Run one host for each name and gateway; give this one a name of its own, or stop the other one"
        )
        self._stop(replaced, replaced=True)

    def _stop(self, error: GatewayError, *, replaced: bool = False) -> None:
        self.stopped(error, replaced=replaced)
        self._actions.append(HostAction.STOP)

    def _passes(self, error: GatewayError) -> bool:
        if isinstance(error, RequestFailed):
            return error.retryable or error.retry_after is not None or error.code in _PASSING
        return isinstance(error, RequestTimeout)

    def _reset(self, link: _Link) -> None:
        """Nothing is known of a publication any more."""
        self._link = link
        self._waits_for_device = self._unapproved = self._answered = False
        self._asked = self._wanted = self._replaced = False
        self.published, self._due = (), inf
        self._delay, self._ask = RETRY_FIRST, ASK_FIRST
        self._actions.clear()


def _says(error: GatewayError, word: str) -> bool:
    if not isinstance(error, RequestFailed):
        return False
    details = error.details or {}
    told = (error.code, error.detail_code, details.get("code"), details.get("reason"), error.message)
    return any(isinstance(one, str) and word.lower() in one.lower() for one in told)


def _too_old(error: GatewayError) -> MethodUnavailable:
    version = error.gateway_version or ""
    this = f"; this is {version}" if version[:1].isdigit() else ""
    return MethodUnavailable(
        message=error.message,
        remedy=f"A tool host needs gateway {FIRST_RELEASE}{this}: update the gateway",
        method=UPDATE_TOOLS,
        code=error.code if isinstance(error, RequestFailed) else None,
        gateway_version=error.gateway_version,
        connection_id=error.connection_id,
    )
