"""Name lookups: shared by all who ask for the same name, on threads of their own.

The system's lookup blocks for as long as its name server does not answer. On a pool that all share, the users of one
dead name would take every thread of it; so a name has two threads at most, and no other blocking call waits behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from openclaw_client import os_threads

Addresses: TypeAlias = list[tuple[Any, ...]]
OnFound: TypeAlias = Callable[[Addresses | BaseException], None]
"""Takes what a lookup found or failed with, from any thread."""
Resolver: TypeAlias = Callable[[str, OnFound], None]
"""Begins the lookup of a host without blocking. Raises RuntimeError where there is no thread for it."""

PER_NAME = 2
"""Lookups of one name at once: one that everybody waits for, and one more where that is stuck."""
STUCK = 5.0
"""Seconds after which a lookup is not waited for by those who come then; the system asks the next name server after
five."""
AT_ONCE = 64
"""Names that are looked up at once on one event loop, each on a thread that ends with it: all but one of them can be
dead without holding up another. Those beyond wait in order."""
SPARE = 16
"""Further lookups of names whose first one is stuck; of their own, since dead names would take the others' by them."""


class _Lookup:
    """since: when it began; None while it waits. again: whether it is one more of a name."""

    __slots__ = ("again", "done", "host", "since", "wanted")

    def __init__(self, host: str, done: asyncio.Future[Addresses], *, again: bool) -> None:
        self.host = host
        self.again = again
        self.since: float | None = None
        self.wanted = 0
        self.done = done


class Lookups:
    """The lookups of one event loop. resolver: what is asked; other than the system's where there are no threads."""

    # The loop is asked for each time: kept here, it would keep itself alive for ever by way of the table below.

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver or _system_resolver
        self._by_name: dict[str, list[_Lookup]] = {}
        self._waiting: dict[_Lookup, None] = {}
        self._running = 0
        self._again = 0

    @property
    def unused(self) -> bool:
        """Whether nothing is looked up."""
        return not self._by_name and not self._waiting and not self._running and not self._again

    async def find(self, host: str, port: int) -> Addresses:
        """What `socket.getaddrinfo` gives for a TCP connection; raises what it raises."""
        lookup = self._join(host)
        lookup.wanted += 1
        try:
            # Others wait for it, too.
            found = await asyncio.shield(lookup.done)
        finally:
            lookup.wanted -= 1
            if not lookup.wanted and lookup in self._waiting:
                del self._waiting[lookup]
                self._forget(lookup)
        # The port is no part of a name: a dead one has two lookups also where many gateways are behind it.
        return [(*kind, (address[0], port, *address[2:])) for *kind, address in found]

    def _join(self, host: str) -> _Lookup:
        lookups = self._by_name.setdefault(host, [])
        if lookups and not (self._is_stuck(lookups[-1]) and len(lookups) < PER_NAME and self._again < SPARE):
            return lookups[-1]
        lookup = _Lookup(host, asyncio.get_running_loop().create_future(), again=bool(lookups))
        lookups.append(lookup)
        if lookup.again or self._running < AT_ONCE:
            self._start(lookup)
        else:
            self._waiting[lookup] = None
        return lookup

    def _is_stuck(self, lookup: _Lookup) -> bool:
        return lookup.since is not None and asyncio.get_running_loop().time() - lookup.since >= STUCK

    def _start(self, lookup: _Lookup) -> None:
        loop = asyncio.get_running_loop()
        lookup.since = loop.time()
        self._count(lookup, 1)

        def found(result: Addresses | BaseException) -> None:
            # The loop may be closed by then, and nobody waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._end, lookup, result)

        try:
            self._resolver(lookup.host, found)
        except RuntimeError as error:
            # The process may have no more threads at this moment.
            found(OSError(errno.EAGAIN, f"the name lookup cannot begin: {error}"))

    def _end(self, lookup: _Lookup, found: Addresses | BaseException) -> None:
        self._count(lookup, -1)
        self._forget(lookup)
        if isinstance(found, BaseException):
            lookup.done.set_exception(found)
            # Looked at here: those who waited may have left.
            lookup.done.exception()
        else:
            lookup.done.set_result(found)
        while self._waiting and self._running < AT_ONCE:
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._start(following)

    def _count(self, lookup: _Lookup, change: int) -> None:
        if lookup.again:
            self._again += change
        else:
            self._running += change

    def _forget(self, lookup: _Lookup) -> None:
        lookups = self._by_name[lookup.host]
        lookups.remove(lookup)
        if not lookups:
            del self._by_name[lookup.host]


def _system_resolver(host: str, on_found: OnFound) -> None:
    def work() -> None:
        found: Addresses | BaseException
        try:
            found = os_threads.original("socket", "getaddrinfo")(host, None, type=socket.SOCK_STREAM)
        except BaseException as error:  # noqa: BLE001 - handed to who waits, whatever it is
            found = error
        on_found(found)

    os_threads.start(work, "openclaw-lookup")


_lookups: WeakKeyDictionary[asyncio.AbstractEventLoop, Lookups] = WeakKeyDictionary()


async def look_up(host: str, port: int) -> Addresses:
    """The addresses of a host as `socket.getaddrinfo` gives them; no lookup for what is an address already."""
    known = _as_address(host, port)
    if known is not None:
        return [known]
    loop = asyncio.get_running_loop()
    lookups = _lookups.get(loop)
    if lookups is None:
        lookups = _lookups[loop] = Lookups()
    return await lookups.find(host, port)


def _as_address(host: str, port: int) -> tuple[Any, ...] | None:
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            # No address of this family; one with a scope id (fe80::1%eth0) is looked up.
            continue
        return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, *rest)
    return None
