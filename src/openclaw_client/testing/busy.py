"""What becomes of a message that meets a running run: the queue modes, and how each release carries them out.

Knows modes, commands, and the messages that wait for a run. Refuses to know how a run is performed.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from openclaw_client.testing.profiles import Busy, Profile
from openclaw_client.testing.run import Audience, Owner, Run
from openclaw_client.testing.transcripts import Transcript, assistant_extra, new_row

if TYPE_CHECKING:
    from openclaw_client.testing.runs import Runs

MODES: Final[tuple[Busy, ...]] = ("steer", "followup", "collect", "interrupt")
SHUTTING_DOWN: Final = "The run before is still being stopped; try again in a moment."
"""What 2026.4.15 answers a message that interrupts a run, in words of its own, instead of handing it to the agent."""


@dataclass(frozen=True, slots=True)
class Message:
    """The checked parameters of chat.send."""

    key: str
    written_key: str
    text: str
    attachments: list[dict[str, Any]]
    run_id: str
    timeout: float | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """A message that came while a run was performed. run_id: what its sender asked for."""

    run_id: str
    message: str
    attachments: list[dict[str, Any]]
    owner: Owner


def mode_of(profile: Profile, asked: str | None, session: str | None) -> Busy:
    """The mode that counts: the message's own, the session's (`/queue MODE`), the gateway's."""
    if profile.busy == "queue":
        # 2026.6.1 knows the command, and answers every message in a run of its own all the same.
        return "queue"
    wanted = asked or session
    for mode in MODES:
        if mode == wanted:
            return mode
    return profile.busy


def queue_command(text: str) -> str | None:
    """The mode that `/queue MODE` asks for; None for any other message."""
    command, _, mode = text.strip().partition(" ")
    return mode.strip() if command == "/queue" and mode.strip() in MODES else None


def collected(lates: Sequence[Late]) -> str:
    """Several messages as the one that the agent gets."""
    parts = [f"Queued #{at} (from {late.owner.name})\n{late.message}" for at, late in enumerate(lates, 1)]
    return "\n\n---\n".join(["[Queued while the agent was busy]", *parts])


class LateMessages:
    """The messages of one gateway that met a running run."""

    def __init__(self, runs: Runs, profile: Profile, audience: Audience) -> None:
        self._runs = runs
        self._profile = profile
        self._audience = audience
        self._steered: dict[Run, list[Late]] = {}
        self._collected: dict[Run, list[Late]] = {}

    def fold(self, run: Run, first: Run, mode: Busy) -> None:
        """A message that met a running run: it ends without an answer of its own."""
        late = Late(run.id, run.message, run.attachments, run.owner)
        if mode == "steer" and not first.over:
            self._steered.setdefault(first, []).append(late)
            if self._profile.steers_late:
                return
        self._hand_over(run)
        if mode != "steer" or first.over:
            self._follow_up(run.session, late, collect=mode == "collect" and self._profile.collects)

    def _hand_over(self, run: Run) -> None:
        run.hand_over()
        self._runs.retire(run)

    def _follow_up(self, session: Transcript, late: Late, *, collect: bool = False) -> None:
        """Answer a late message in a run that nobody asked for."""
        waiting = self._runs.by_session.get(session.key, ())
        found = next((run for run in waiting if run in self._collected and run.state == "queued"), None)
        if collect and found is not None:
            self._collected[found].append(late)
            found.message = collected(self._collected[found])
            return
        run_id = str(uuid.uuid4())
        text = collected([late]) if collect else late.message
        run = self._runs.new_run(Message(session.key, session.key, text, late.attachments, run_id), session, late.owner)
        run.follow_up, run.asked_by = True, f"followup-collect:{run_id}" if collect else late.run_id
        if collect:
            self._collected[run] = [late]
        self._runs.start_next(session.key)

    def interrupt(self, run: Run, ahead: list[Run]) -> None:
        """Stop what runs, so that this message has its turn."""
        for one in ahead:
            if one.over:
                continue
            one.interrupt()
            self._runs.retire(one)
            if self._profile.interrupts != "aborted":
                extra = {**assistant_extra(), "stopReason": "aborted", "errorMessage": "the request was aborted"}
                self._runs.record(one, new_row("assistant", one.text, self._audience.now_ms(), run_id=one.id, **extra))
            self._runs.cancel(one)
        if self._profile.interrupts == "silent-and-refused":
            run.answer_command(SHUTTING_DOWN, assistant_extra(injected=True))
            self._runs.retire(run)

    def pending(self, key: str) -> list[Late]:
        """Messages of a session that wait for the run that is performed."""
        runs = self._runs.by_session.get(key, ())
        steered = [late for run in runs for late in self._steered.get(run, ())]
        waiting = [run for run in runs if run.follow_up and run.state == "queued" and run not in self._collected]
        lates = [Late(run.asked_by or run.id, run.message, run.attachments, run.owner) for run in waiting]
        return steered + [late for run in runs for late in self._collected.get(run, ())] + lates

    def take(self, run: Run) -> list[Late]:
        """The steered messages whose turn it is, now that the run has said what it had to say."""
        lates = self._steered.pop(run, [])
        # 2026.9.6 gives the model all of them at once, the others one by one.
        taken, left = (lates, []) if self._profile.steers_late else (lates[:1], lates[1:])
        if left:
            self._steered[run] = left
        for late in taken:
            self._take_from(late, run)
        return taken

    def drop(self, run: Run) -> None:
        """A run was stopped: what was steered into it ends with it."""
        for late in self._steered.pop(run, ()):
            self._take_from(late, None)

    def ended(self, run: Run) -> None:
        """A run is over: what came too late to be taken up gets a run of its own."""
        self._collected.pop(run, None)
        for late in self._steered.pop(run, ()):
            self._take_from(late, None)
            self._follow_up(run.session, late)

    def _take_from(self, late: Late, into: Run | None) -> None:
        """A steered message has its place now: in this run, or, without one, in a run of its own."""
        own = self._runs.live.get(late.run_id)
        if own is not None:
            self._hand_over(own)
        if into is not None:
            row = new_row("user", late.message, self._audience.now_ms(), run_id=late.run_id, sender=late.owner.name)
            row.merged_into = into.id
            self._runs.record(into, row)
