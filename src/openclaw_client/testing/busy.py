"""What becomes of a message that comes while its session is busy: how each release carries out the queue modes.

Knows the messages that wait for a run. Refuses to know how a run is performed.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final, Literal, Protocol

from openclaw_client.testing.callers import Audience, Owner
from openclaw_client.testing.messages import Late, Message, collected
from openclaw_client.testing.roster import Roster
from openclaw_client.testing.run import Run
from openclaw_client.testing.traits import Busy, Profile
from openclaw_client.testing.transcripts import Input, Row, Transcript, assistant_extra, new_row

SHUTTING_DOWN: Final = "The run before is still being stopped; try again in a moment."
"""What 2026.4.15 and 2026.5.12 answer a message that interrupts a run, in words of their own, instead of handing it to
the agent."""


class Performer(Protocol):
    """Who performs runs."""

    def new_run(self, message: Message, session: Transcript, owner: Owner) -> Run: ...
    def retire(self, run: Run) -> None: ...
    def cancel(self, run: Run) -> None: ...
    def start_next(self, key: str) -> None: ...
    def record(self, run: Run, row: Row) -> None: ...


class LateMessages:
    """The messages of one gateway that found their session busy."""

    def __init__(self, performer: Performer, roster: Roster, profile: Profile, audience: Audience) -> None:
        self._performer = performer
        self._roster = roster
        self._profile = profile
        self._audience = audience
        self._steered: dict[Run, list[Late]] = {}
        self._waiting: dict[Run, list[Late]] = {}
        # By session: what met a run of the method `agent`, behind which these releases look for nothing.
        self._kept: dict[str, list[Late]] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def fold(self, run: Run, first: Run | None, mode: Busy) -> None:
        """A message that found its session busy: it ends without an answer of its own.

        first: The run that is performed; None where the session is busy behind one.
        """
        if run.task is not None:
            # The run before it ended in the same turn of the loop, so that this one has begun.
            return
        late = Late(run.id, run.message, run.attachments, run.owner)
        if self._profile.pending_inputs:
            run.session.inputs.append(Input(late.id, run.id, run.message, self._audience.now_ms()))
        if mode == "steer" and first is not None and not first.over:
            self._steer(run, first, late)
            return
        self._hand_over(run)
        if self._profile.agent_keeps_late and first is not None and first.by_agent:
            self._kept.setdefault(run.key, []).append(late)
            return
        self._follow_up(run.session, late, collect=mode == "collect" and self._profile.collects)

    def _steer(self, run: Run, first: Run, late: Late) -> None:
        if self._profile.steering == "breaks":
            # It is written down under the run's feet, and nobody answers it.
            self._record_taken(first, late, into=first)
            run.session.spoken_in = first.broken = True
            self._hand_over(run)
            return
        self._steered.setdefault(first, []).append(late)
        if self._profile.steering != "late":
            self._hand_over(run)

    def _hand_over(self, run: Run) -> None:
        run.hand_over()
        self._performer.retire(run)

    def _follow_up(self, session: Transcript, late: Late, *, collect: bool = False) -> None:
        """Answer a late message in a run that nobody asked for."""
        found = self._collecting(session.key) if collect else None
        if found is not None:
            self._waiting[found].append(late)
            found.message = collected(self._waiting[found])
            return
        text = collected([late]) if collect else late.message
        message = Message(session.key, session.key, text, late.attachments, str(uuid.uuid4()))
        run = self._performer.new_run(message, session, late.owner)
        run.follow_up = True
        if collect:
            run.row_key = f"followup-collect:{uuid.uuid4()}:{uuid.uuid4().hex}"
        else:
            run.asked_by, run.row_id = late.run_id, late.id
        self._waiting[run] = [late]
        self._performer.start_next(session.key)

    def _collecting(self, key: str) -> Run | None:
        """The run of a session that collects messages and has not begun."""
        for run in self._roster.by_session.get(key, ()):
            if run in self._waiting and run.asked_by is None and run.state == "queued":
                return run
        return None

    def waits(self, run: Run) -> None:
        """A run of the method `agent` has its turn behind those of its session."""
        if self._profile.agent_row_keys:
            one = Input(run.row_id, run.id, run.message, self._audience.now_ms())
            run.session.inputs.append(one)

    def begun(self, run: Run) -> None:
        """A run takes up what waited for it; its user row is there."""
        if run.by_agent:
            run.session.inputs[:] = [one for one in run.session.inputs if one.id != run.row_id]
        lates = self._waiting.pop(run, ())
        for late in lates:
            self._remove(run.session, late)
            if run.asked_by is None:
                run.session.receipts[late.run_id] = run.row_id

    # Interrupting.

    def interrupt(self, run: Run, ahead: list[Run]) -> None:
        """Stop what runs, so that this message has its turn."""
        if run.task is not None:
            # As in `fold`: what ran has ended by itself.
            return
        how = self._profile.interrupts
        run.held = False
        for one in ahead:
            if not one.over:
                self._cut(one)
        if how in ("silent-and-refused", "final-and-refused"):
            run.answer_command(SHUTTING_DOWN, assistant_extra(injected=True))
            self._performer.retire(run)
            row = new_row("assistant", SHUTTING_DOWN, self._audience.now_ms(), **assistant_extra(injected=True))
            self._performer.record(run, row)
        elif how == "breaks":
            self._record_taken(run, Late(run.id, run.message, run.attachments, run.owner), into=None)
            self._hand_over(run)
        if how == "final-and-refused":
            for one in ahead:
                one.end_cut()

    def _cut(self, run: Run) -> None:
        how = self._profile.interrupts
        begun = run.state == "running"
        run.interrupt()
        self._performer.retire(run)
        if begun and how not in ("aborted", "breaks"):
            text = "" if how == "late" else run.text
            extra = {**assistant_extra(), "stopReason": "aborted", "errorMessage": "the request was aborted"}
            self._performer.record(run, new_row("assistant", text, self._audience.now_ms(), run_id=run.id, **extra))
        if begun and how in ("late", "breaks"):
            loop = asyncio.get_running_loop()
            self._timers.add(loop.call_later(self._profile.abort_delay, run.tell_interrupted))
        self._performer.cancel(run)

    # Aborting.

    def find(self, run_id: str, key: str) -> Late | None:
        """The message of this id that waits for its turn, on releases that let it be aborted."""
        if not self._profile.aborts_waiting:
            return None
        waiting = [run for run in self._roster.by_session.get(key, ()) if run.state == "queued"]
        return next((late for run in waiting for late in self._waiting.get(run, ()) if late.run_id == run_id), None)

    def cancel(self, late: Late, key: str) -> None:
        """Take a message that waits out of its queue.

        No event tells of it. Where chat.history lists what waits, it stays there, as cancelled.
        """
        run = next(run for run in self._roster.by_session[key] if late in self._waiting.get(run, ()))
        lates = self._waiting[run]
        lates.remove(late)
        self._mark(run.session, late.run_id, "cancelled")
        if lates:
            run.message = collected(lates)
            return
        del self._waiting[run]
        run.drop()
        self._performer.retire(run)

    def drop(self, run: Run) -> None:
        """A run was stopped: what was steered into it ends with it."""
        for late in self._steered.pop(run, ()):
            self._take_from(late, run, into=None)
            self._mark(run.session, late.run_id, "cancelled")
        self._mark(run.session, run.id, "cancelled")
        for lates in self._steered.values():
            lates[:] = [late for late in lates if late.run_id != run.id]

    def forget(self, run: Run) -> None:
        """The session of a run is begun anew: nothing becomes of what waits for it."""
        self._waiting.pop(run, None)
        self._steered.pop(run, None)

    # Taking up.

    def take(self, run: Run) -> list[Late]:
        """The steered messages whose turn it is, now that the run has said what it had to say."""
        lates = self._steered.pop(run, [])
        taken, left = (lates[:1], lates[1:]) if self._profile.steering == "one-by-one" else (lates, [])
        if left:
            self._steered[run] = left
        for late in taken:
            self._take_from(late, run, into=run)
        return taken

    def ended(self, run: Run) -> None:
        """A run is over: what came too late to be taken up gets a run of its own."""
        self._waiting.pop(run, None)
        for late in self._steered.pop(run, ()):
            self._take_from(late, run, into=None)
            self._follow_up(run.session, late)
        for late in self._kept.pop(run.key, ()) if not run.by_agent else ():
            self._follow_up(run.session, late)

    def begin_anew(self, key: str) -> None:
        """A session is begun anew, or gone: so is what was kept for it."""
        self._kept.pop(key, None)

    def _take_from(self, late: Late, run: Run, into: Run | None) -> None:
        """A steered message has its place now: in this run, or, without one, in a run of its own."""
        own = self._roster.live.get(late.run_id)
        if own is not None:
            self._hand_over(own)
        if into is not None:
            self._remove(run.session, late)
            self._record_taken(run, late, into=into)

    def _record_taken(self, run: Run, late: Late, into: Run | None) -> None:
        row = new_row("user", late.message, self._audience.now_ms(), run_id=late.run_id, sender=late.owner.name)
        row.id = late.id
        row.merged_into = into.id if into is not None else None
        self._performer.record(run, row)

    def _mark(self, session: Transcript, run_id: str, state: Literal["cancelled", "interrupted"]) -> None:
        for one in session.inputs:
            if one.run_id == run_id and one.state == "queued":
                one.state = state

    def _remove(self, session: Transcript, late: Late) -> None:
        session.inputs[:] = [one for one in session.inputs if one.id != late.id]

    def close(self) -> None:
        """End all timers."""
        for timer in self._timers:
            timer.cancel()
