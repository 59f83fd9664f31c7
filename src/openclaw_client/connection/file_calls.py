"""Calls of identity stores, and of files that a setting names, on threads that nothing else waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from openclaw_client.os_threads import Workers

AT_ONCE = 8
"""Calls at once while they come to an end: each takes milliseconds."""
MOST = 64
"""Calls at once where stores hang, as on a network drive that is gone: as many users cannot hold up another one."""

_T = TypeVar("_T")

_workers: WeakKeyDictionary[asyncio.AbstractEventLoop, Workers] = WeakKeyDictionary()


async def call_blocking(call: Callable[[], _T]) -> _T:
    """What the call gives or raises. When cancelled it goes on unheard."""
    loop = asyncio.get_running_loop()
    workers = _workers.get(loop)
    if workers is None:
        workers = _workers[loop] = Workers("openclaw-store", AT_ONCE, most=MOST)
    done: asyncio.Future[_T] = loop.create_future()

    def tell(answer: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast(_T, answer))

    def work() -> None:
        answer: _T | None = None
        failure: BaseException | None = None
        try:
            answer = call()
        except BaseException as error:  # noqa: BLE001 - handed to who waits, whatever it is
            failure = error
        # The loop may be closed by then, and nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, answer, failure)

    workers.submit(work)
    return await done
