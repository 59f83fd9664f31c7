"""What is used of picows and logging that they do not promise: whether it still holds, and what goes on without it.

A test that fails here names a version of a dependency, or of Python, in which a private part is another one.
"""

from __future__ import annotations

import ast
import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import picows
import pytest
from picows import api

import openclaw_client
from openclaw_client import AsyncGatewayClient, private_parts
from openclaw_client.testing import EmbeddedGateway
from openclaw_client.transport import websocket
from openclaw_client.transport.hello_bypass import HelloBypass
from openclaw_client.transport.pacing import ReadPacer
from openclaw_client.transport.websocket import READ_BUFFER_BYTES

ROOT = Path(openclaw_client.__file__).parent
INSIDE = {"__code__", "__globals__", "__closure__", "__kwdefaults__"}


def test_logging_keeps_its_answers_about_levels() -> None:
    logger = logging.Logger("of this test", logging.INFO)  # noqa: LOG001 - in no tree
    levels = private_parts.levels_of(logger)
    assert levels == {}
    assert not logger.isEnabledFor(logging.DEBUG)
    assert levels == {logging.DEBUG: False}, "logging keeps its answers elsewhere: frames are slower, and no worse"


def test_without_them_the_level_is_asked_for() -> None:
    class Plain(logging.Logger):
        def __init__(self) -> None:
            super().__init__("plain")
            del self.__dict__["_cache"]

    assert private_parts.levels_of(Plain()) == {}


def test_picows_can_be_given_another_protocol() -> None:
    made: list[object] = []

    class Planted(Exception):
        pass

    def protocol(*args: Any) -> Any:
        made.append(private_parts.picows_protocol(*args))
        raise Planted

    connect = private_parts.connect_through(protocol)
    assert connect is not None, "a server with more words in its header Connection is refused"

    async def run() -> None:
        server = await picows.ws_create_server(lambda _: picows.WSListener(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(Planted):
                await connect(picows.WSListener, f"ws://127.0.0.1:{port}/")
        finally:
            server.close()

    asyncio.run(run())
    assert len(made) == 1
    assert isinstance(made[0], asyncio.BufferedProtocol)


@pytest.mark.parametrize("other", [asyncio.sleep, len])
def test_a_picows_of_another_make_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, other: Any) -> None:
    monkeypatch.setattr(api, "ws_connect", other)
    assert private_parts.connect_through(asyncio.Protocol) is None


@pytest.fixture
async def embedded() -> AsyncIterator[EmbeddedGateway]:
    async with EmbeddedGateway() as gateway:
        yield gateway


class Seen:
    """What is put before picows on new connections."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        for kind in (ReadPacer, HelloBypass):
            monkeypatch.setattr(websocket, kind.__name__, self._noting(kind))

    def _noting(self, kind: type) -> Any:
        def make(*args: Any) -> Any:
            self.names.append(kind.__name__)
            return kind(*args)

        return make


async def test_picows_reads_into_a_buffer_of_the_size_that_it_is_told(
    embedded: EmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    async with AsyncGatewayClient(embedded.url, token=embedded.token):
        pass
    assert seen.names == ["ReadPacer", "HelloBypass"], "the hello stays in picows' buffer, or reads are not paced"


async def test_with_a_buffer_of_another_size_the_hello_is_left_to_picows(
    embedded: EmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    monkeypatch.setattr(private_parts, "PARSER_ROOM", private_parts.PARSER_ROOM + 1)
    async with AsyncGatewayClient(embedded.url, token=embedded.token) as client:
        assert (await client.chat_send(session_key="main", message="x")).state == "final"
    assert seen.names == ["ReadPacer"]


async def test_with_a_protocol_that_is_fed_nothing_is_put_before_it(
    embedded: EmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    monkeypatch.setattr(websocket, "reads_into_a_buffer", lambda _: False)
    async with AsyncGatewayClient(embedded.url, token=embedded.token) as client:
        assert (await client.chat_send(session_key="main", message="x")).state == "final"
    assert seen.names == []


class Reading(asyncio.Transport):
    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol


async def test_a_protocol_that_is_fed_is_known() -> None:
    ours, theirs = asyncio.Protocol(), asyncio.BufferedProtocol()
    for protocol, buffered in ((ours, False), (theirs, True)):
        assert private_parts.reads_into_a_buffer(Reading(protocol)) is buffered


def foreign_names(tree: ast.AST) -> set[str]:
    """What a module takes from other packages."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("openclaw_client"):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def private_uses(source: str) -> Iterator[str]:
    """Private attributes of what comes from other packages, and the inside of functions."""
    tree = ast.parse(source)
    foreign = foreign_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            root: ast.AST = node
            while isinstance(root, ast.Attribute):
                root = root.value
            private = node.attr.startswith("_") and not node.attr.endswith("__")
            if node.attr in INSIDE or (private and isinstance(root, ast.Name) and root.id in foreign):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 1:
            whose, name = node.args[:2]
            word = str(name.value) if isinstance(name, ast.Constant) else ""
            if word.startswith("_") and not word.endswith("__") and ast.unparse(whose) != "self":
                yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import asyncio\nasyncio._get_running_loop()", 1),
        ("import logging\nlogging.root.manager._clear_cache()", 1),
        ("from picows import api\napi.ws_connect.__code__", 1),
        ("def f(logger):\n    return getattr(logger, '_cache', {})", 1),
        ("import asyncio\nasyncio.get_running_loop()\nself._loop.time()", 0),
        ("from openclaw_client import x\nx._y", 0),
    ],
)
def test_a_private_part_is_found(source: str, found: int) -> None:
    assert len(list(private_uses(source))) == found


def test_they_all_stand_in_one_file() -> None:
    uses = {
        str(path.relative_to(ROOT)): uses
        for path in sorted(ROOT.rglob("*.py"))
        if path.name != "private_parts.py" and (uses := list(private_uses(path.read_text())))
    }
    assert uses == {}


def test_the_buffer_has_the_size_that_is_asked_for() -> None:
    assert READ_BUFFER_BYTES > private_parts.PARSER_ROOM
