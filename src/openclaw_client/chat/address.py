"""Which run is to be taken up, from what its caller gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openclaw_client.errors import UsageError
from openclaw_client.journal.protocol import PendingRun
from openclaw_client.runs.peer import AGENT, CHAT_SEND, SentRun
from openclaw_client.wire.sessions import check_session_key


@dataclass(frozen=True, slots=True)
class RunAddress:
    """A run that is under way, or was, wherever its message came from. offset: characters that the reader has.
    details: whether its reply is to say what it took, and which files came with it. adopted: nobody asks for it,
    and only its end is to be noted: nothing is sent."""

    run_id: str
    session_key: str
    sent: SentRun | None = None
    offset: int = 0
    details: bool = False
    adopted: bool = False


def run_address(
    run: SentRun | PendingRun | str,
    session_key: str | None,
    offset: int,
    *,
    details: bool,
    recorded: Callable[[str], SentRun | None],
) -> RunAddress:
    """The arguments of chat_attach, checked. Raises UsageError.

    recorded: the facts of a run that the client has on its list.
    """
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise UsageError(message=f"offset={offset!r} is no number of characters", remedy="Use 0 for the whole text")
    if isinstance(run, PendingRun):
        run = run.sent_run
    if isinstance(run, str) and (known := recorded(run)) is not None and session_key in (None, known.session_key):
        run = known
    if isinstance(run, SentRun):
        if session_key is not None and session_key != run.session_key:
            raise UsageError(
                message=f"the run was sent in the session {run.session_key!r}", remedy="Leave session_key= out"
            )
        if run.method not in (CHAT_SEND, AGENT):
            raise UsageError(
                message=f"method={run.method!r} of the SentRun sends no messages",
                remedy="Store the SentRun as it is, or update openclaw-client here",
            )
        return RunAddress(run.run_id, check_session_key(run.session_key), run, offset, details)
    if not isinstance(run, str) or not run:
        raise UsageError(
            message=f"{run!r} names no run", remedy="Pass a SentRun, what pending() gives, or the id of a run"
        )
    if session_key is None:
        raise UsageError(message="the session of the run is not given", remedy="Pass session_key=")
    return RunAddress(run, check_session_key(session_key), None, offset, details)
