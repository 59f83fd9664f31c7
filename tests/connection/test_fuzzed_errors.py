"""Error bodies that no gateway should send, by the whole way from the socket to the caller."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.errors import ConnectError, RequestFailed
from openclaw_client.testing import EmbeddedGateway
from tests.connection.served import Place, supervisor
from tests.moved_clock import run
from tests.policy.bodies import BODIES, fuzzed_body


def answer(ident: str, body: Any) -> bytes:
    return msgspec.json.encode({"type": "res", "id": ident, "ok": False, "error": body})


@pytest.mark.parametrize("seed", range(4))
def test_every_refused_connect_is_a_connect_error(seed: int) -> None:
    async def main() -> None:
        source = random.Random(seed)
        for _ in range(BODIES // 4):
            body, place = fuzzed_body(source), Place()
            place.raw_answer = lambda ident, body=body: answer(ident, body)  # type: ignore[misc]
            made, log = supervisor(place)
            with pytest.raises(ConnectError):
                await made.connect()
            # "paused" or "disconnected", and nothing goes on behind it.
            assert log.states[-1] in ("paused", "disconnected"), body
            assert place.open_ends == [], body
            await made.disconnect()

    run(main())


@pytest.mark.parametrize("nested", ["[{}]", '{{"a":{}}}'])
@pytest.mark.parametrize("depth", [40, 800, 5000])
def test_details_that_are_nested_very_deep(nested: str, depth: int) -> None:
    async def main() -> None:
        value, place, loop = "1", Place(), asyncio.get_running_loop()
        for _ in range(depth):
            value = nested.format(value)
        frame = (
            '{{"type":"res","id":"{}","ok":false,"error":{{"code":"NOT_TODAY","message":"no","details":{{"x":{}}}}}}}'
        )
        place.raw_answer = lambda ident: frame.format(ident, value).encode()
        loop.set_exception_handler(lambda _, context: pytest.fail(str(context)))
        made, _ = supervisor(place)
        begun = loop.time()
        with pytest.raises(ConnectError):
            await made.connect()
        assert loop.time() == begun
        await made.disconnect()

    run(main())


async def test_every_refused_request_is_a_request_failed() -> None:
    source = random.Random(5)
    bodies = [body for body in (fuzzed_body(source) for _ in range(BODIES)) if isinstance(body, dict)]
    # Who says so is asked again, for as long as the caller has time.
    bodies = [body for body in bodies if "startup-sidecars" not in repr(body)]
    left = iter(bodies)
    async with EmbeddedGateway() as gateway:
        gateway.faults.rewrite("health", lambda frame: answer(frame["id"], next(left)), times=None)
        async with AsyncGatewayClient(gateway.url, token=gateway.token, identity=False) as client:
            for body in bodies:
                async with asyncio.timeout(30):
                    with pytest.raises(RequestFailed) as caught:
                        await client.request("health")
                assert str(caught.value).startswith("health: "), body
            assert client.connected
            gateway.faults.clear()
            assert (await client.request("health"))["ok"] is True
