"""How far a session is known: a value of digests, which another process can go on from.

Pure. Digests are of 64 bits and the same in every process. Texts are not kept: a place that is stored holds nobody's
words. What a history page means by it is decided in `runs.catchup`.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Final, NamedTuple, TypeVar

from openclaw_client.runs.words import as_written_down, bare, short_digest, with_endings
from openclaw_client.wire.history import HistoryMessage, HistoryPage

MAX_WORDS = 64
"""Messages of a session that are remembered by their words, of those sent and of those heard, for releases whose rows
name no run; those that were heard before move the place forward."""
MAX_FRESH = 1000
"""Messages that are heard while a page is asked for: no page has more. The oldest is forgotten beyond that, and may
then be told twice where rows name no run; it is never lost."""
MAX_IDS = 256
"""Runs and messages that are known by their ids: four times those that are known by words."""

CUTS: Final = (8_000, 12_000, 100_000)
"""Where gateways cut a text on a page, in the units of UTF-16 that their language counts: by themselves, on 2026.2.17,
and as this client asks for it."""
FORMAT: Final = 1
"""How the digests are packed; whatever begins otherwise is of another version and counts as none."""

_SIZE: Final = 8
_HALF: Final = "\ufffd"
"""What stands for half a character, at the end of a text that was cut there."""

T = TypeVar("T")


class Words(NamedTuple):
    """A message that was sent: the length and the digest of its text, as it is written down."""

    length: int
    digest: bytes


class Heard(NamedTuple):
    """A message that was heard. digests: of its text without white space, then of that of each part up to a cut; one
    behind the other. at_ms: the gateway's clock."""

    digests: bytes
    at_ms: float

    @property
    def whole(self) -> bytes:
        """The digest of the whole text."""
        return self.digests[:_SIZE]

    def has(self, digest: bytes, *, cut: bool) -> bool:
        """Whether the text is this one, or, where that was cut, begins so."""
        if self.whole == digest:
            return True
        return cut and any(
            self.digests[start : start + _SIZE] == digest for start in range(_SIZE, len(self.digests), _SIZE)
        )


class PackedPlace(NamedTuple):
    """A place as it is stored. ids, sent and said: digests, see `Place`."""

    since_ms: float
    row_id: str | None = None
    session_id: str | None = None
    ids: bytes = b""
    sent: bytes = b""
    said: bytes = b""


