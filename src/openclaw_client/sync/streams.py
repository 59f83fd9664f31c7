"""What a client hands out as it comes, for threads: events, the list of sessions, the rows of one."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_client.client.events import check_names
from openclaw_client.client.port import Port
from openclaw_client.client.streams import joined, no_size
from openclaw_client.sync.events import BlockingEventStream
from openclaw_client.sync.loop_thread import LoopThread
from openclaw_client.watching.session_list import SessionsChanged
from openclaw_client.watching.transcript_watch import size_of_row
from openclaw_client.watching.watches import Begun, check_history, check_size
from openclaw_client.wire.history import HistoryMessage


class BlockingStreams:
    """From any thread."""

    # Of the client.
    _port: Port
    _reconnect_after_fork: bool
    _thread: LoopThread | None
    _ready_thread: Callable[[], LoopThread]
    _soon: Callable[..., None]

    def events(self, *names: str) -> BlockingEventStream:
        """An iterator of gateway events of these names, or of all; from this call on, over reconnects.

        In a forked child of a connected client it connects first, and raises what `connect()` raises.
        """
        check_names(names)
        if self._reconnect_after_fork:
            self._ready_thread()
        port = self._port
        stream = BlockingEventStream(names, lambda leaving: self._soon(port.remove_stream, leaving), port.on_slow)
        port.add_stream(stream)
        return stream

    def watch_sessions(self, limit: int | None = None) -> BlockingEventStream[SessionsChanged]:
        """An iterator of the list of sessions: as it is, and again whenever it changes; over reconnects.

        Whoever reads late gets the latest list, with the keys of all that changed since. A client with `sessions=`, and
        one of a manager, is shown its own sessions only. Closing the iterator ends the subscription.

        Args:
            limit: How many sessions, the latest; at most 1,000, which None stands for.

        Raises:
            UsageError: The limit is none. Iterating raises MethodUnavailable where the gateway does not tell of changes
                (2026.2.17), MissingScope, and the error that ended the connection for good (ClientClosed after
                disconnect()). Ctrl-C loses nothing.
        """
        size = check_size(limit)
        if self._reconnect_after_fork:
            self._ready_thread()
        watches, on_slow = self._port.watches, self._port.on_slow
        stream: BlockingEventStream[SessionsChanged] = BlockingEventStream(
            ("sessions",), lambda leaving: self._soon(watches.leave, leaving), on_slow, no_size, joined
        )
        stream._begun = self._begin_watch("watch_sessions", lambda: watches.follow_list(stream, size))
        return stream

    def watch_session(self, *, session_key: str, history: int = 0) -> BlockingEventStream[HistoryMessage]:
        """An iterator of the rows of a session, whoever caused them: each once, in order, over reconnects.

        Begins with what comes after this call, at the latest with what comes when a `with` is entered. Rows come
        as they are written on 2026.6.1 and later, and when a run ends on older releases. Goes on where the session is
        begun anew. Closing the iterator ends the subscription.

        Args:
            session_key: The session, in any spelling.
            history: How many rows from before come first; at most 1,000.

        Raises:
            UsageError: The session is none of this client's, or an argument cannot be. Iterating raises MissingScope,
                and the error that ended the connection for good (ClientClosed after disconnect()).
                Ctrl-C loses nothing.
        """
        if self._reconnect_after_fork:
            self._ready_thread()
        watches, on_slow = self._port.watches, self._port.on_slow
        key, count = watches.check_session(session_key), check_history(history)
        stream: BlockingEventStream[HistoryMessage] = BlockingEventStream(
            (f"rows of {key}",), lambda leaving: self._soon(watches.leave, leaving), on_slow, size_of_row
        )
        stream._begun = self._begin_watch("watch_session", lambda: watches.follow_session(stream, key, count))
        return stream

    def _begin_watch(self, name: str, begin: Callable[[], Begun]) -> Callable[[], object] | None:
        """Begin to follow on the loop's thread; at once where there is none. Returns what waits until it has begun."""

        async def work() -> Begun:
            return begin()

        thread = self._thread
        if thread is None or thread.closing:
            begin()
            return None
        # Waited for: a process may be forked in the next moment.
        begun = thread.call(work, name)
        return lambda: thread.call(begun, name)
