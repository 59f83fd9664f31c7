"""Files of agents as requests to the gateway, and as what is fetched from it over HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from openclaw_client.connection.fetching import BodyTooLong, BrokenAnswer, fetch_from_gateway
from openclaw_client.connection.file_calls import call_blocking
from openclaw_client.connection.settings import Settings
from openclaw_client.errors import (
    ClientClosed,
    FileGone,
    FileTooLarge,
    MethodUnavailable,
    ProtocolViolation,
    RequestError,
    RequestFailed,
    RequestTimeout,
    UsageError,
)
from openclaw_client.files.saving import PathLike, save
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.links import local_link
from openclaw_client.requests.requests import Requests
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire.files import (
    UNKNOWN_TYPE,
    AgentFile,
    FileAnswer,
    file_answer_from,
    files_from,
    from_base64,
    size_of_base64,
)
from openclaw_client.wire.sessions import check_session_key

logger = GuardedLogger("openclaw_client.files")

MAX_BYTES: Final = 12 * 1024 * 1024
"""Of a file that is downloaded, where the caller does not say: what fits into one answer of a gateway as base64 (25
MiB) with as much again to spare, and any report or picture."""

_LIST: Final = "artifacts.list"
_DOWNLOAD: Final = "artifacts.download"
_NEW_TICKET: Final = (401, 403, 410)
"""What a server says to a ticket that is over; another one is asked for, once."""
_GONE: Final = (404, 410)
_LOOK: Final = "Look into the log of the gateway, and of what stands in front of it"
_WITHOUT_TICKET: Final = (
    "This release gives no ticket, and the file to who shows the gateway's own secret: "
    'make the client with headers={"Authorization": "Bearer …"}'
)
"""2026.5.12 and 2026.6.1, of pictures within a reply."""
_PAGES: Final = ("text/html", "application/xhtml+xml")
_LOGIN: Final = "What stands in front of the gateway may want a login: send with headers= what it asks for"
_OK: Final = 200
_SERVER_ERRORS: Final = range(500, 600)

_T = TypeVar("_T")


class FileCalls:
    """Of one client."""

    __slots__ = ("_clocks", "_requests", "_sessions", "_settings")

    def __init__(self, settings: Settings, requests: Requests, sessions: SessionFilter) -> None:
        # A dict, as an empty set takes three times its room, in each of many connections at rest.
        self._clocks: dict[asyncio.Timeout, None] = {}
        self._settings = settings
        self._requests = requests
        self._sessions = sessions

    @property
    def active(self) -> int:
        """Downloads that are under way. From any thread."""
        return len(self._clocks)

    def stop(self) -> None:
        """The client is closed: end those that are under way."""
        clocks, self._clocks = self._clocks, {}
        for clock in clocks:
            if not clock.expired():
                clock.reschedule(0)

    async def files(self, session_key: str, timeout: float | None) -> tuple[AgentFile, ...]:
        """The files that agents sent in a session, oldest first."""
        self._check_session(check_session_key(session_key))
        found = files_from(await self._call(_LIST, {"sessionKey": session_key}, timeout), session_key)
        if found is None:
            raise ProtocolViolation(message=f"{_LIST}: the gateway's answer holds no list of files")
        if found.left_out:
            logger.warning("the session has %d files more, which are older, and are left out", found.left_out)
        # A gateway's mistake is not handed on to somebody else.
        return tuple(
            file
            for file, session in zip(found.files, found.sessions, strict=True)
            if session is None or self._sessions.accepts(session)
        )

    async def fetch(self, file: AgentFile, max_bytes: int, timeout: float | None) -> bytes:
        """The bytes of a file."""
        self._check(file, max_bytes)
        return await self._within(partial(self._fetch, file, max_bytes), timeout)

    async def save(self, file: AgentFile, to: PathLike, max_bytes: int, timeout: float | None) -> Path:
        """Write a file, and say where."""
        self._check(file, max_bytes)
        if not isinstance(to, str | os.PathLike):
            raise UsageError(message=f"to= is no path but {type(to).__name__}", remedy="Pass a folder or a file's path")
        came = False

        async def work() -> Path:
            nonlocal came
            data = await self._fetch(file, max_bytes)
            came = True
            return await call_blocking(partial(save, data, to, file))

        try:
            return await self._within(work, timeout)
        except RequestTimeout as error:
            if came:
                # A thread that writes cannot be ended.
                error.remedy = "The file came, and its disk is slow: it may be there whole, now or later"
            raise

    def _check(self, file: AgentFile, max_bytes: int) -> None:
        if not isinstance(file, AgentFile):
            raise UsageError(message=f"{type(file).__name__} is no AgentFile", remedy="Pass one of client.files()")
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise UsageError(message=f"max_bytes={max_bytes!r} is no number of bytes", remedy="Give one above zero")
        self._check_session(check_session_key(file.session_key))

    def _check_session(self, session_key: str) -> None:
        """The wall: a file is handed out in a session that is this client's already; to ask for it makes it none."""
        if not self._sessions.accepts(session_key):
            raise UsageError(
                message=f"the session {session_key!r} is none of this client's; nothing was sent",
                remedy="Name it in sessions=, or use it first, as chat_send and chat_history do",
            )

    async def _within(self, work: Callable[[], Awaitable[_T]], timeout: float | None) -> _T:
        """The work, within a time limit for the whole of it."""
        limit, _ = self._requests.arguments(_DOWNLOAD, None, timeout, None)
        clock = asyncio.timeout(limit)
        self._clocks[clock] = None
        try:
            async with clock:
                return await work()
        except TimeoutError:
            if not clock.expired():
                raise
        finally:
            stopped = clock not in self._clocks
            self._clocks.pop(clock, None)
        if stopped:
            raise ClientClosed(message="disconnect() was called")
        # Here, so that it does not carry along what was interrupted, with its variables.
        remedy = "Nothing was written: try again, with timeout= for a large file or a slow line"
        raise RequestTimeout(method=_DOWNLOAD, timeout=limit, remedy=remedy, **self._requests.facts.known)

    async def _fetch(self, file: AgentFile, max_bytes: int) -> bytes:
        _check_size(file, file.size, max_bytes)
        for renewed in (False, True):
            answer = await self._answer(file)
            if answer.session is not None and not self._sessions.accepts(answer.session):
                # As in a list: a gateway's mistake is not handed on to somebody else.
                raise ProtocolViolation(message=f"{_DOWNLOAD}: the gateway gives a file of another session")
            _check_size(file, answer.size, max_bytes)
            if answer.data is not None:
                return _decoded(file, answer.data, max_bytes)
            status, body = await self._get(file, answer, max_bytes)
            if status == _OK:
                return body
            if status not in _NEW_TICKET or renewed or not answer.ticket:
                break
            logger.debug("the gateway takes the ticket no more (HTTP %d); another one is asked for", status)
        raise _refused(file, status, ticket=answer.ticket)

    async def _answer(self, file: AgentFile) -> FileAnswer:
        params = {"sessionKey": file.session_key, "artifactId": file.artifact_id}
        try:
            return file_answer_from(await self._call(_DOWNLOAD, params, None))
        except RequestFailed as error:
            details = error.details if isinstance(error.details, dict) else {}
            if details.get("type") != "artifact_not_found":
                raise
            gone = _gone(file)
            gone.code, gone.details, gone.gateway_version = error.code, error.details, error.gateway_version
            raise gone from None

    async def _get(self, file: AgentFile, answer: FileAnswer, max_bytes: int) -> tuple[int, bytes]:
        """Status and bytes of what the link leads to."""
        link = local_link(self._settings.url, answer.link)
        if link is None:
            why = "a link that does not lead to this gateway" if answer.link else "neither the file nor a link to it"
            raise ProtocolViolation(message=f"{_DOWNLOAD}: the gateway gives {why}; nothing was fetched")
        size = answer.size
        del answer
        try:
            found = await fetch_from_gateway(self._settings, link, max_bytes)
            if not found.told and size is not None and len(found.body) < size:
                raise BrokenAnswer(f"the connection ended with {size - len(found.body)} of {size} bytes missing")
        except BodyTooLong as error:
            raise _too_large(file, error.size, max_bytes) from None
        except BrokenAnswer as error:
            raise RequestError(
                method=_DOWNLOAD, message=f"{error.what}; nothing was written", remedy="Try again"
            ) from None
        if found.media_type in _PAGES and file.mime_type not in (*_PAGES, UNKNOWN_TYPE):
            raise RequestError(
                method=_DOWNLOAD, message="a web page came in the place of the file; nothing was written", remedy=_LOGIN
            )
        return found.status, found.body

    async def _call(self, method: str, params: dict[str, Any], timeout: float | None) -> Any:
        try:
            return await self._requests.call(method, params, timeout, None, False)
        except MethodUnavailable as error:
            error.remedy = "Files of agents need a gateway of 2026.5.12 or later"
            raise


