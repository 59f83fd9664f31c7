"""What waits for the loop thread when the process ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from openclaw_client.errors import UsageError
from openclaw_client.sync.loop_thread import LoopThread
from tests.waiting import PATIENCE


@pytest.mark.parametrize(("name", "told"), [("call", ["the process"]), ("close", [])])
def test_the_process_ends_while_somebody_waits(name: str, told: list[str]) -> None:
    """A call has no answer, and says so; what was being closed is closed."""
    thread, begun, errors = LoopThread(), threading.Event(), list[UsageError]()

    async def never() -> None:
        begun.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            getattr(thread, name)(never, name)
        except UsageError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert begun.wait(PATIENCE)
    thread.stop()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert [error.message.partition("the end of ")[2] for error in errors] == told
    # Behind the end nothing is begun, and closing has nothing left to do.
    thread.close(never, "close")
    with pytest.raises(UsageError):
        thread.call(never, "call")
