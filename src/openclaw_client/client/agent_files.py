"""Files that agents sent, for coroutines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import overload

from openclaw_client.client.port import Port
from openclaw_client.files.calls import MAX_BYTES
from openclaw_client.files.saving import PathLike
from openclaw_client.wire.files import AgentFile


class AsyncAgentFiles:
    """On the loop's thread."""

    # Of the client.
    _port: Port
    _bind: Callable[[], None]

    async def files(self, *, session_key: str, timeout: float | None = -1) -> tuple[AgentFile, ...]:
        """The files that agents sent in a session, oldest first, at most 10,000.

        Args:
            session_key: The session, in any spelling. A client with `sessions=`, and one of a manager, is shown the
                files of its own sessions only.
            timeout: Seconds for the answer, None for no limit, by default `Timeouts.request`.

        Raises:
            UsageError: The session is none of this client's; nothing was sent.
            MethodUnavailable: The gateway is older than 2026.5.12. Else what `request` raises.
        """
        self._bind()
        return await self._port.files.files(session_key, timeout)

    @overload
    async def download(
        self, file: AgentFile, *, to: None = None, max_bytes: int = MAX_BYTES, timeout: float | None = -1
    ) -> bytes: ...

    @overload
    async def download(
        self, file: AgentFile, *, to: PathLike, max_bytes: int = MAX_BYTES, timeout: float | None = -1
    ) -> Path: ...

    async def download(
        self, file: AgentFile, *, to: PathLike | None = None, max_bytes: int = MAX_BYTES, timeout: float | None = -1
    ) -> bytes | Path:
        """Get a file that an agent sent.

        Args:
            file: One of `files()`, of this client or of another process.
            to: Where to write it: a folder, in which it gets its own name, cleaned, and a number where that is taken;
                or the path of the file, which is replaced where it exists. It appears whole, with mode 0600, or not
                at all. None: the bytes are returned.
            max_bytes: The largest file that is taken; no more than that is read.
            timeout: Seconds for the whole, None for no limit, by default `Timeouts.request`.

        Returns:
            The bytes; with `to`, the path of the file that was written.

        Raises:
            UsageError: The file is of a session that is none of this client's; nothing was sent.
            FileGone: The gateway has it no more.
            FileTooLarge: It is over max_bytes.
            RequestTimeout: It did not come, or was not written, in time.
            Unreachable, TlsPinMismatch: The gateway's HTTP port cannot be reached, or is not the pinned one's.
            OSError: It cannot be written. Else what `request` raises. Cancelling ends it.
        """
        self._bind()
        if to is None:
            return await self._port.files.fetch(file, max_bytes, timeout)
        return await self._port.files.save(file, to, max_bytes, timeout)
