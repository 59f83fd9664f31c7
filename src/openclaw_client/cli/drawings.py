"""What is drawn on a terminal that somebody else may have for a while: at once, or when it is given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Draw = Callable[[], object]


class Drawings:
    """Those of one owner. lock: the owner's, which it holds when it draws."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._held: list[Draw] | None = None

    @property
    def are_held(self) -> bool:
        """Whether somebody else has the terminal."""
        return self._held is not None

    def add(self, draw: Draw) -> None:
        """Let draw() write something, now or afterwards."""
        if self._held is None:
            draw()
        else:
            self._held.append(draw)

    @contextmanager
    def held(self, leave: Draw | None = None, come_back: Draw | None = None) -> Iterator[None]:
        """For the length of a block the terminal is somebody else's. leave, come_back: what the owner draws at both
        ends of it."""
        with self._lock:
            if leave is not None:
                leave()
            self._held = []
        try:
            yield
        finally:
            with self._lock:
                held, self._held = self._held, None
                if come_back is not None:
                    come_back()
                for draw in held or ():
                    draw()
