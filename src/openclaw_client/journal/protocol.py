"""What a journal is asked for, and the values that it keeps.

Pure. A journal belongs to one owner at a time, who holds the connections of the users in it. Users are `str`; nothing
of one user is ever given to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

from openclaw_client.journal.ages import MAX_TEXT
from openclaw_client.journal.delivery import Verdict
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.proactive import ProactiveMessage

RunState = Literal["queued", "sent", "answered", "taken"]
"""queued: certainly never sent. sent: may have run. answered: over, and nobody took the reply. taken: over for the
caller, too; only the key and the digests matter."""

OPEN: Final = ("queued", "sent", "answered")
"""The states of a run that `pending` lists."""

End = Literal["final", "aborted", "failed", "lost", "unknown"]
"""How a run ended; lost and unknown: as `RunLost` and `OutcomeUnknown`."""

MessageState = Literal["waiting", "dealt", "done", "dead"]
"""dealt: given to handlers, and no end written down yet."""


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A message of one's own, as it is written down.

    Attributes:
        user: Whose it is.
        sent_run: The facts of its last sending; what `chat_attach` takes. Its `message` is "" once the texts are gone.
        state: "queued" (never sent), "sent" (may have run), "answered" (over, nobody took the reply), or "taken".
        files: Digests of its attachments, which are not kept.
        end: How it ended: "final", "aborted", "failed", "lost" or "unknown"; None while that is open.
        text: The text of its reply; None where there is none, or where it is not kept.
    """

    user: str
    sent_run: SentRun
    state: RunState = "sent"
    files: tuple[str, ...] = ()
    end: End | None = None
    text: str | None = field(default=None, repr=False)

    @property
    def run_id(self) -> str:
        """The idempotency key."""
        return self.sent_run.run_id

    @property
    def session_key(self) -> str:
        """The session, as the sender wrote it."""
        return self.sent_run.session_key

    @property
    def message(self) -> str:
        """The message; "" where only its digest is kept."""
        return self.sent_run.message

    @property
    def sent_at(self) -> float:
        """When it was sent, or queued, in seconds since 1970."""
        return self.sent_run.sent_at

    def is_same(self, other: SentRun) -> bool:
        """Whether this is the message of those facts: the same words in the same session."""
        own = self.sent_run
        return (own.session_key, own.digest) == (other.session_key, other.digest)


@dataclass(frozen=True, slots=True)
class RunChange:
    """What became known of a run. What is None or False says nothing.

    Attributes:
        run_id: The run.
        acknowledged: The gateway has taken the message.
        answered_run: The run that it is answered in, where that is another one.
        session_id: The gateway's id of the conversation.
        end: How the run ended.
        text: The text of its reply. Longer ones than `ages.MAX_TEXT` are not kept.
        taken: The caller has the reply, or wants it no more.
        unsent: It certainly did not run: nothing is known of it any more, and its key counts as new.
    """

    run_id: str
    acknowledged: bool = False
    answered_run: str | None = None
    session_id: str | None = None
    end: End | None = None
    text: str | None = field(default=None, repr=False)
    taken: bool = False
    unsent: bool = False

    def joined(self, later: RunChange) -> RunChange:
        """Both as one change; what came later counts, but nothing counts behind `taken` or `unsent`."""
        if self.taken or self.unsent:
            return self
        ended = later if later.end is not None else self
        return RunChange(
            self.run_id,
            self.acknowledged or later.acknowledged,
            later.answered_run or self.answered_run,
            later.session_id or self.session_id,
            ended.end,
            ended.text,
            later.taken,
            later.unsent,
        )

    def bounded(self) -> RunChange:
        """The same without a text that is too long to be kept."""
        return self if self.text is None or len(self.text) <= MAX_TEXT else replace(self, text=None)


@dataclass(frozen=True, slots=True)
class KeptPlace:
    """How far a session is known. A journal compares none of it; `ids`, `sent` and `said` are digests, no words.

    Attributes:
        session_key: The session.
        since_ms: The gateway's clock, up to which the session is known.
        row_id: The last row that was looked at, where rows have ids.
        session_id: The gateway's id of the conversation, where it is known.
        ids: Of the rows that are known.
        sent: Of the messages that were sent.
        said: Of the messages that were heard.
    """

    session_key: str
    since_ms: float
    row_id: str | None = None
    session_id: str | None = None
    ids: bytes = field(default=b"", repr=False)
    sent: bytes = field(default=b"", repr=False)
    said: bytes = field(default=b"", repr=False)


