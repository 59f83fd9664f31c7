"""Imports that are put off until they are needed, and that a fork in another thread waits for.

A module that is being loaded in the moment of a fork stays locked in the child for ever: the thread that loads it is
not there. Knows nothing of this package.
"""

from __future__ import annotations

import _thread
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FORK_WAITS = 5.0
"""Seconds that a fork waits for an import at most; the longest takes a tenth of one."""


def _new_lock() -> Any:
    """One of the operating system's, also where gevent has put its own in its place."""
    monkey = sys.modules.get("gevent.monkey")
    return (monkey.get_original("_thread", "allocate_lock") if monkey is not None else _thread.allocate_lock)()


_lock = _new_lock()
_forking = False


@contextmanager
def late_import() -> Iterator[None]:
    """Around an import within a function."""
    with _lock:
        yield


def _before() -> None:
    global _forking
    _forking = _lock.acquire(timeout=FORK_WAITS)


def _in_parent() -> None:
    global _forking
    if _forking:
        _forking = False
        _lock.release()


def _in_child() -> None:
    global _lock, _forking
    _lock, _forking = _new_lock(), False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
