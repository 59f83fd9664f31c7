"""How far the sessions of a client are known, and when somebody may write that down."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from math import inf

from openclaw_client.journal.protocol import KeptPlace
from openclaw_client.runs.place import PackedPlace, Place

MAX_PLACES = 1024
"""Sessions that are caught up with; the one that was least lately used is given up beyond that."""

TELL_OWN_AFTER = 0.5
"""Seconds from a message of one's own until its place is told, for many of them at once: less than until its run is off
the journal's list, out of which its words are known as well."""

OnPlace = Callable[[KeptPlace], None]


class Places:
    """By canonical keys; on the loop's thread.

    on_place is told of a place that changed once nothing of its session is held back: whoever writes down what was
    handed out, and then the place, loses nothing at whatever moment the process dies. is_held_back: whether something
    of a session is still to be handed out. open_runs: the runs of a session that were heard to begin, and not to end.
    """

    def __init__(
        self,
        on_place: OnPlace | None,
        is_held_back: Callable[[str], bool],
        open_runs: Callable[[str], list[str]],
    ) -> None:
        self._on_place = on_place
        self._is_held_back = is_held_back
        self._open_runs = open_runs
        self._by_key: OrderedDict[str, Place] = OrderedDict()
        self._untold: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        # When the last place was given up, by the gateway's clock. Nobody knows any more what was heard before in a
        # session that comes back: it would be told again.
        self._given_up = -inf

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Place | None:
        return self._by_key.get(key)

    def items(self) -> list[tuple[str, Place]]:
        return list(self._by_key.items())

    def ask(self, key: str) -> None:
        """A page is asked for."""
        self._by_key[key].ask()

    def restore(self, places: Iterable[KeptPlace]) -> None:
        """Go on from these; of too many, from the last ones."""
        for kept in places:
            packed = PackedPlace(kept.since_ms, kept.row_id, kept.session_id, kept.ids, kept.sent, kept.said)
            place = self._by_key[kept.session_key] = Place.unpacked(packed)
            self._by_key.move_to_end(kept.session_key)
            # Nothing that is heard now moves it before the page that tells what was missed.
            place.ask()
            if len(self._by_key) > MAX_PLACES:
                self._by_key.popitem(last=False)

    def use(self, key: str, since: float | None, now: float | None) -> Place | None:
        """The place of a session that is used now; a new one begins at `since`, where the gateway's clock is known."""
        place = self._by_key.get(key)
        if place is not None:
            self._by_key.move_to_end(key)
        elif since is not None:
            place = self._by_key[key] = Place(max(since, self._given_up))
            if len(self._by_key) > MAX_PLACES:
                given_up, _ = self._by_key.popitem(last=False)
                self._untold.discard(given_up)
                self._given_up = now or self._given_up
            # Told before anything is handed out of it: a session that nobody knows of is not caught up with.
            self.changed(key)
            self.tell(key)
        return place

    def changed(self, key: str) -> None:
        """A place is another one than was told."""
        if self._on_place is not None:
            self._untold.add(key)

    def tell(self, key: str) -> None:
        """Tell of a place that changed, unless something of its session is held back."""
        if key not in self._untold or self._on_place is None or self._is_held_back(key):
            return
        self._untold.discard(key)
        place = self._by_key.get(key)
        if place is not None:
            self._on_place(KeptPlace(key, *place.packed(self._open_runs(key))))

    def tell_soon(self) -> None:
        """`tell_all`, in a moment."""
        if self._untold and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL_OWN_AFTER, self.tell_all)

    def tell_all(self) -> None:
        """Tell of all places that changed and that can be told."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for key in tuple(self._untold):
            self.tell(key)