def _check_size(file: AgentFile, size: int | None, max_bytes: int) -> None:
    if size is not None and size > max_bytes:
        raise _too_large(file, size, max_bytes)


def _decoded(file: AgentFile, data: str, max_bytes: int) -> bytes:
    _check_size(file, size_of_base64(data), max_bytes)
    found = from_base64(data)
    if found is None:
        raise ProtocolViolation(message=f"{_DOWNLOAD}: the gateway's answer is no base64; nothing was written")
    return found


def _too_large(file: AgentFile, size: int | None, limit: int) -> FileTooLarge:
    remedy = "Pass max_bytes= to take it"
    return FileTooLarge(
        method=_DOWNLOAD, size=size, limit=limit, artifact_id=file.artifact_id, name=file.name or None, remedy=remedy
    )


def _gone(file: AgentFile) -> FileGone:
    remedy = "See client.files() for what is there, or have the agent send it again"
    return FileGone(method=_DOWNLOAD, artifact_id=file.artifact_id, name=file.name or None, remedy=remedy)


def _refused(file: AgentFile, status: int, *, ticket: bool) -> RequestFailed:
    """What a status other than 200 means. Redirects are not followed: they would carry headers and ticket elsewhere."""
    if status in _GONE:
        gone = _gone(file)
        gone.code = f"HTTP_{status}"
        return gone
    return RequestFailed(
        method=_DOWNLOAD,
        message=f"HTTP {status} in the place of the file; nothing was written",
        code=f"HTTP_{status}",
        retryable=status in _SERVER_ERRORS,
        remedy=_LOOK if ticket or status not in _NEW_TICKET else _WITHOUT_TICKET,
    )
