"""The feed: every event once, in order, whatever the network does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from examples.webchat.feed import Feed, Told


class Counter:
    """Something to look at: the numbers that were told so far."""

    def __init__(self, kept: int) -> None:
        self.numbers: list[int] = []
        self.feed = Feed(lambda: {"numbers": list(self.numbers)}, kept=kept)

    def add(self) -> None:
        self.numbers.append(len(self.numbers))
        self.feed.publish("number", {"number": self.numbers[-1]})


class Page:
    """What a page makes of its feed. A read ends when there is nothing more to be told."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.last: str | None = None
        self.numbers: list[int] = []

    async def read(self, most: int) -> None:
        """Connect, read up to `most` events, and lose the connection."""
        follower = self.counter.feed.follow(self.last)
        try:
            for _ in range(most):
                async with asyncio.timeout(0):
                    self.take(await anext(follower))
        except TimeoutError:
            return
        finally:
            await follower.aclose()

    def take(self, told: Told) -> None:
        data: dict[str, Any] = json.loads(told.data)
        self.last = told.id
        if told.name == "snapshot":
            self.numbers = data["numbers"]
        else:
            self.numbers.append(data["number"])


@given(st.integers(1, 8), st.lists(st.one_of(st.just("add"), st.integers(1, 4)), max_size=40))
def test_whatever_breaks_off_the_page_shows_the_same(kept: int, steps: list[Any]) -> None:
    async def play() -> None:
        counter = Counter(kept)
        page = Page(counter)
        for step in steps:
            if step == "add":
                counter.add()
            else:
                await page.read(step)
                assert page.numbers == counter.numbers[: len(page.numbers)]
        await page.read(len(steps) + 2)
        assert page.numbers == counter.numbers

    asyncio.run(play())


async def test_a_page_hears_of_what_happens_later() -> None:
    counter = Counter(10)
    follower = counter.feed.follow(None)
    assert (await anext(follower)).name == "snapshot"
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    assert not waiting.done()
    counter.add()
    assert json.loads((await waiting).data) == {"number": 0}


async def test_closing_ends_every_page() -> None:
    counter = Counter(10)
    follower = counter.feed.follow(None)
    await anext(follower)
    waiting = asyncio.ensure_future(anext(follower, None))
    await asyncio.sleep(0)
    counter.feed.close()
    assert await waiting is None


async def test_the_place_in_another_process_is_no_place() -> None:
    told = await anext(Counter(10).feed.follow(None))
    other = Counter(10)
    other.add()
    assert (await anext(other.feed.follow(told.id))).name == "snapshot"
