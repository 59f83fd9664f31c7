"""A method that the gateway does not have, over a real socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client.errors import MethodUnavailable
from openclaw_client.testing import BlockingEmbeddedGateway

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]


@pytest.mark.parametrize("release", ["2026.2.17", "2026.5.12", "2026.9.6"])
@pytest.mark.parametrize("scopes", [None, ["operator.admin"]])
async def test_a_name_that_the_gateway_does_not_have(
    make: Make, start_gateway: Start, release: str, scopes: list[str] | None
) -> None:
    gateway: BlockingEmbeddedGateway = start_gateway(release=release)
    async with make(gateway, scopes=scopes) as client:
        with pytest.raises(
            MethodUnavailable, match=r"has no method session\.list; did you mean sessions\.list\?"
        ) as raised:
            await client.request("session.list")
        told = "the gateway" if release == "2026.2.17" else release
        assert str(raised.value).startswith(f"{told} has no method")
        assert raised.value.suggestion == "sessions.list"
        # What was said of no method is learned of none.
        assert client.missing_scopes("session.list") == ()
