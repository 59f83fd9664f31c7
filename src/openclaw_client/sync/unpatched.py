"""Threads and locks of the operating system, and the libraries that put others in their place."""

from __future__ import annotations

import sys

from openclaw_client.errors import UsageError
from openclaw_client.os_threads import greenlets, lock, start

__all__ = ["greenlets", "lock", "refuse_eventlet", "start"]


def refuse_eventlet() -> None:
    """Raise UsageError where eventlet has patched this process's threads."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise UsageError(
            message="eventlet has patched the threads of this process, and the client needs a real one",
            remedy="Use gevent or threads, or leave thread out of eventlet.monkey_patch()",
        )
