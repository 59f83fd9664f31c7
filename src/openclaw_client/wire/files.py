"""Files that agents sent, out of the payloads of `artifacts.list` and `artifacts.download`.

Lenient: a row is a file if it has an id. What names it is a model's own words, and is made harmless here.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from openclaw_client.errors.peer_text import one_line

MAX_FILES: Final = 10_000
"""Files of a session that are handed out, the latest: each is a message's, and nobody looks through more."""
MAX_ID: Final = 512
"""Characters of an id: those of gateways have up to 60."""
MAX_NAME: Final = 255
"""Characters of a name that are kept: no file system takes more."""
MAX_TYPE: Final = 127
"""Characters of a media type that are kept: RFC 6838 allows as many on each side, and real ones have half of it."""

UNKNOWN_TYPE: Final = "application/octet-stream"

_MEDIA: Final = frozenset(["image", "audio", "video"])


@dataclass(frozen=True, slots=True)
class AgentFile:
    """A file that an agent sent in a session. Can be pickled, and handed to another process.

    Attributes:
        artifact_id: The gateway's name for it, within its session.
        name: The agent's name for it, in one line and without what steers a terminal. It may look like a path:
            `download(to=folder)` makes a name for a file of it.
        mime_type: What the gateway takes it for; "application/octet-stream" where it does not say.
        size: Its bytes; None where the gateway does not say.
        session_key: The session in which it was sent, as the caller spelled it.
        run_id: The run that sent it; None where the gateway does not say.
    """

    artifact_id: str
    name: str
    mime_type: str
    size: int | None
    session_key: str
    run_id: str | None = None


class FileRows(NamedTuple):
    """files: oldest first. sessions: the session that each row names, None where it names none. left_out: how many
    older ones there are."""

    files: tuple[AgentFile, ...]
    sessions: tuple[str | None, ...]
    left_out: int


class SentBlocks(NamedTuple):
    """files: those that can be downloaded. others: how many stand there that cannot."""

    files: tuple[AgentFile, ...]
    others: int


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """What `artifacts.download` answers: the file in base64, or a link to it, which opens it to whoever has it.

    session: whose it is, as far as it is told.
    """

    data: str | None = field(default=None, repr=False)
    link: str | None = field(default=None, repr=False)
    size: int | None = None
    session: str | None = None

    @property
    def ticket(self) -> bool:
        """Whether the link opens the file by itself."""
        return self.link is not None and "mediaTicket=" in self.link


def files_from(payload: Any, session_key: str) -> FileRows | None:
    """The files of a session; None for what is no list of them."""
    rows = payload.get("artifacts") if isinstance(payload, Mapping) else None
    if not isinstance(rows, list):
        return None
    found, sessions = [], []
    for row in rows[-MAX_FILES:]:
        file = _file_from(row, session_key) if isinstance(row, Mapping) else None
        if file is not None:
            found.append(file)
            sessions.append(_text(row.get("sessionKey")))
    return FileRows(tuple(found), tuple(sessions), max(0, len(rows) - MAX_FILES))


def files_in(content: Iterable[Mapping[str, Any]], session_key: str, run_id: str | None) -> SentBlocks:
    """The files among the blocks of a row that an agent wrote.

    A document stands within a block of its own, a picture, a sound or a film is the block itself. Of a file that was
    not sent there is an error in its place.
    """
    found, unsent = [], 0
    for block in content:
        kind = block.get("type")
        media = isinstance(kind, str) and kind in _MEDIA
        told = block.get("attachment") if kind == "attachment" else block if media else None
        file = _block_file(told, session_key, run_id) if isinstance(told, Mapping) else None
        if file is not None:
            found.append(file)
        elif told is not None or kind == "attachment_error":
            unsent += 1
    return SentBlocks(tuple(found), unsent)


def file_answer_from(payload: Any) -> FileAnswer:
    """The answer; with neither data nor link where it has none that is understood."""
    if not isinstance(payload, Mapping):
        return FileAnswer()
    told = payload.get("artifact")
    artifact = told if isinstance(told, Mapping) else {}
    size, session = _size(artifact.get("sizeBytes")), _text(artifact.get("sessionKey"))
    data, link = payload.get("data"), payload.get("url")
    if isinstance(data, str) and payload.get("encoding", "base64") == "base64":
        return FileAnswer(data=data, size=size, session=session)
    return FileAnswer(link=link if isinstance(link, str) else None, size=size, session=session)


def size_of_base64(data: str) -> int:
    """How many bytes it stands for."""
    return len(data) // 4 * 3 - data[-2:].count("=")


def from_base64(data: str) -> bytes | None:
    """The bytes; None where it is no base64."""
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return None


def _file_from(row: Mapping[str, Any], session_key: str) -> AgentFile | None:
    name = _text(row.get("title")) or _text(row.get("fileName")) or ""
    return _made(row.get("id"), name, row, session_key, _text(row.get("runId")))


def _block_file(told: Mapping[str, Any], session_key: str, run_id: str | None) -> AgentFile | None:
    names = (_text(told.get(name)) for name in ("label", "fileName", "alt"))
    return _made(told.get("artifactId"), next(filter(None, names), ""), told, session_key, run_id)


def _made(ident: Any, name: str, row: Mapping[str, Any], session_key: str, run: str | None) -> AgentFile | None:
    if not isinstance(ident, str) or not 0 < len(ident) <= MAX_ID or not ident.isprintable():
        return None
    kind = _text(row.get("mimeType")) or UNKNOWN_TYPE
    return AgentFile(
        ident,
        one_line(name[: 2 * MAX_NAME])[:MAX_NAME],
        one_line(kind[: 2 * MAX_TYPE])[:MAX_TYPE],
        _size(row.get("sizeBytes")),
        session_key,
        run if run is not None and len(run) <= MAX_ID else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _size(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
