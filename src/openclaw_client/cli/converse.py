"""One message and its reply, with Ctrl-C for the end of the run."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType
from typing import Self

from openclaw_client.cli.dialog import Dialog
from openclaw_client.cli.options import Wishes
from openclaw_client.cli.received import lines_of
from openclaw_client.cli.view import RunView
from openclaw_client.client.options import ConnectionState, StateChange
from openclaw_client.errors import ClientClosed, ConnectionLost, GatewayError, Unreachable
from openclaw_client.runs.events import ChatReply, Reconnecting, Resumed, RunEvent
from openclaw_client.sync.client import GatewayClient
from openclaw_client.sync.run import ChatRun
from openclaw_client.wire.files import AgentFile

NO_WISHES = Wishes()
LOOK = 0.1
"""Seconds between two looks whether the message waits for another run: quicker than a person wonders."""


class NotSent(KeyboardInterrupt):
    """Ctrl-C came before the message went out."""


def converse(
    client: GatewayClient,
    session_key: str,
    message: str,
    view: RunView,
    *,
    way: Callable[[AgentFile], str],
    dialog: Dialog | None = None,
    wishes: Wishes = NO_WISHES,
    timeout: float | None = None,
    away_timeout: float | None = None,
) -> ChatReply:
    """Send a message and show its run; the reply is "aborted" after Ctrl-C. On the main thread.

    way: says how a file of the reply is got; called once for each. dialog: asks the person what the agent asks.
    wishes: what goes with the message. timeout: seconds for the whole run. away_timeout: seconds that a gateway may be
    away in mid-run, None for no limit; then the client is disconnected.

    Raises Unreachable then, else what `chat_stream` and its result raise, and KeyboardInterrupt for a second Ctrl-C,
    which leaves the run; NotSent for one before the message went out.
    """
    # Where files cannot be got, nobody waits for them.
    details = client.supports("artifacts.download") is True
    run = client.chat_stream(
        session_key=session_key,
        message=message,
        timeout=timeout,
        system_prompt=wishes.system_prompt,
        model=wishes.model,
        thinking=wishes.thinking,
        details=details,
    )
    absence, interrupted = _Absence(client, away_timeout), threading.Event()
    try:
        with view, _sent(run, view), _abort_on_interrupt(run, view, interrupted), absence:
            for event in run:
                absence.event(event)
                view.event(event)
                if dialog is not None and (note := dialog.event(event, view.asking, interrupted)):
                    view.note(note)
            reply = run.result()
            view.finish(reply, lines_of(reply, way))
    except GatewayError as error:
        if absence.given_up:
            raise Unreachable(
                message=f"the gateway did not come back within {away_timeout:g} s; the run may go on there",
                remedy=f"`openclaw-client history --session {shlex.quote(session_key)}` shows what became of it",
            ) from error
        raise
    return reply


@contextmanager
def _sent(run: ChatRun, view: RunView) -> Iterator[None]:
    """The run, sent, for the length of a block. Ctrl-C during the wait before that takes the message back."""
    gone = threading.Event()
    watch = threading.Thread(target=_watch_turn, args=(run, view, gone), name="openclaw-turn", daemon=True)
    watch.start()
    with ExitStack() as stack:
        try:
            stack.enter_context(run)
        except KeyboardInterrupt:
            if run.sent_run is not None:
                raise
            view.note("the message was not sent")
            raise NotSent from None
        finally:
            gone.set()
            watch.join()
        yield


def _watch_turn(run: ChatRun, view: RunView, gone: threading.Event) -> None:
    """Tell of a message that waits for another run, until it is gone."""
    while not gone.wait(LOOK):
        if run.activity.kind == "waiting":
            view.waiting()
            return


class _Absence:
    """Disconnects a client whose gateway stays away: the run would wait for it for ever."""

    def __init__(self, client: GatewayClient, away_timeout: float | None) -> None:
        self.given_up = False
        self._client = client
        self._away_timeout = away_timeout
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._back()

    def event(self, event: RunEvent) -> None:
        if isinstance(event, Reconnecting) and self._away_timeout is not None and self._timer is None:
            self._timer = threading.Timer(self._away_timeout, self._give_up)
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
def _abort_on_interrupt(run: ChatRun, view: RunView, interrupted: threading.Event) -> Iterator[None]:
    """The first Ctrl-C within the block aborts the run, and is told; a second one is a KeyboardInterrupt.

    Not by catching KeyboardInterrupt: that could come between taking an event and showing it, and lose the event.
    """

    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        # The handler runs on the main thread between any two steps, perhaps within the view's own lock; so it only
        # starts somebody else.
        threading.Thread(target=_abort, args=(run, view), name="openclaw-abort", daemon=True).start()

    before = signal.signal(signal.SIGINT, on_interrupt)
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
