"""Looking up what a reply took: how it ends, whoever ends it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from openclaw_client.chat.details import LookUps
from openclaw_client.chat.methods import ChatMethods
from openclaw_client.runs.details import DetailsSearch, ReplyDetails
from openclaw_client.runs.peer import Peer


class Silent:
    """A gateway that never comes back."""

    request_limit = None

    @property
    def requests(self) -> Silent:
        return self

    async def ready(self, _timeout: float | None) -> None:
        await asyncio.Event().wait()


def search(_peer: Peer) -> DetailsSearch:
    raise AssertionError("there is no connection")


def begun(found: list[ReplyDetails], limit: float | None = None) -> tuple[LookUps, Any]:
    look_ups = LookUps()
    return look_ups, look_ups.begin(cast(ChatMethods, Silent()), search, limit, found.append)


async def test_in_a_forked_child_the_caller_is_told_and_the_task_left_alone() -> None:
    found: list[ReplyDetails] = []
    look_ups, one = begun(found)
    await asyncio.sleep(0)
    look_ups.after_fork()
    assert (found, look_ups.active) == ([ReplyDetails()], 0)
    # The parent's goes on: it is not cancelled by the child.
    assert not one._task.cancelling()
    one._task.cancel()
    await asyncio.gather(one._task, return_exceptions=True)
    assert found == [ReplyDetails()]


async def test_who_does_not_wait_is_told_at_once_and_once() -> None:
    found: list[ReplyDetails] = []
    look_ups, one = begun(found)
    await asyncio.sleep(0)
    one.finish()
    assert (found, look_ups.active) == ([ReplyDetails()], 0)
    await asyncio.gather(one._task, return_exceptions=True)
    assert found == [ReplyDetails()]


async def test_a_task_that_is_cancelled_by_others_tells_what_it_has() -> None:
    found: list[ReplyDetails] = []
    look_ups, one = begun(found)
    await asyncio.sleep(0)
    one._task.cancel()
    await asyncio.gather(one._task, return_exceptions=True)
    assert (found, look_ups.active) == ([ReplyDetails()], 0)


async def test_a_limit_ends_it() -> None:
    found: list[ReplyDetails] = []
    look_ups, one = begun(found, 0.0)
    await one._task
    assert (found, look_ups.active) == ([ReplyDetails()], 0)
