"""Who is connected, and who comes, goes or waits: every decision of a manager.

Without a clock (`now` is an argument), without I/O and without a lock: the caller holds one around each call, and
carries out what was decided outside it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Generic, Protocol, TypeAlias, TypeVar

from openclaw_client.errors import AuthRejected, GatewayError, ManagerError, RateLimited
from openclaw_client.manager.credentials import Credentials
from openclaw_client.manager.status import Phase

REMEMBERED = 10_000
"""Users whose refusal is remembered at most; the oldest are forgotten first."""
REFUSAL_MEMORY = 300.0
"""Seconds for which refused credentials are not tried again. A gateway counts refusals per address and locks out
everybody behind it, by default for this long; a user's page that reloads must not bring that about."""


class ConnectGate(Protocol):
    """What callers wait at while another one opens or closes a user's connection."""

    def set(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ClientSnapshot:
    """What a client is doing now. alive: connected, or about to be by itself. idle: seconds."""

    alive: bool
    connected: bool
    busy: bool
    idle: float


class _Open:
    """The gate of every slot that is open: nobody waits there."""

    def set(self) -> None: ...


_OPEN = _Open()


class SlotState(Enum):
    """Where a slot is in its life."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


C = TypeVar("C")


@dataclass(slots=True, eq=False)
class Slot(Generic[C]):
    """The connection of one user. Used once: the next connection of the user has another.

    gate: open when the slot is neither opening nor closing any more. stale: a client of the user that this slot's is to
    follow. failure: why it did not open. asked_at: when credentials were last asked for. used_at: when the connection
    was last handed out.
    """

    user: Hashable
    gate: ConnectGate
    state: SlotState = SlotState.OPENING
    client: C | None = None
    stale: C | None = None
    credentials: Credentials | None = None
    failure: GatewayError | None = None
    asked_at: float = -inf
    used_at: float = -inf
    holds: int = 0
    device: object = None


@dataclass(frozen=True, slots=True)
class Use(Generic[C]):
    """Hand out the slot's client."""

    slot: Slot[C]


@dataclass(frozen=True, slots=True)
class AskCredentials(Generic[C]):
    """Ask for the user's credentials again, then call `asked`."""

    slot: Slot[C]


@dataclass(frozen=True, slots=True)
class Open(Generic[C]):
    """Close what is stale, connect, then call `opened` or `failed`."""

    slot: Slot[C]


@dataclass(frozen=True, slots=True)
class MakeRoom(Generic[C]):
    """Close the slot's client if it is still idle, then call `closed` or `kept`, and ask again."""

    slot: Slot[C]


@dataclass(frozen=True, slots=True)
class WaitAtGate(Generic[C]):
    """Wait at the gate, and ask again."""

    slot: Slot[C]
    gate: ConnectGate


Decision: TypeAlias = Use[C] | AskCredentials[C] | Open[C] | MakeRoom[C] | WaitAtGate[C]


@dataclass(slots=True)
class _Refusal:
    credentials: Credentials
    error: GatewayError
    until: float


@dataclass(slots=True)
class Limits:
    """max_connections: users at once. idle_timeout: seconds, None for never. ttl: seconds that credentials hold."""

    max_connections: int
    idle_timeout: float | None
    ttl: float
    share_devices: bool = False


@dataclass(slots=True)
class Table(Generic[C]):
    """observe(client) says what a client is doing; gate() makes a closed gate."""

    limits: Limits
    observe: Callable[[C], ClientSnapshot]
    gate: Callable[[], ConnectGate]
    phase: Phase = "open"
    slots: dict[Hashable, Slot[C]] = field(default_factory=dict)
    _refusals: OrderedDict[Hashable, _Refusal] = field(default_factory=OrderedDict)
    _devices: dict[object, Hashable] = field(default_factory=dict)

    def acquire(self, user: Hashable, now: float, settled: Slot[C] | None = None, *, hold: bool = False) -> Decision[C]:
        """What to do for a caller. settled: the slot whose credentials are known to be the newest for this call.

        Raises ManagerError when the manager is closed or draining, and when every connection is in use.
        """
        if self.phase != "open":
            raise ManagerError(
                message=f"the manager is {self.phase}", remedy="Make a new one, or refuse the work while this one ends"
            )
        slot = self.slots.get(user)
        if slot is None:
            return self._make_room(now) or Open(self._new_slot(user))
        if slot.state is not SlotState.OPEN:
            return WaitAtGate(slot, slot.gate)
        assert slot.client is not None
        if not self.observe(slot.client).alive:
            return Open(self._follow(slot))
        if slot is not settled and now - slot.asked_at >= self.limits.ttl:
            return AskCredentials(slot)
        slot.used_at = now
        slot.holds += hold
        return Use(slot)

    def asked(self, slot: Slot[C], given: Credentials, now: float) -> Open[C] | None:
        """The credentials of now: None where the connection serves them, else open another one."""
        slot.asked_at = now
        if self.slots.get(slot.user) is not slot or slot.state is not SlotState.OPEN:
            # Somebody else has decided in the meantime.
            return None
        assert slot.credentials is not None
        if slot.credentials.same_connection(given):
            slot.credentials = given
            return None
        return Open(self._follow(slot))

    def refusal(self, user: Hashable, given: Credentials, now: float) -> GatewayError | None:
        """The error with which these credentials of this user were refused a short while ago."""
        refusal = self._refusals.get(user)
        if refusal is None:
            return None
        if now < refusal.until and refusal.credentials.same_connection(given):
            return refusal.error
        del self._refusals[user]
        return None

    def withdrawn(self, user: Hashable, given: Credentials | None) -> Credentials | None:
        """What a gateway refused of this user, where other credentials take its place; given: None where none do."""
        refusal = self._refusals.get(user)
        if refusal is None or (given is not None and refusal.credentials.same_connection(given)):
            return None
        return refusal.credentials

    def claim_device(self, slot: Slot[C], given: Credentials) -> None:
        """Raises ManagerError where another user is connected with the same device identity.

        And where the slot is not wanted any more: nobody would give back what it claimed.
        """
        if self.slots.get(slot.user) is not slot:
            raise gone()
        device = given.device_key()
        if device is None or self.limits.share_devices:
            return
        if self._devices.setdefault(device, slot.user) != slot.user:
            raise ManagerError(
                message="two users were given one device identity",
                remedy="Give each a store of its own in credentials(), or pass share_devices=True",
            )
        slot.device = device

    def opened(self, slot: Slot[C], client: C, given: Credentials, now: float) -> bool:
        """The connection is there. False where it is not wanted any more: the caller closes it."""
        if self.slots.get(slot.user) is not slot:
            return False
        slot.client, slot.credentials = client, given
        slot.asked_at = slot.used_at = now
        slot.state, slot.failure = SlotState.OPEN, None
        self._refusals.pop(slot.user, None)
        self._pass(slot)
        return True

    def failed(self, slot: Slot[C], error: BaseException, given: Credentials | None, now: float) -> None:
        """There is no connection. Waiters get the same error if it is a GatewayError; else each tries again."""
        self._drop(slot)
        slot.failure = error if isinstance(error, GatewayError) else None
        if given is not None and isinstance(error, AuthRejected | RateLimited):
            self._remember(slot.user, given, error, now)
        slot.gate.set()

    def release(self, slot: Slot[C], now: float) -> None:
        """The end of a hold."""
        slot.holds -= 1
        slot.used_at = now

    def idle(self, now: float) -> list[Slot[C]]:
        """The slots to close for idleness; they are closing from now on. Call `closed` or `kept` for each."""
        timeout = self.limits.idle_timeout
        if timeout is None:
            return []
        due = [slot for slot in self._idle_slots() if self._idleness(slot, now) >= timeout]
        for slot in due:
            self._begin_closing(slot)
        return due

    def free(self) -> list[Slot[C]]:
        """The slots in which nothing is under way; closing from now on, as from `idle`."""
        free = list(self._idle_slots())
        for slot in free:
            self._begin_closing(slot)
        return free

    def next_idle(self, now: float) -> float:
        """Seconds until the next connection can be idle for long enough; inf where none can."""
        timeout = self.limits.idle_timeout
        if timeout is None or not self.slots:
            return inf
        times = [timeout - self._idleness(slot, now) for slot in self._idle_slots()]
        # Those in use are looked at again after a whole time-out.
        return max(0.0, min(times, default=timeout))

    def closed(self, slot: Slot[C]) -> None:
        """A closing slot's connection is closed."""
        self._drop(slot)
        slot.gate.set()

    def kept(self, slot: Slot[C]) -> None:
        """A closing slot's connection came into use again and was left open."""
        if self.slots.get(slot.user) is slot:
            slot.state = SlotState.OPEN
        self._pass(slot)

    def remove(self, user: Hashable) -> C | None:
        """Forget a user, refusals included; the client to close, if there is one."""
        self._refusals.pop(user, None)
        slot = self.slots.get(user)
        if slot is None:
            return None
        self._drop(slot)
        if slot.state is SlotState.OPENING:
            slot.failure = gone()
            slot.gate.set()
        return slot.client

    def died(self, user: Hashable, client: C, error: GatewayError, now: float) -> bool:
        """A client was given up. Whether it was the user's; a late word about an earlier one changes nothing."""
        slot = self.slots.get(user)
        if slot is None or slot.client is not client:
            return False
        if slot.credentials is not None and isinstance(error, AuthRejected):
            self._remember(user, slot.credentials, error, now)
        if slot.state is SlotState.OPEN:
            self._drop(slot)
        return True

    def clear(self, phase: Phase | None = None) -> list[C]:
        """Forget everybody, and enter a phase; the clients to close."""
        self.phase = phase or self.phase
        return [client for user in tuple(self.slots) if (client := self.remove(user)) is not None]

    def forget(self) -> None:
        """Everybody is gone, with nobody left to close anything."""
        self.slots.clear()
        self._devices.clear()

    def clients(self) -> Iterator[tuple[Slot[C], C]]:
        """The slots that have a client, with it."""
        for slot in tuple(self.slots.values()):
            if slot.client is not None:
                yield slot, slot.client

    def _make_room(self, now: float) -> MakeRoom[C] | WaitAtGate[C] | None:
        if len(self.slots) < self.limits.max_connections:
            return None
        victim = max(self._idle_slots(), key=lambda slot: self._idleness(slot, now), default=None)
        if victim is not None:
            self._begin_closing(victim)
            return MakeRoom(victim)
        leaving = next((slot for slot in self.slots.values() if slot.state is SlotState.CLOSING), None)
        if leaving is not None:
            return WaitAtGate(leaving, leaving.gate)
        raise ManagerError(
            message=f"all {self.limits.max_connections} connections are in use",
            remedy="Try again later, or allow more with max_connections=",
        )

    def _idle_slots(self) -> Iterator[Slot[C]]:
        for slot, client in self.clients():
            if slot.state is SlotState.OPEN and not slot.holds and not self.observe(client).busy:
                yield slot

    def _idleness(self, slot: Slot[C], now: float) -> float:
        """Seconds since the user's last use of any kind, asking for the connection included."""
        assert slot.client is not None
        return min(self.observe(slot.client).idle, now - slot.used_at)

    def _new_slot(self, user: Hashable) -> Slot[C]:
        slot = self.slots[user] = Slot(user, self.gate())
        return slot

    def _follow(self, slot: Slot[C]) -> Slot[C]:
        """A new slot for the user of an open one."""
        self._drop(slot)
        follower = self._new_slot(slot.user)
        follower.stale = slot.client
        return follower

    def _begin_closing(self, slot: Slot[C]) -> None:
        slot.state, slot.gate = SlotState.CLOSING, self.gate()

    def _pass(self, slot: Slot[C]) -> None:
        """Let in who waits, and keep no gate for a slot that may stay open for days."""
        slot.gate.set()
        slot.gate = _OPEN

    def _drop(self, slot: Slot[C]) -> None:
        if self.slots.get(slot.user) is slot:
            del self.slots[slot.user]
        if slot.device is not None and self._devices.get(slot.device) == slot.user:
            del self._devices[slot.device]
            slot.device = None

    def _remember(self, user: Hashable, given: Credentials, error: GatewayError, now: float) -> None:
        # A lock-out says nothing of the credentials: they may be tried again, and are known only to be withdrawn.
        lasts = REFUSAL_MEMORY if isinstance(error, AuthRejected) else 0.0
        self._refusals[user] = _Refusal(given, error, now + lasts)
        self._refusals.move_to_end(user)
        if len(self._refusals) > REMEMBERED:
            self._refusals.popitem(last=False)


def gone() -> ManagerError:
    """For those who wait for a connection that is not wanted any more."""
    return ManagerError(message="the user was disconnected while connecting", remedy="Ask again if that is past")
