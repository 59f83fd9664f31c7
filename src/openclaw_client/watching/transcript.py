"""Which rows of a session a reader was told: each once, in order, from events and from the history. Pure.

Rows come by events, which leave some out, and on pages of the history, which repeat what was told. Both name a row by
its id; the history of 2026.2.17 has none, and there a row is known by what it says and when.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Sequence
from math import inf
from typing import Final

from openclaw_client.wire.history import HistoryMessage, HistoryPage

MAX_KNOWN: Final = 2_000
"""Rows that are remembered as told: two of the longest pages. Older ones stand before all that is looked at."""


class ToldRows:
    """The rows of one session, as far as its reader is concerned. begun: whether the first page was there."""

    def __init__(self) -> None:
        self.begun = False
        self._known: OrderedDict[str, None] = OrderedDict()
        self._last_seq: int | None = None
        self._last_at = -inf

    def begin(self, page: HistoryPage, count: int, heard: Sequence[HistoryMessage]) -> list[HistoryMessage]:
        """What stands on the first page is from before, but for the rows that were heard meanwhile.

        Returns:
            The last `count` rows from before.
        """
        self.begun = True
        new = {identity(row) for row in heard}
        before = [row for row in page.messages if identity(row) not in new]
        # In an empty session the first row is the next one.
        self._last_seq = 0
        for row in before:
            self._note(row)
        return before[-count:] if count else []

    def reached_by(self, page: HistoryPage) -> bool:
        """Whether a page goes back to what is known."""
        return page.has_more is False or any(identity(row) in self._known for row in page.messages)

    def missing(self, page: HistoryPage) -> list[HistoryMessage]:
        """The rows of a page that were not told, in order."""
        rows = page.messages
        first = next((place for place, row in enumerate(rows) if identity(row) in self._known), None)
        if first is not None:
            return [row for row in rows[first + 1 :] if identity(row) not in self._known]
        # The session was begun anew, or what is known is further back than pages go.
        return [row for row in rows if row.timestamp is None or row.timestamp >= self._last_at]

    def take(self, rows: Collection[HistoryMessage]) -> list[HistoryMessage]:
        """Those of the rows that were not told before; from now on they were."""
        taken = []
        for row in rows:
            if identity(row) not in self._known:
                self._note(row)
                taken.append(row)
        return taken

    def is_gap(self, row: HistoryMessage) -> bool:
        """Whether rows stand between the last one and this, which no event told."""
        seq = sequence_of(row)
        return seq is not None and self._last_seq is not None and seq > self._last_seq + 1

    def _note(self, row: HistoryMessage) -> None:
        self._known[identity(row)] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        self._last_seq = sequence_of(row) or self._last_seq
        if row.timestamp is not None:
            self._last_at = max(self._last_at, row.timestamp)


def sequence_of(row: HistoryMessage) -> int | None:
    """The place of a row in its session, from 1; None where the gateway does not say."""
    meta = row.get("__openclaw")
    seq = meta.get("seq") if isinstance(meta, dict) else None
    return seq if type(seq) is int and seq > 0 else None


def identity(row: HistoryMessage) -> str:
    """By what a row is known again."""
    if row.id is not None:
        return row.id
    said = f"{row.role}\0{row.timestamp}\0{row.text}"
    return hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=16).hexdigest()
