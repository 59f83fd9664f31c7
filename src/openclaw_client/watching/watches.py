"""All that one client follows, and what each is told of. On the loop's thread, but for what has no connection yet."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from openclaw_client.chat.methods import ChatMethods
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.sessions.subscription import SessionSubscriptions
from openclaw_client.watching import list_watch, transcript_watch
from openclaw_client.watching.list_watch import SessionListWatch
from openclaw_client.watching.session_list import MAX_SESSIONS, SessionsChanged
from openclaw_client.watching.sinks import WatchSink
from openclaw_client.watching.transcript_watch import TranscriptWatch
from openclaw_client.wire.frames import Event, decode_payload
from openclaw_client.wire.history import HistoryMessage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT
from openclaw_client.wire.session_info import session_change
from openclaw_client.wire.sessions import check_session_key

Begun = Callable[[], Coroutine[Any, Any, None]]

WATCHED_EVENTS = frozenset({"sessions.changed", "session.message"})
"""What is said of a session as a whole, and of one of its rows."""


class Watches:
    """Of one client."""

    __slots__ = ("_lists", "_methods", "_sessions", "_subscriptions", "_transcripts")

    def __init__(self, methods: ChatMethods, sessions: SessionFilter, subscriptions: SessionSubscriptions) -> None:
        self._methods = methods
        self._sessions = sessions
        self._subscriptions = subscriptions
        self._lists: tuple[SessionListWatch, ...] = ()
        self._transcripts: tuple[TranscriptWatch, ...] = ()

    def check_session(self, session_key: object) -> str:
        """The key of a session that may be followed. Raises UsageError. From any thread."""
        key = check_session_key(session_key)
        if not self._sessions.accepts(key):
            # Of a client that is no manager's, what it used is not its own.
            use = ", or use it first, as chat_send and chat_history do" if self._sessions.private else ""
            raise UsageError(
                message=f"the session {key!r} is none of this client's; nothing was sent",
                remedy=f"Name it in sessions={use}",
            )
        return key

    def follow_list(self, sink: WatchSink[SessionsChanged], size: int) -> Begun:
        """Follow the list of sessions. Returns what waits until that has begun."""
        requests, limit = self._methods.requests, self._methods.request_limit
        watch = SessionListWatch(sink, size, requests, self._sessions, limit)
        self._lists = (*self._lists, watch)
        return self._begin(watch)

    def follow_session(self, sink: WatchSink[HistoryMessage], session_key: str, history: int) -> Begun:
        """Follow the rows of a session. Returns what waits until that has begun."""
        args = (self._methods, self._sessions, self._subscriptions)
        watch = TranscriptWatch(sink, session_key, history, *args)
        self._transcripts = (*self._transcripts, watch)
        return self._begin(watch)

    def leave(self, sink: object) -> None:
        """Nobody reads any more. The gateway is told where nothing else of this client needs what it sends."""
        for one in self._lists:
            if one.sink is sink:
                one.lost()
                self._lists = tuple(other for other in self._lists if other is not one)
                if not self._lists:
                    # Releases from 2026.8 on don't know the method, and go on until the connection ends.
                    self._tell_gateway(list_watch.UNSUBSCRIBE, {})
        for row in self._transcripts:
            if row.sink is sink:
                row.lost()
                self._transcripts = tuple(other for other in self._transcripts if other is not row)
                needed = any(other.is_about(row.session_key) for other in self._transcripts)
                if not needed and not self._subscriptions.holds(row.session_key):
                    self._tell_gateway(transcript_watch.UNSUBSCRIBE, {"key": row.session_key})

    # What comes.

    def on_event(self, frame: Event) -> None:
        """One of `WATCHED_EVENTS`."""
        if not (self._lists or self._transcripts):
            return
        payload = decode_payload(frame.payload)
        change = session_change(payload)
        if change is None:
            return
        for watch in self._lists:
            if frame.event == "sessions.changed" or change.whole:
                watch.on_change(change)
        if frame.event == "session.message":
            for one in self._transcripts:
                if one.is_about(change.key):
                    one.on_row(payload)

    def on_end(self, session_key: str, state: str) -> None:
        """A run is over."""
        for watch in self._transcripts:
            if watch.is_about(session_key):
                watch.on_end(state)

    def on_usable(self, connection: Connection) -> None:
        """Requests may be sent."""
        for watch in self._all:
            watch.connected(connection)

    def on_lost(self) -> None:
        for watch in self._all:
            watch.lost()

    def in_doubt(self) -> None:
        """Events were lost."""
        for watch in self._all:
            watch.in_doubt()

    def allowed(self) -> None:
        """The client may see other sessions than before."""
        for watch in self._lists:
            watch.allowed()

    def stop(self, error: GatewayError) -> None:
        """The connection is gone for good."""
        for watch in self._all:
            watch.end(error)

    def end_streams(self, error: GatewayError) -> None:
        """In a forked child: nothing follows, and the loop is the parent's."""
        for watch in self._all:
            watch.sink.end(error)

    # Inside.

    @property
    def _all(self) -> tuple[SessionListWatch | TranscriptWatch, ...]:
        return (*self._lists, *self._transcripts)

    def _begin(self, watch: SessionListWatch | TranscriptWatch) -> Begun:
        connection = self._methods.requests.usable
        if connection is not None:
            watch.connected(connection)
        return watch.begun

    def _tell_gateway(self, method: str, params: dict[str, Any]) -> None:
        requests = self._methods.requests
        connection = requests.usable
        if connection is not None and requests.facts.supports(method):
            # Where the connection has just ended, the subscription has, too.
            with suppress(GatewayError):
                connection.request(method, params, self._methods.request_limit, requests.outcome(_ignored))


def check_size(limit: object) -> int:
    """How many sessions are followed. Raises UsageError."""
    if limit is None:
        return MAX_SESSIONS
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_SESSIONS:
        raise UsageError(message=f"limit={limit!r} is no number of sessions", remedy=f"Use 1 to {MAX_SESSIONS}")
    return limit


def check_history(history: object) -> int:
    """How many rows from before are told. Raises UsageError."""
    if isinstance(history, bool) or not isinstance(history, int) or not 0 <= history <= MAX_HISTORY_LIMIT:
        raise UsageError(message=f"history={history!r} is no number of rows", remedy=f"Use 0 to {MAX_HISTORY_LIMIT}")
    return history


def _ignored(_payload: object, _error: GatewayError | None) -> None:
    """Whatever the gateway says to it: nothing more is read."""
