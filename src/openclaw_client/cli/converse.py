"""One message and its reply, with Ctrl-C for the end of the run."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from openclaw_client.cli.view import RunView
from openclaw_client.client.options import ConnectionState, StateChange
from openclaw_client.errors import ClientClosed, ConnectionLost, GatewayError, Unreachable
from openclaw_client.runs.events import ChatReply, Reconnecting, Resumed, RunEvent
from openclaw_client.sync.client import GatewayClient
from openclaw_client.sync.run import ChatRun


def converse(
    client: GatewayClient,
    session_key: str,
    message: str,
    view: RunView,
    *,
    timeout: float | None = None,
    patience: float | None = None,
) -> ChatReply:
    """Send a message and show its run; the reply is "aborted" after Ctrl-C. On the main thread.

    timeout: seconds for the whole run. patience: seconds that a gateway may be away in mid-run, None for no limit; the
    client is disconnected after that. Raises Unreachable then, else what `chat_stream` and its result raise, and
    KeyboardInterrupt for a second Ctrl-C, which leaves the run.
    """
    run = client.chat_stream(session_key=session_key, message=message, timeout=timeout)
    absence = _Absence(client, patience)
    try:
        with view, run, _abort_on_interrupt(run, view), absence:
            for event in run:
                absence.event(event)
                view.event(event)
            reply = run.result()
            view.finish(reply)
    except GatewayError as error:
        if absence.given_up:
            raise Unreachable(
                message=f"the gateway did not come back within {patience:g} s; the run may go on there",
                remedy=f"`openclaw-client history --session {shlex.quote(session_key)}` shows what became of it",
            ) from error
        raise
    return reply


class _Absence:
    """Disconnects a client whose gateway stays away: the run would wait for it for ever."""

    def __init__(self, client: GatewayClient, patience: float | None) -> None:
        self.given_up = False
        self._client = client
        self._patience = patience
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._back()

    def event(self, event: RunEvent) -> None:
        if isinstance(event, Reconnecting) and self._patience is not None and self._timer is None:
            self._timer = threading.Timer(self._patience, self._give_up)
            self._timer.daemon = True
            self._timer.start()
        elif isinstance(event, Resumed):
            self._back()

    def _back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self.given_up = True
        self._client.disconnect()


def describe_change(change: StateChange) -> str:
    """A change of the connection in a few words; "" for those that a person expects."""
    cause = change.cause
    if change.new is ConnectionState.RECONNECTING:
        reason = cause.close_reason if isinstance(cause, ConnectionLost) else None
        return f"connection lost{f' ({reason})' if reason else ''}, reconnecting"
    if change.new is ConnectionState.CONNECTED and change.old is ConnectionState.RECONNECTING:
        return "connected again"
    if change.new is ConnectionState.PAUSED:
        return f"the connection is given up: {cause}" if cause is not None else "the connection is given up"
    return ""


@contextmanager
def _abort_on_interrupt(run: ChatRun, view: RunView) -> Iterator[None]:
    """The first Ctrl-C within the block aborts the run, a second one is a KeyboardInterrupt.

    Not by catching KeyboardInterrupt: that could come between taking an event and showing it, and lose the event.
    """
    asked = False

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # The handler runs on the main thread between any two steps, perhaps within the view's own lock; so it only
        # starts somebody else.
        threading.Thread(target=_abort, args=(run, view), name="openclaw-abort", daemon=True).start()

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _abort(run: ChatRun, view: RunView) -> None:
    view.aborting()
    try:
        run.abort()
    except ClientClosed:
        # The program has left meanwhile, and said so.
        pass
    except GatewayError as error:
        view.note(f"the run could not be aborted: {error}")