@dataclass(slots=True)
class Place:
    """How far a session is known.

    since_ms: the gateway's clock from when on it was listened to, or of the last row that was looked at; row_id: that
    row, where rows have ids. session_id: the conversation that the page was of. sent, said: what was sent and heard
    since. fresh: what is heard between `ask` and `settle`, apart: it may stand on the page that is asked for or not,
    and would push out what was heard before, by which that page is understood. That lasts until a page was looked at:
    else the place would move past what was missed. ids: the runs and messages that are known, for a process that did
    not hear them itself. looked: the last rows of the messages behind the place that were looked at, where a run that
    goes on keeps the place in front of them: words tell once whether a message was heard. opened: runs of which another
    process heard the beginning, or that ended while nobody listened, until a page was looked at.
    """

    since_ms: float
    row_id: str | None = None
    session_id: str | None = None
    sent: deque[Words] = field(default_factory=deque)
    said: deque[Heard] = field(default_factory=deque)
    fresh: deque[Heard] | None = None
    ids: deque[bytes] = field(default_factory=deque)
    looked: frozenset[bytes] = frozenset()
    opened: frozenset[bytes] = frozenset()

    def note_sent(self, message: str) -> None:
        """A message of this client's own is on its way."""
        words = as_written_down(message)
        if words:
            self.sent.append(Words(len(words), short_digest(words)))
            if len(self.sent) > MAX_WORDS:
                self.sent.popleft()

    def note_open(self, message: str) -> None:
        """A message of one's own is open, as was written down before it went out: what its process noted behind that
        may be lost."""
        words = as_written_down(message)
        if words and Words(len(words), short_digest(words)) not in self.sent:
            self.note_sent(message)

    def heard(self, text: str, at_ms: float) -> None:
        """A whole message was heard, whoever asked for it."""
        entry = Heard(_digests(text), at_ms)
        if self.fresh is None:
            self._note(entry)
            return
        self.fresh.append(entry)
        if len(self.fresh) > MAX_FRESH:
            self.fresh.popleft()

    def note_known(self, *run_ids: str) -> None:
        """Runs are this client's own, or their messages were handed out."""
        for digest in map(short_digest, run_ids):
            if digest in self.ids:
                self.ids.remove(digest)
            self.ids.append(digest)
        while len(self.ids) > MAX_IDS:
            self.ids.popleft()

    def has_looked_at(self, row_id: str | None) -> bool:
        """Whether the row is the last one of a message behind the place that was looked at."""
        return row_id is not None and bool(self.looked) and short_digest(row_id) in self.looked

    def note_looked_at(self, row_ids: Iterable[str | None]) -> None:
        """A page was looked at; these are the last rows of the messages behind the place."""
        self.looked = frozenset(short_digest(row_id) for row_id in row_ids if row_id is not None)
        self.opened = frozenset()

    def note_unheard(self, run_id: str) -> None:
        """A run ended while nobody listened: its message is news, whenever it began."""
        if len(self.opened) < MAX_IDS:
            self.opened |= {short_digest(run_id)}

    def ask(self) -> None:
        """A page is asked for."""
        if self.fresh is None:
            self.fresh = deque()

    def settle(self) -> None:
        """The page was looked at, or there is none for anybody."""
        fresh, self.fresh = self.fresh or (), None
        for entry in fresh:
            self._note(entry)

    def reached_by(self, page: HistoryPage) -> bool:
        """Whether a page goes back to this place, so that nothing is missing between the two."""
        if page.has_more is False:
            return True
        return any(self._is_before(row) or row.id == self.row_id is not None for row in page.messages)

    def start(self, rows: Sequence[HistoryMessage]) -> int | None:
        """The index of the first row behind the place, where rows have ids and the row is there."""
        found = [index for index, row in enumerate(rows) if row.id == self.row_id is not None]
        return found[-1] + 1 if found else None

    def is_behind(self, row: HistoryMessage) -> bool:
        return row.timestamp is not None and not self._is_before(row)

    def cut_rows(self, page: HistoryPage) -> list[HistoryMessage]:
        """The rows behind the place of whose words the gateway gives only a part."""
        start = self.start(page.messages) or 0
        rows = [row for row in page.messages[start:] if row.role == "assistant" and row.is_cut]
        return [row for row in rows if not self._is_before(row)]

    def consume(self, text: str, *, cut: bool = False) -> bool:
        """Whether a message of this text was heard; for one row each. cut: there is more of the text."""
        digest = digest_of_heard(text.removesuffix(_HALF) if cut else text)
        # Of what was left out whole nothing is known: any text begins so.
        anything = cut and not text
        for heard in (self.said, self.fresh):
            found = next((entry for entry in heard or () if anything or entry.has(digest, cut=cut)), None)
            if heard is not None and found is not None:
                heard.remove(found)
                return True
        return False

    def consume_sent(self, text: str) -> bool:
        """Whether a user's row is a message of this client's own; for one row each."""
        whole, lengths = with_endings(text)
        same = Words(len(whole), short_digest(whole))
        # Words with something in front of them may be another client's message, which only ends with these.
        found = same if same in self.sent else next((one for one in self.sent if _ends(whole, lengths, one)), None)
        if found is not None:
            self.sent.remove(found)
        return found is not None

    def packed(self, open_runs: Iterable[str] = ()) -> PackedPlace:
        """The place as it can be stored.

        Args:
            open_runs: The runs of the session that were heard to begin, and not to end.
        """
        opened = sorted(self.opened.union(map(short_digest, open_runs)))[:MAX_IDS]
        fresh = self.fresh or ()
        return PackedPlace(
            self.since_ms,
            self.row_id,
            self.session_id,
            _packed(_pack_digests, self.ids, sorted(self.looked), opened),
            _packed(_pack_sent, self.sent),
            _packed(_pack_heard, self.said, tuple(islice(fresh, max(0, len(fresh) - MAX_WORDS), None))),
        )

    @staticmethod
    def unpacked(packed: PackedPlace) -> Place:
        """The place that was stored. Digests of another format, and those that are broken, count as none: what they
        stood for may be told twice, and nothing is lost."""
        place = Place(packed.since_ms, packed.row_id, packed.session_id)
        ids = _unpacked(packed.ids, 3, _read_digest)
        (sent,) = _unpacked(packed.sent, 1, _read_sent)
        said, fresh = _unpacked(packed.said, 2, _read_heard)
        place.ids.extend(ids[0][-MAX_IDS:])
        place.looked, place.opened = frozenset(ids[1]), frozenset(ids[2])
        place.sent.extend(sent[-MAX_WORDS:])
        place.said.extend(said[-MAX_WORDS:])
        if fresh:
            place.fresh = deque(fresh[-MAX_FRESH:])
        return place

    def _note(self, entry: Heard) -> None:
        self.said.append(entry)
        if len(self.said) > MAX_WORDS:
            self.since_ms = max(self.since_ms, self.said.popleft().at_ms)

    def _is_before(self, row: HistoryMessage) -> bool:
        return row.timestamp is not None and row.timestamp < self.since_ms


