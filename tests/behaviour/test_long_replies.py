"""Replies that a page of the history does not hold: too long a text, or too many rows behind the question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client.chat.history_pages import MAX_CHARS
from openclaw_client.errors import RunLost
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.behaviour.test_inquiry import goes
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

EVERY = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
V4 = pytest.mark.parametrize("release", ["2026.6.1", "2026.9.6"])


def saying(text: str) -> Callable[[Turn], AsyncIterator[str]]:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield "beginning "
        await turn.gate.wait()
        yield text

    return agent


async def unheard(client: Any, gateway: BlockingEmbeddedGateway, message: str = "x") -> Any:
    """What becomes of a run that ends while the client is away."""
    async with client, client.chat_stream(session_key="main", message=message) as run:
        assert await anext(run.text_stream) == "beginning "
        await goes(gateway, client)
        gateway.release()
        await until(lambda: not gateway.active_runs)
        gateway.faults.upgrades.clear()
        return await run.result()


@pytest.mark.parametrize("size", [9_000, 90_000])
@pytest.mark.parametrize("release", ["2026.4.15", "2026.6.1", "2026.9.6"])
async def test_a_long_reply_is_whole(make: Make, start_gateway: Start, release: str, size: int) -> None:
    text = "word " * (size // 5)
    gateway = start_gateway(saying(text), release=release)
    reply = await unheard(make(gateway), gateway)
    assert (reply.text, reply.recovered) == (f"beginning {text}", True)


@V4
@pytest.mark.parametrize("letter", ["a", "あ"])
async def test_a_reply_that_no_page_holds_is_fetched_by_itself(
    make: Make, start_gateway: Start, release: str, letter: str
) -> None:
    text = letter * 200_000
    gateway = start_gateway(saying(text), release=release)
    assert (await unheard(make(gateway), gateway)).text == f"beginning {text}"


@pytest.mark.parametrize(("release", "size"), [("2026.2.17", 12_000), ("2026.4.15", 200_000)])
async def test_a_part_of_a_reply_is_no_reply(make: Make, start_gateway: Start, release: str, size: int) -> None:
    gateway = start_gateway(saying("a" * size), release=release)
    with pytest.raises(RunLost, match="only a part of its reply") as caught:
        await unheard(make(gateway), gateway)
    known = {"2026.2.17": 12_000, "2026.4.15": MAX_CHARS}[release]
    assert caught.value.partial_text == ("beginning " + "a" * size)[:known]


@pytest.mark.parametrize("release", ["2026.4.15"])
async def test_of_a_row_that_is_left_out_stays_what_was_heard(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(saying("あ" * 100_000), release=release)
    with pytest.raises(RunLost, match="only a part of its reply") as caught:
        await unheard(make(gateway), gateway)
    assert caught.value.partial_text == "beginning "


@EVERY
async def test_a_reply_behind_many_tools(make: Make, start_gateway: Start, release: str) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield "beginning "
        await turn.gate.wait()
        for _ in range(40):
            turn.tool("lookup", {}, "found")
        yield "and end"

    gateway = start_gateway(agent, release=release)
    reply = await unheard(make(gateway), gateway)
    whole = {"2026.2.17": "and end", "2026.9.6": "beginning \n\nand end"}.get(release, "beginning and end")
    assert (reply.text, reply.recovered) == (whole, True)


@EVERY
async def test_words_that_the_gateway_writes_down_otherwise(make: Make, start_gateway: Start, release: str) -> None:
    """Letters are composed, control characters left out: where rows name no run, the words must be known again."""
    gateway = start_gateway(saying("and end"), release=release)
    reply = await unheard(make(gateway), gateway, message="cafe\u0301 \x07 please")
    assert (reply.text, reply.recovered) == ("beginning and end", True)
