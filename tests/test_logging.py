"""What is logged, and under which name."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

import openclaw_client
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.faces import Face
from tests.test_layers import MAY_IMPORT

PACKAGE = Path(openclaw_client.__file__).parent
ALSO = {"connection": {"wire", "protocol"}}
"""The pure layers don't log: who feeds them does, under their names."""


def test_each_layer_logs_under_its_own_name() -> None:
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0]
        for name in re.findall(r'getLogger\("openclaw_client\.([\w.]+)"\)', path.read_text()):
            if layer != "cli":
                assert name in {layer, *ALSO.get(layer, ())}, f"{path.name} logs as {name}"
                found.add(name)
    assert {"wire", "protocol", "connection", "client", "identity", "sync"} <= found <= set(MAY_IMPORT)


async def test_frames_are_logged_when_somebody_wants_them(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    def frames() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "openclaw_client.wire"]

    with BlockingEmbeddedGateway() as gateway:
        caplog.set_level(logging.INFO, logger="openclaw_client")
        async with face.client(gateway.url, token=gateway.token) as client:
            await client.chat_send(session_key="main", message="quiet")
            assert frames() == []
            # Also in a connection that is up.
            caplog.set_level(logging.DEBUG, logger="openclaw_client.wire")
            await client.chat_send(session_key="main", message="loud")
    assert any(" sent " in line and "loud" in line for line in frames())
    assert any(" received " in line and '"state":"final"' in line for line in frames())
    assert not any("quiet" in line for line in frames())
