"""Agents for tests: ready ones, and builders for those that a test wants to steer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

from openclaw_client.testing.turn import Agent, Gate, Turn

PACE = 0.002
"""Seconds between two pieces of the echo: enough for the loop to send one piece before the next is made."""

TYPING_PACE = 0.08
"""The same where somebody watches. The terminal of 2026.9.6 believes that a reply which ends within 7 ms goes on."""


async def echo(turn: Turn) -> AsyncIterator[str]:
    """Answers `echo: <message>`, word by word; white space is kept. The default agent."""
    for piece in re.findall(r"\s*\S+\s*$|\s*\S+", f"echo: {turn.message}"):
        yield piece
        await asyncio.sleep(PACE)


async def typed_echo(turn: Turn) -> AsyncIterator[str]:
    """The echo at the pace of a quick model, for people, and for programs that expect one."""
    async for piece in echo(turn):
        yield piece
        await asyncio.sleep(TYPING_PACE)


def says(*pieces: str, pace: float = 0.0) -> Agent:
    """Answers these pieces to every message, `pace` seconds apart."""

    async def agent(_turn: Turn) -> AsyncIterator[str]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(pace)

    return agent


def gated(pieces: Sequence[str], gate: Gate | None = None, *, before: int = 1) -> Agent:
    """Says `before` pieces, waits for the gate (the turn's own if none is given), then says the rest.

    Give the gateway `throttle=0`, else the pieces before the gate may be held back with those after it.
    """

    async def agent(turn: Turn) -> AsyncIterator[str]:
        for piece in pieces[:before]:
            yield piece
        await (gate or turn.gate).wait()
        for piece in pieces[before:]:
            yield piece

    return agent


def stepped(pieces: Sequence[str], gates: Sequence[Gate]) -> Agent:
    """Says each piece when its gate opens; pieces beyond the gates come without waiting."""

    async def agent(_turn: Turn) -> AsyncIterator[str]:
        for index, piece in enumerate(pieces):
            if index < len(gates):
                await gates[index].wait()
            yield piece

    return agent


def uses_tool(name: str = "lookup", result: str = "found it", answer: str = "done") -> Agent:
    """Calls one tool with the message as its query, thinks, and answers."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        turn.thinking("which tool?")
        turn.tool(name, {"query": turn.message}, result)
        yield answer

    return agent


def fails(message: str = "the model is gone", kind: str | None = None, *, after: Sequence[str] = ()) -> Agent:
    """Says what is given, then fails."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        for piece in after:
            yield piece
        turn.fail(message, kind)

    return agent


async def silent(turn: Turn) -> AsyncIterator[str]:
    """Ends without an answer."""
    turn.final_without_message()
    return
    yield  # what makes it a generator


async def endless(_turn: Turn) -> AsyncIterator[str]:
    """Says one piece, then waits for ever: ended by chat.abort, a stop word or the end of the gateway."""
    yield "working"
    await asyncio.Event().wait()
