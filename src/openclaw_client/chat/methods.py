"""The chat methods beside chat.send, for users and for runs: history, abort, and what is asked about a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openclaw_client.chat.arguments import AbortResult, abort_result, history_params
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError, RequestFailed
from openclaw_client.requests.requests import Requests
from openclaw_client.runs.peer import Peer
from openclaw_client.runs.recovery import is_busy, tells_activity
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.sessions.gate import Habits, habits_of
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.history import HistoryPage, history_page
from openclaw_client.wire.sessions import check_session_key

ACTIVITY_LIMIT = 5.0
"""Seconds that a message waits for the answer whether its session is busy: without one it goes out all the same."""


class ChatMethods:
    """Of one client. on_aborted is told which runs were stopped, by any call of this client."""

    def __init__(
        self,
        requests: Requests,
        sessions: SessionFilter,
        request_limit: float | None,
        on_aborted: Callable[[tuple[str, ...]], None],
    ) -> None:
        self.requests = requests
        self.request_limit = request_limit
        self._sessions = sessions
        self._on_aborted = on_aborted
        self._peers: tuple[Connection, Peer] | None = None

    @property
    def hello(self) -> Hello | None:
        return self.requests.facts.hello

    def peer(self, connection: Connection) -> Peer:
        """What a run may know of a connection; the same object for the same connection."""
        if self._peers is None or self._peers[0] is not connection:
            self._peers = connection, peer_of(connection)
        return self._peers[1]

    def canonical(self, session_key: str) -> str:
        return self._sessions.canonical(session_key)

    async def history(self, session_key: str, limit: int | None, **extra: Any) -> HistoryPage:
        params = history_params(session_key, limit, extra)
        return history_page(await self.requests.request("chat.history", params, self.request_limit))

    async def page(self, session_key: str, limit: int | None, **extra: Any) -> HistoryPage:
        """`history` for users: equal ones at the same time share an answer."""
        params = history_params(session_key, limit, extra)
        return history_page(await self.requests.read("chat.history", params, self.request_limit))

    async def is_busy(self, session_key: str) -> bool | None:
        """Whether a run of a session goes on or a message waits in it; None where the gateway does not say."""
        params = history_params(session_key, 1, {})
        limit = ACTIVITY_LIMIT if self.request_limit is None else min(ACTIVITY_LIMIT, self.request_limit)
        try:
            page = history_page(await self.requests.request("chat.history", params, limit))
        except GatewayError:
            return None
        queued = any(entry.state == "queued" for entry in page.pending)
        return is_busy(page) or queued if tells_activity(page) else None

    async def abort(self, session_key: str, run_id: str | None) -> AbortResult:
        """Stop a run, or all of a session; tries the canonical key where the gateway wants another spelling.

        2026.2.17 and 2026.4.15 want the key as it was in chat.send, 2026.6.1 the canonical one when there is no run id.
        """
        canonical = self._sessions.canonical(check_session_key(session_key))
        params = {"sessionKey": session_key} if run_id is None else {"sessionKey": session_key, "runId": run_id}
        try:
            result = abort_result(await self.requests.request("chat.abort", params, self.request_limit))
        except RequestFailed as error:
            if canonical == session_key or "does not match" not in error.message:
                raise
            result = AbortResult(False)
        if not result.aborted and canonical != session_key:
            again = {**params, "sessionKey": canonical}
            result = abort_result(await self.requests.request("chat.abort", again, self.request_limit))
        self._on_aborted(result.run_ids)
        return result


def peer_of(connection: Connection) -> Peer:
    """What a run may know of a connection."""
    hello = connection.hello
    assert hello is not None
    uptime = hello.snapshot.uptime_ms
    return Peer(
        hello.protocol,
        hello.server.version,
        hello.server.boot_id or None,
        None if uptime is None else uptime / 1000,
        connection.challenged_at,
        connection.greeted_at,
        connection.clock_offset,
        connection.moments.get("welcomed"),
    )


def habits(hello: Hello | None) -> Habits:
    """How a gateway behaves behind the end of a run."""
    return Habits() if hello is None else habits_of(hello.protocol, hello.release)
