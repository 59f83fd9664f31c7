"""What agents wait for from people: the approvals and questions that are pending, and how the latest of them ended.

Pure: every time is an argument. What is known to be over never comes back, wherever it is heard of again: a list that
was asked for may be older than the event that overtook it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question

MAX_PENDING = 256
"""Approvals and questions of one client that wait at a time. A person looks at some; a gateway that goes mad sends on.
What comes beyond that is left to others, and a warning says so."""
MAX_PENDING_BYTES = 4_194_304
"""Bytes of all of them, as they came: a command has some hundred, a script some ten thousand."""
MAX_CLOSED = 1024
"""InteractionEnd ones that are remembered, so that who answers late learns what became of it; some ten bytes each."""

Interaction: TypeAlias = Approval | Question
Kind: TypeAlias = Literal["approvals", "questions"]
KINDS: tuple[Kind, ...] = ("approvals", "questions")


class InteractionEnd(NamedTuple):
    """How one ended: the status, and for an approval the decision that counts."""

    status: str
    decision: str | None = None


@dataclass(slots=True)
class Pending:
    """One that waits.

    Attributes:
        item: The approval or question.
        run_id: The run of this client that waits for it; None where none is known.
        named: Whether the gateway itself named the run. Where it did not, the run was found by its session, and may end
            before its approval does (2026.2.17 to 2026.5.12).
        size: Bytes of it.
        over_at: When it is over by itself, by the monotonic clock.
        answering: Calls of this client that answer it at this moment.
        answer: What a handler answered while there was no connection; None for nothing.
    """

    item: Interaction
    run_id: str | None
    named: bool
    size: int
    over_at: float = inf
    answering: int = 0
    answer: object = None

    @property
    def kind(self) -> Kind:
        return kind_of(self.item)


def kind_of(item: Interaction) -> Kind:
    return "approvals" if isinstance(item, Approval) else "questions"


class InteractionTable:
    """Of one client. refused: those that found no room, and were not told to anybody."""

    __slots__ = ("_bytes", "_ended", "_lists", "_overtaken", "_pending", "refused")

    def __init__(self) -> None:
        self.refused = 0
        # Plain dicts, which keep the order: most clients never have any, and there are many clients.
        self._pending: dict[str, Pending] = {}
        self._ended: dict[str, InteractionEnd] = {}
        # Lists that are on their way, and the ends that were heard since: they may overtake a list. Anybody's.
        self._lists = 0
        self._overtaken: dict[str, None] = {}
        self._bytes = 0

    def add(self, item: Interaction, run_id: str | None, *, named: bool, over_at: float = inf) -> Pending | None:
        """One was heard of; what is made of it, or None where it is known already, over, or one too many."""
        if self.knows(item.id) or item.id in self._overtaken:
            return None
        size = len(msgspec.json.encode(item.raw))
        if len(self._pending) >= MAX_PENDING or self._bytes + size > MAX_PENDING_BYTES:
            self.refused += 1
            return None
        entry = self._pending[item.id] = Pending(item, run_id, named, size, over_at)
        self._bytes += size
        return entry

    def end(self, ident: str, ended: InteractionEnd) -> Pending | None:
        """One is over; what it was, or None where it was not pending. The first end counts."""
        entry = self._pending.pop(ident, None)
        if entry is None:
            if self._lists and ident not in self._ended:
                self._overtaken[ident] = None
                _shorten(self._overtaken)
            return None
        self._bytes -= entry.size
        self._ended[ident] = ended
        _shorten(self._ended)
        return entry

    def list_begun(self) -> None:
        """A list of what is pending was asked for."""
        self._lists += 1

    def list_ended(self) -> None:
        """It was read, or is not coming."""
        self._lists -= 1
        if not self._lists:
            self._overtaken.clear()

    def clear(self) -> None:
        """The connection is gone for good. What is over stays known."""
        self._pending.clear()
        self._bytes = 0

    def get(self, ident: str) -> Pending | None:
        return self._pending.get(ident)

    def ended(self, ident: str) -> InteractionEnd | None:
        """How one ended; None where it is pending, or nothing is remembered of it."""
        return self._ended.get(ident)

    def knows(self, ident: str) -> bool:
        """Whether one was ever handed out by this client, as far as it remembers."""
        return ident in self._pending or ident in self._ended

    def pending(self, kind: Kind | None = None) -> tuple[Pending, ...]:
        """Oldest first."""
        return tuple(entry for entry in self._pending.values() if kind is None or entry.kind == kind)

    def of_runs(self, run_ids: Collection[str]) -> tuple[Pending, ...]:
        """Those that these runs wait for."""
        return tuple(entry for entry in self._pending.values() if entry.run_id in run_ids)

    def unlisted(self, before: Iterable[Pending], listed: Collection[str]) -> tuple[Pending, ...]:
        """Of those that were pending before a list was asked for, the ones that still are and do not stand in it."""
        return tuple(entry for entry in before if entry.item.id not in listed and entry.item.id in self._pending)

    @property
    def next_end(self) -> float:
        """When the next one is over by itself; inf where none is."""
        return min((entry.over_at for entry in self._pending.values()), default=inf)

    def over(self, now: float) -> tuple[Pending, ...]:
        """Those whose time is over."""
        return tuple(entry for entry in self._pending.values() if entry.over_at <= now)


def _shorten(remembered: dict[str, Any]) -> None:
    while len(remembered) > MAX_CLOSED:
        del remembered[next(iter(remembered))]
