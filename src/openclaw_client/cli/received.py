"""Files that came with replies: how a line tells of one, and where it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openclaw_client.errors import GatewayError
from openclaw_client.errors.peer_text import one_line
from openclaw_client.files.calls import MAX_BYTES
from openclaw_client.runs.events import ChatReply
from openclaw_client.sync.client import GatewayClient
from openclaw_client.wire.files import AgentFile

MAX_RECEIVED = 1_000
"""Files of a conversation that keep their number, the latest: nobody scrolls back that far."""


def by_id(file: AgentFile) -> str:
    """How a file is got when the chat is over."""
    return f"download {file.artifact_id}"


def lines_of(reply: ChatReply, way: Callable[[AgentFile], str]) -> list[str]:
    """A line for each file of a reply. way(file): how it is got."""
    return [_line(file, way(file)) for file in reply.files or ()]


def _line(file: AgentFile, way: str) -> str:
    size = () if file.size is None else (f"{file.size} B",)
    return one_line(", ".join((f"file {file.name or file.mime_type}", *size, way)))


class Received:
    """The files of a conversation, by the numbers that the person is told; the first is 1."""

    def __init__(self) -> None:
        self._files: dict[int, AgentFile] = {}
        self._last = 0

    def add(self, file: AgentFile) -> str:
        """Number a file. Returns how it is got."""
        self._last += 1
        self._files[self._last] = file
        self._files.pop(self._last - MAX_RECEIVED, None)
        return f":download {self._last}"

    def get(self, number: str) -> AgentFile | None:
        return self._files.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 16 else None


def save(client: GatewayClient, file: AgentFile, path: str, most: int = MAX_BYTES) -> Path:
    """Write a file to a folder or a path, and say where. Raises what `download` raises, and GatewayError for a disk."""
    try:
        return client.download(file, to=path, max_bytes=most)
    except OSError as error:
        if isinstance(error, GatewayError):
            raise
        where = one_line(error.filename if isinstance(error.filename, str) else path)
        raise GatewayError(message=f"{where} cannot be written: {error.strerror or error}") from error
