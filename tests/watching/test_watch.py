"""What follows something ends with a word, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError, MissingScope, ProtocolViolation
from openclaw_client.requests.requests import Requests
from openclaw_client.watching.watch import LiveView


class Failing(LiveView):
    what = "the list"

    def __init__(self, error: Exception) -> None:
        super().__init__(cast(Requests, None), None)
        self._error = error
        self.told: list[GatewayError] = []

    async def _follow(self, connection: Connection) -> None:
        raise self._error

    def _end(self, error: GatewayError) -> None:
        self.told.append(error)


async def ends(error: Exception) -> GatewayError:
    watch = Failing(error)
    watch.connected(cast(Any, None))
    async with asyncio.timeout(5):
        await watch.begun()
    (told,) = watch.told
    return told


async def test_a_refusal_is_told_as_it_is() -> None:
    refused = MissingScope(message="no")
    assert await ends(refused) is refused


async def test_what_nobody_thought_of_is_told_too_and_its_words_stay_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR, "openclaw_client.watching"):
        told = await ends(ValueError("the words of a row"))
    assert isinstance(told, ProtocolViolation)
    assert str(told).startswith("the list cannot be followed: ValueError")
    assert [record.getMessage() for record in caplog.records] == ["the list cannot be followed"]