Change = RunChange | KeptPlace
"""What is written down soon, in order, without anybody waiting for it."""


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message that nobody asked for, on its way to the handlers.

    Attributes:
        user: Whose it is.
        message: What was said.
        state: "waiting", "dealt" (given to handlers, and no end written down), "done" or "dead".
        deliveries: How often it was given to handlers, or was about to be.
        next_at: The earliest time of the next delivery, in seconds since 1970; 0 where it need not wait.
    """

    user: str
    message: ProactiveMessage = field(repr=False)
    state: MessageState = "waiting"
    deliveries: int = 0
    next_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a user: what has to be known before the first event is handled.

    Attributes:
        runs: Those that were not taken, oldest first.
        places: Of the sessions.
    """

    runs: tuple[PendingRun, ...] = ()
    places: tuple[KeptPlace, ...] = ()


class Journal(Protocol):
    """Where it is written down what must survive the process.

    Everything but `note` and `settle` raises `JournalError` where that cannot be done; nothing of the call is written
    down then. A call that is cancelled may have been done; `begin` is undone.
    """

    async def open(self, user: str) -> Kept:
        """What is kept of a user."""
        ...

    async def begin(
        self,
        user: str,
        run: SentRun,
        *,
        state: Literal["queued", "sent"] = "sent",
        files: tuple[str, ...] = (),
        again: bool = False,
    ) -> PendingRun | None:
        """Write a message down before its first byte goes out; durable when this returns.

        Args:
            user: Whose it is.
            run: Its facts, with the gateway that gets it.
            state: "queued" where it has to wait, and nothing goes out yet.
            files: Digests of its attachments.
            again: The caller knows of the run and sends it (a queued one at last, or once more): its newest facts take
                the place of those that are kept, and it is open again.

        Returns:
            None where it is written down. Without `again`, what is known under the key already, and nothing is changed:
            the caller compares the message (`PendingRun.is_same`) and follows that run.
        """
        ...

    def note(self, user: str, change: Change) -> None:
        """Write this down soon, behind what was asked for before. Never waits and never raises for the file's sake.

        What cannot be written is tried again, and told once. A change of a run that is not known, or that was taken,
        changes nothing.
        """
        ...

    async def receive(
        self, user: str, messages: Sequence[ProactiveMessage], place: KeptPlace | None = None
    ) -> tuple[ProactiveMessage, ...]:
        """Write messages down in this order, with how far their session is known; durable when this returns.

        Returns:
            Those that are new: no message of the id was received within the last day, and the run that said it is none
            of this user's own.
        """
        ...

    async def next(self, user: str) -> KeptMessage | None:
        """The first of the user's messages that is not over; None where there is none. Later ones wait behind it."""
        ...

    async def deliver(self, user: str, message_id: str) -> int:
        """Count a delivery before the handlers are called; durable when this returns.

        Returns:
            Which one it is, from 1; 0 where no such message waits.
        """
        ...

    async def settle(self, user: str, message_id: str, verdict: Verdict) -> None:
        """Write down what became of a message that was delivered, as a note; the first end counts.

        "later" waits as `delivery.PAUSES` has it.
        """
        ...

    async def pending(self, user: str | None = None) -> tuple[PendingRun, ...]:
        """The runs of a user, or of all, that were not taken; oldest first."""
        ...

    async def users(self) -> tuple[str, ...]:
        """Those who have a run that was not taken, or a message that waits; sorted."""
        ...

    async def dead(self) -> tuple[KeptMessage, ...]:
        """The messages that were given up, oldest first."""
        ...

    async def replay(self, message_id: str, *, user: str | None = None) -> int:
        """Let a message that is over wait once more, behind those that do, as if it had never been delivered.

        Returns:
            How many: ids are unique for each user only.
        """
        ...

    async def forget(self, user: str, run_id: str) -> bool:
        """Take a run off the list, and its texts away. Aborts nothing; its key stays known, but of one that was never
        sent.

        Returns:
            Whether it was on the list.
        """
        ...

    async def prune(self, now: float) -> int:
        """Drop what is older than `journal.ages` has it.

        Args:
            now: The time, in seconds since 1970.

        Returns:
            How many runs and messages are gone.
        """
        ...

    async def close(self) -> None:
        """Write down what is noted and let others have the journal; the next use opens it again."""
        ...
