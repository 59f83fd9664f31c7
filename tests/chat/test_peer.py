"""What a run is told of the gateway process behind a connection."""

from __future__ import annotations

import asyncio

from openclaw_client.chat.methods import peer_of
from tests.connection.served import Place, supervisor
from tests.moved_clock import run


def test_the_hello_is_dated_by_both_clocks() -> None:
    async def main() -> None:
        made, _ = supervisor(Place())
        await asyncio.sleep(3.0)
        connection = await made.connect()
        peer = peer_of(connection)
        assert peer.greeted_now == asyncio.get_running_loop().time()
        assert peer.greeted_at == connection.greeted_at > 0.0
        await made.disconnect()

    run(main())
