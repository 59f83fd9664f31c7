"""Unasked messages that wait while a message of one's own is answered elsewhere: one of them may be that answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.runs.words import bare
from openclaw_client.wire.chat import TEXT_TYPES

MAX_HELD = 64
"""Messages of a session; a chat has fewer in ten seconds."""
MAX_HELD_BYTES = 1 << 20
"""Of their texts and of all else that they hold: an image may be most of it."""
HELD_FOR = 10.0
"""Seconds: the look that tells whose a message is comes 0.1 s behind its end, and a busy gateway takes seconds."""
MAX_EXPECTED = 16
"""Answers that were found in the history before they came as an event."""


class HeldMessages:
    """Of one session, in order. hand_out gets what is nobody's own; swallowed, the run of what is.

    holders: runs that still wait for their answer. closed is called when the last of them has it and nothing is kept.
    """

    def __init__(
        self,
        hand_out: Callable[[ProactiveMessage], None],
        swallowed: Callable[[str], None],
        closed: Callable[[], object],
    ) -> None:
        self.holders = 0
        self._hand_out = hand_out
        self._swallowed = swallowed
        self._closed = closed
        self._waiting: deque[tuple[ProactiveMessage, float, int, bool]] = deque()
        self._size = 0
        self._expected: deque[tuple[str, float]] = deque(maxlen=MAX_EXPECTED)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether messages are kept."""
        return bool(self._waiting)

    def add(self, message: ProactiveMessage, *, wanted: bool = True) -> None:
        """A message was heard. wanted: whether it is handed out in the end; else it is only looked at."""
        if self._is_expected(message):
            return
        if not self.holders:
            if wanted:
                self._hand_out(message)
            return
        now, size = asyncio.get_running_loop().time(), size_of(message)
        self._waiting.append((message, now + HELD_FOR, size, wanted))
        self._size += size
        while len(self._waiting) > MAX_HELD or self._size > MAX_HELD_BYTES:
            self._hand_out_first()
        self._arm()

    def release(self, run_id: str | None = None, text: str | None = None) -> str | None:
        """A run has its end. The one message of this run or, where rows name no run, of this text was its answer.

        Returns the run of that message, where it was heard.
        """
        self.holders -= 1
        if run_id is not None:
            self._swallowed(run_id)
        heard = self._swallow(run_id, bare(text or "")) if run_id is not None or text else None
        if not self.holders:
            while self._waiting:
                self._hand_out_first()
        self._arm()
        return heard

    def _swallow(self, run_id: str | None, words: str) -> str | None:
        for index, (message, _, size, _) in enumerate(self._waiting):
            if message.run_id == run_id if run_id is not None else bare(message.text) == words:
                del self._waiting[index]
                self._size -= size
                return message.run_id
        if run_id is None:
            self._expected.append((words, asyncio.get_running_loop().time() + HELD_FOR))
        return None

    def _is_expected(self, message: ProactiveMessage) -> bool:
        now, words = asyncio.get_running_loop().time(), bare(message.text)
        for entry in self._expected:
            if entry[0] == words and now < entry[1]:
                self._expected.remove(entry)
                return True
        return False

    def _hand_out_first(self) -> None:
        message, _, size, wanted = self._waiting.popleft()
        self._size -= size
        if wanted:
            self._hand_out(message)

    def _arm(self) -> None:
        """Set the timer for the first message, or for the last answer that is expected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            due = self._waiting[0][1]
        elif self._expected and not self.holders:
            due = self._expected[-1][1]
        elif not self.holders:
            self._closed()
            return
        else:
            return
        self._timer = asyncio.get_running_loop().call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0][1] <= now:
            self._hand_out_first()
        while self._expected and self._expected[0][1] <= now:
            self._expected.popleft()
        self._arm()


def size_of(message: ProactiveMessage) -> int:
    """Bytes, about: of the text, and of the blocks that are none."""
    kinds = ((block, block.get("type")) for block in message.content)
    others = [block for block, kind in kinds if not (isinstance(kind, str) and kind in TEXT_TYPES)]
    return len(message.text) + (len(msgspec.json.encode(others)) if others else 0)
