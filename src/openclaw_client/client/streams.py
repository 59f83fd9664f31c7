"""What a client hands out as it comes, for coroutines: events, the list of sessions, the rows of one."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_client.client.events import EventStream, check_names
from openclaw_client.client.port import Port
from openclaw_client.watching.session_list import SessionsChanged
from openclaw_client.watching.transcript_watch import size_of_row
from openclaw_client.watching.watches import check_history, check_size
from openclaw_client.wire.history import HistoryMessage


class AsyncStreams:
    """On the loop's thread."""

    # Of the client.
    _port: Port
    _bind: Callable[[], None]

    def events(self, *names: str) -> EventStream:
        """An async iterator of gateway events of these names, or of all; from this call on, over reconnects."""
        check_names(names)
        stream = EventStream(names, self._port.remove_stream, self._port.on_slow)
        self._port.add_stream(stream)
        return stream

    def watch_sessions(self, limit: int | None = None) -> EventStream[SessionsChanged]:
        """An async iterator of the list of sessions: as it is, and again whenever it changes; over reconnects.

        Whoever reads late gets the latest list, with the keys of all that changed since. A client with `sessions=`, and
        one of a manager, is shown its own sessions only. Closing the iterator ends the subscription.

        Args:
            limit: How many sessions, the latest; at most 1,000, which None stands for.

        Raises:
            UsageError: The limit is none. Iterating raises MethodUnavailable where the gateway does not tell of changes
                (2026.2.17), MissingScope, and the error that ended the connection for good (ClientClosed after
                disconnect()). Cancelling a wait loses nothing.
        """
        size, watches = check_size(limit), self._port.watches
        stream: EventStream[SessionsChanged] = EventStream(
            ("sessions",), watches.leave, self._port.on_slow, no_size, joined
        )
        self._begin_watch()
        stream._begun = watches.follow_list(stream, size)
        return stream

    def watch_session(self, *, session_key: str, history: int = 0) -> EventStream[HistoryMessage]:
        """An async iterator of the rows of a session, whoever caused them: each once, in order, over reconnects.

        Begins with what comes after this call, at the latest with what comes when an `async with` is entered. Rows come
        as they are written on 2026.6.1 and later, and when a run ends on older releases. Goes on where the session is
        begun anew. Closing the iterator ends the subscription.

        Args:
            session_key: The session, in any spelling.
            history: How many rows from before come first; at most 1,000.

        Raises:
            UsageError: The session is none of this client's, or an argument cannot be. Iterating raises MissingScope,
                and the error that ended the connection for good (ClientClosed after disconnect()).
                Cancelling a wait loses nothing.
        """
        watches = self._port.watches
        key, count = watches.check_session(session_key), check_history(history)
        stream: EventStream[HistoryMessage] = EventStream(
            (f"rows of {key}",), watches.leave, self._port.on_slow, size_of_row
        )
        self._begin_watch()
        stream._begun = watches.follow_session(stream, key, count)
        return stream

    def _begin_watch(self) -> None:
        """Following begins on the loop, where there is a connection."""
        if self._port.hello is not None:
            self._bind()


def joined(earlier: SessionsChanged, later: SessionsChanged) -> SessionsChanged:
    """One for a reader that was not told the earlier one."""
    return later.after(earlier)


def no_size(_event: object) -> int:
    """Of events of which one waits at most."""
    return 0
