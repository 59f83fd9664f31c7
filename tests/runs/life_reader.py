"""Who reads one run, and holds it to its promises.

Knows what the gateway knows to be true.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from openclaw_client.runs.clock import RunLimits
from openclaw_client.runs.events import (
    ChatReply,
    Reconnecting,
    Resumed,
    RunErrored,
    RunEvent,
    TextAppended,
    TextReplaced,
)
from openclaw_client.runs.life import RunLife
from openclaw_client.runs.phases import Ask, End, Follow, NotFound, Outcome, OutOfReach, Phase, Send, Tell, Unknown
from tests.runs.gateway_model import Truth

if TYPE_CHECKING:
    from tests.runs.life_world import World


WALL = 1_700_000_000.0
"""The time of day at the beginning of the world's clock."""
UNFINDABLE = ("waiting", "crashed", "aborted", "killed", "silent")


class Reader:
    """Who reads one run, and holds it to its promises."""

    def __init__(self, world: World, key: str, message: str, *, limits: RunLimits) -> None:
        self.world, self.key = world, key
        self.life = RunLife(key, "s", message, self.emit, limits)
        self.events: list[RunEvent] = []
        self.shown = ""
        self.away = False
        self.outcome: Outcome | None = None
        self.asked: list[int] = []
        self.questions = 0
        self.sent_at = -inf
        # When the run has to be asked about at the latest.
        self.owed = inf
        self.owed_in = Phase.UNSENT
        self.sought = False
        # When the gateway made the latest page.
        self.page_made = -inf
        self.left = False
        # What was heard of its own run: "start", and "final" where it had no words.
        self.heard: set[str] = set()
        self.told: list[Tell] = []
        # Whether the gateway refused for good to tell of it.
        self.refused = False

    @property
    def truth(self) -> Truth | None:
        return self.world.gateway.truths.get(self.key)

    def emit(self, event: RunEvent) -> None:
        assert self.outcome is None, f"{event} after the end"
        self.events.append(event)
        if isinstance(event, TextAppended):
            self.shown += event.text
        elif isinstance(event, TextReplaced):
            self.shown = event.text
        elif isinstance(event, Reconnecting):
            assert not self.away, "two losses and no return between them"
            self.away = True
        elif isinstance(event, Resumed):
            assert self.away, "a return without a loss"
            self.away = False
        if isinstance(event, TextAppended | TextReplaced):
            self.check_words(self.shown)

    def hear_phase(self, phase: str) -> None:
        """Of its own run. One that begins behind a final without words is a second one, whose end is another."""
        if phase == "start":
            self.heard.discard("final")
        self.heard.add(phase)

    @property
    def is_silence_unheard(self) -> bool:
        """Whether the model said nothing, in a run whose beginning was not heard: then the answer to the message behind
        it may be to both, for all that can be known."""
        truth = self.truth
        if truth is None or truth.own or truth.state not in ("silent", "aborted", "killed"):
            return False
        return truth.run not in (None, self.key) or "start" not in self.heard

    def check_words(self, text: str) -> None:
        truth = self.truth
        together = truth.together if truth is not None else set()
        if self.is_silence_unheard:
            return
        said_by = {word.partition(".")[0] for word in text.split("<")[1:]}
        assert said_by <= together, f"{text} holds words of others than {together}"

    def carry_out(self) -> None:
        """What a driver does after every input."""
        world = self.world
        for action in self.life.actions():
            assert self.outcome is None, f"{action} after the end"
            assert not self.left
            world.log(f"{self.key}: {action}")
            if isinstance(action, Ask):
                # An older question, to which nobody wants the answer any more, is dropped.
                self.asked = [action.number]
                self.owed = inf
                self.questions += 1
                # In the turn in which the connection is found dead, the question fails with it.
                assert world.line is not None or world.dying, "asked without a connection"
                if world.line is not None:
                    world.line.up.append((self, action.number))
            elif isinstance(action, Send):
                assert world.line is not None, "sent without a connection"
                world.send(self)
            elif isinstance(action, Tell):
                self.told.append(action)
                assert len(self.told) == 1, "a limit is told once"
            elif isinstance(action, End):
                self.outcome = action.outcome
                self.check_outcome()
            else:
                assert isinstance(action, Follow)
                assert action.run_id in self.life.run_ids
        if self.outcome is not None:
            assert self.life.ended
            assert self.life.deadline() == inf

    # Its promises.

    def check_outcome(self) -> None:
        outcome, truth = self.outcome, self.truth
        self.world.log(f"{self.key} ended: {outcome}; in truth {truth}")
        if isinstance(outcome, ChatReply):
            self.check_reply(outcome)
        elif isinstance(outcome, RunErrored):
            assert truth is not None
            assert "failed" in (truth.state, truth.later) or self.is_silence_unheard, f"{outcome}, and in truth {truth}"
        elif isinstance(outcome, NotFound):
            assert self.sought
            assert truth is None or not self.is_to_be_found(truth), f"not found: {truth}"
        elif isinstance(outcome, OutOfReach):
            assert self.may_be_lost(), f"{outcome}, and in truth {truth}"
        elif isinstance(outcome, Unknown):
            assert self.may_be_unknown(), f"{outcome}, and in truth {truth}"
        else:
            raise AssertionError(outcome)

    def is_to_be_found(self, truth: Truth) -> bool:
        """Whether the id alone is enough to find the run in the history."""
        style = self.world.style
        if not style.user_names or truth.run not in (None, self.key) or truth.taken_at >= self.page_made:
            return False
        hidden = truth.state == "running" and not (style.early or style.activity in ("bare", "ids"))
        return not (hidden or truth.unwritten or truth.state in UNFINDABLE)

    def check_reply(self, reply: ChatReply) -> None:
        truth, style = self.truth, self.world.style
        assert truth is not None, f"{reply} to a message that never arrived"
        assert self.shown == reply.text, f"shown {self.shown!r}, returned {reply.text!r}"
        self.check_words(reply.text)
        if self.is_silence_unheard:
            return
        if reply.state == "aborted":
            assert {truth.state, truth.later} & {"aborted", "killed"}, f"{reply}, and in truth {truth}"
            assert truth.own.startswith(reply.text) or reply.text in truth.wholes or truth.own in reply.text
            return
        # The final that some releases send of a stopped run, or behind `aborted`, where nothing else was heard.
        told = {"both": "aborted", "final": "end"}.get(style.abort, "")
        stopped = truth.state == "aborted" and bool(told) and told not in self.heard
        if reply.text:
            assert truth.state == "done" or (stopped and truth.own), f"{reply}, and in truth {truth}"
            assert stopped or reply.text in truth.wholes, f"{reply.text!r} is none of {truth.wholes}"
        else:
            assert truth.state == "silent" or (stopped and not truth.own), f"{reply}, in truth {truth}"
            assert self.life.empty_because is not None

    def may_be_lost(self) -> bool:
        """Whether there is a reason why nobody can find out how the run ended."""
        world, truth = self.world, self.truth
        if self.is_unsure() or truth is None:
            return bool(world.gateway.crashes) or self.refused or truth is not None
        if truth.state in ("crashed", "killed") or truth.unwritten or self.refused:
            return True
        if self.sought and (truth.run != self.key or not world.style.user_names):
            # Without its words a message is not found in a row that names it not.
            return True
        if truth.state == "aborted" and not truth.own and not self.heard & {"aborted", "end"}:
            # Of what was stopped before its first word nothing is written down.
            return truth.run is not None or not world.style.pending or bool(world.gateway.crashes)
        silent = world.now - world.heard_at >= 119 or world.lost_unseen
        own = truth.run == self.key and world.style.meets != "second"
        if silent and world.style.activity == "none" and not own:
            # Only what is heard of the run that answers tells that there is one.
            return True
        # A silent run that was not heard from beginning to end looks like one that was stopped, or not answered.
        return truth.state == "silent" and not self.heard >= {"start", "final"}

    def is_unsure(self) -> bool:
        """Whether a hello does not tell if its process had the message."""
        sent = self.life.sent_run
        within = sent is not None and any(low <= sent.sent_at <= high for low, high in self.world.intervals)
        return within and not self.world.style.boots

    def may_be_unknown(self) -> bool:
        """Whether there is a reason why nobody can find out whether the message ran."""
        if self.world.gateway.crashes or self.sought or self.refused:
            return True
        sent = self.life.sent_run
        assert sent is not None
        # Perhaps the session was reset since; the key is forgotten.
        if self.world.now - (sent.sent_at - WALL) >= (240 if self.world.style.early else 3600):
            return True
        return self.is_unsure()