def digest_of_heard(text: str) -> bytes:
    """The digest of a text that was heard, or of as much of it as a gateway gives."""
    return short_digest(bare(text))


def _digests(text: str) -> bytes:
    digests = [digest_of_heard(text)]
    if len(text) > CUTS[0] // 2:
        # Half a character at the end is left out, as where the row is read.
        units = text.encode("utf-16-le", "surrogatepass")
        digests += [
            digest_of_heard(units[: 2 * cut].decode("utf-16-le", "ignore")) for cut in CUTS if len(units) > 2 * cut
        ]
    return b"".join(digests)


def _ends(whole: str, lengths: frozenset[int], sent: Words) -> bool:
    return sent.length in lengths and short_digest(whole[-sent.length :]) == sent.digest


# Storing: the format, then each list behind its length.


def _packed(pack: Callable[[T], bytes], *lists: Sequence[T] | deque[T]) -> bytes:
    if not any(lists):
        return b""
    parts = [bytes((FORMAT,))]
    for one in lists:
        parts.append(struct.pack(">H", len(one)))
        parts += map(pack, one)
    return b"".join(parts)


def _pack_digests(digest: bytes) -> bytes:
    return digest


def _pack_sent(sent: Words) -> bytes:
    return struct.pack(">I", sent.length) + sent.digest


def _pack_heard(heard: Heard) -> bytes:
    return struct.pack(">dB", heard.at_ms, len(heard.digests) // _SIZE) + heard.digests


class _Reader:
    """Reads from the front; ValueError or struct.error where there is too little."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise ValueError(f"{size} bytes were expected")
        self._at += size
        return taken

    def number(self, kind: str) -> int:
        (number,) = struct.unpack(kind, self.take(struct.calcsize(kind)))
        return int(number)


def _unpacked(data: bytes, lists: int, read: Callable[[_Reader], T]) -> list[list[T]]:
    nothing: list[list[T]] = [[] for _ in range(lists)]
    if data[:1] != bytes((FORMAT,)):
        return nothing
    reader = _Reader(data[1:])
    try:
        found = [[read(reader) for _ in range(reader.number(">H"))] for _ in range(lists)]
    except ValueError:
        return nothing
    return found if reader.is_over else nothing


def _read_digest(reader: _Reader) -> bytes:
    return reader.take(_SIZE)


def _read_sent(reader: _Reader) -> Words:
    return Words(reader.number(">I"), reader.take(_SIZE))


def _read_heard(reader: _Reader) -> Heard:
    (at_ms,) = struct.unpack(">d", reader.take(8))
    if not isfinite(at_ms):
        raise ValueError("no time")
    count = reader.number(">B")
    if count < 1:
        raise ValueError("no digest")
    return Heard(reader.take(_SIZE * count), at_ms)
