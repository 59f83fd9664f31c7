"""The name servers of the simulation, in the place of the system's lookup; some are dead, slow or wrong for a while."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from typing import Literal

import pytest

from openclaw_client.errors import Unreachable
from openclaw_client.policy.urls import GatewayUrl, parse_url
from openclaw_client.transport import lookups
from openclaw_client.transport.failures import failure_of, unreachable
from openclaw_client.transport.lookups import Addresses, Lookups, OnFound, look_up
from tests.simulation.world import now

PATIENCE = (10.0, 30.0, 60.0)
"""Seconds after which the system gives a lookup up: two rounds of five with one name server, half a minute with three
(resolv.conf), and longer where it asks others than them."""
NOWHERE = "192.0.2.1"
"""An address where nothing listens."""

Fault = Literal["dead", "slow", "unknown", "elsewhere"]
FAULTS: tuple[Fault, ...] = ("dead", "slow", "unknown", "elsewhere")


class Name:
    """A host's name. address: what it stands for. well_since: since when it is looked up as it should be, with no
    lookup left from before; None while it is not."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.well_since: float | None = now()
        self.fault: Fault | None = None
        self.stuck = 0

    def fail(self, fault: Fault) -> None:
        self.fault, self.well_since = fault, None

    def mend(self) -> None:
        self.fault = None
        self.look()

    def look(self) -> None:
        # The lookups of a dead server end when the system gives them up, and until then its users may wait for them.
        if self.fault is None and self.well_since is None and not self.stuck:
            self.well_since = now()


class Names:
    """All names of a world; an address is its own. most_of_one, most: lookups that were under way at once."""

    def __init__(self, rand: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self._rand = rand
        self._names: dict[str, Name] = {}
        self._running: Counter[str] = Counter()
        self.most_of_one = self.most = 0
        self.lookups = Lookups(self._ask)
        monkeypatch.setitem(lookups._lookups, asyncio.get_running_loop(), self.lookups)

    def add(self, host: str, address: str) -> Name:
        self._names[host] = made = Name(address)
        return made

    def of(self, url: str) -> Name | None:
        """The name in a URL; None for an address."""
        return self._names.get(parse_url(url).host)

    async def reach(self, url: GatewayUrl) -> None:
        """Return where the URL's host leads to its gateway. Raises Unreachable where it does not."""
        try:
            found = await look_up(url.host, url.port)
        except OSError as error:
            raise unreachable(*failure_of(error, secure=url.secure), url.redacted) from error
        if found[0][4][0] == NOWHERE:
            raise Unreachable(message="nothing listens there", detail_code="CONNECTION_REFUSED")

    @property
    def over(self) -> bool:
        """Whether nothing is looked up, and nobody waits for it."""
        return not self._running.total() and self.lookups.unused

    def _ask(self, host: str, answer: OnFound) -> None:
        name, draw = self._names[host], self._rand.uniform
        found: Addresses | OSError = _addresses(name.address)
        took = draw(0.001, 0.03)
        match name.fault:
            case "dead":
                found, took = socket.gaierror(socket.EAI_AGAIN, "not now"), self._rand.choice(PATIENCE)
            case "slow":
                took = draw(0.5, 9.0)
            case "unknown":
                found = socket.gaierror(socket.EAI_NONAME, "no such name")
            case "elsewhere":
                found = _addresses(NOWHERE)
        self._begun(host, name)
        asyncio.get_running_loop().call_later(took, self._answered, host, name, name.fault is not None, answer, found)

    def _begun(self, host: str, name: Name) -> None:
        self._running[host] += 1
        name.stuck += name.fault is not None
        self.most_of_one = max(self.most_of_one, self._running[host])
        self.most = max(self.most, self._running.total())

    def _answered(self, host: str, name: Name, was_stuck: bool, answer: OnFound, found: Addresses | OSError) -> None:
        self._running[host] -= 1
        name.stuck -= was_stuck
        name.look()
        answer(found)


def _addresses(address: str) -> Addresses:
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 0))]
