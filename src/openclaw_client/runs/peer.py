"""The other side of a run: which gateway process has its message, and the facts by which that is known later.

Pure: starts from stored facts alone, so that another process can decide the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final

from openclaw_client.runs.words import digest_of
from openclaw_client.wire.handshake import release_of

EARLY_ROWS = (2026, 9)
"""From this release on a gateway writes a turn down when it begins (observed on 2026.9.6; 2026.8.1 and older write it
when it is answered or ends)."""

RECEIPTS = (2026, 9)
"""From this release on chat.history tells of the messages that are named which row holds their words (observed on
2026.9.6; 2026.8.1 refuses the parameter)."""

NAMED_FILES = (2026, 8)
"""From this release on the rows of an answer name the files in it by the ids with which they are got (observed on
2026.8.1 and 2026.9.6; 2026.7.35 and older have pictures without an id, or the name alone)."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One connection's gateway, as its handshake told. All that a run knows of a connection.

    protocol: the wire version. version: the gateway's release, as it says. boot_id: names the process, None where the
    release doesn't tell. uptime: seconds that the process had lived when it made the hello, None where it doesn't tell.
    challenged_at, greeted_at: when challenge and hello arrived, by this machine's clock. clock_offset: seconds by which
    the gateway's clock is ahead of it, None where that is unknown. greeted_now: when the hello arrived, by a
    monotonic clock, None where that is not told.
    """

    protocol: int
    version: str = ""
    boot_id: str | None = None
    uptime: float | None = None
    challenged_at: float = 0.0
    greeted_at: float = 0.0
    clock_offset: float | None = None
    greeted_now: float | None = None

    @property
    def writes_early(self) -> bool:
        """Whether a message that was taken stands in the history from its beginning on."""
        return self._is_from(EARLY_ROWS)

    @property
    def gives_receipts(self) -> bool:
        """Whether chat.history can be asked which row holds a message's words."""
        return self._is_from(RECEIPTS)

    @property
    def names_files(self) -> bool:
        """Whether the rows of an answer say how the files in it are got."""
        return self._is_from(NAMED_FILES)

    def _is_from(self, release: tuple[int, ...]) -> bool:
        own = release_of(self.version)
        return own is not None and own >= release


CHAT_SEND: Final = "chat.send"
AGENT: Final = "agent"
"""The methods by which a message is sent. A key that one of them has used up counts as new for the other (2026.9.6)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a message is sent: the method, what goes with the words, and whether that is all (see `SentRun`)."""

    method: str = CHAT_SEND
    system_prompt: str | None = field(default=None, repr=False)
    model: str | None = None
    thinking: str | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class SentRun:
    """What has to be known of a message to follow its run from another process. Picklable; a row in a database.

    Attributes:
        run_id: The idempotency key.
        session_key: The session, as the sender wrote it.
        digest: SHA-256 of the message as gateways write it down, in hex.
        message: The message; "" where only its digest was stored, and then it is never sent again.
        sent_at: When it was sent, in seconds since 1970 by the sender's clock.
        clock_ms: The same by the gateway's clock, in milliseconds; None where that is unknown.
        protocol: The wire version of the gateway that got it.
        boot_id: The gateway process that got it, where the release names its process.
        session_id: The gateway's id of the conversation in the session, where it was known.
        acknowledged: Whether the gateway is known to have taken the message.
        answered_run: The run that the message is answered in, where that is another one and known.
        complete: Whether `message` is all that was sent. With attachments or other parameters it is not, and the
            message is never sent again from these facts.
        method: The gateway's method that the message was sent by: "chat.send" or "agent".
        system_prompt: What was given as `system_prompt`, and went with the message.
        model: The same of `model`.
        thinking: The same of `thinking`.
    """

    run_id: str
    session_key: str
    digest: str
    message: str = field(default="", repr=False)
    sent_at: float = 0.0
    clock_ms: float | None = None
    protocol: int = 0
    boot_id: str | None = None
    session_id: str | None = None
    acknowledged: bool = False
    answered_run: str | None = None
    complete: bool = True
    method: str = CHAT_SEND
    system_prompt: str | None = field(default=None, repr=False)
    model: str | None = None
    thinking: str | None = None

    def __setstate__(self, state: list[Any]) -> None:
        """Take what a pickle holds; one of an earlier version of this package lacks the last fields."""
        known = fields(self)
        values = [*state, *(one.default for one in known[len(state) :])]
        for one, value in zip(known, values, strict=False):
            object.__setattr__(self, one.name, value)


def sent_run(run_id: str, session_key: str, message: str, sending: Delivery, peer: Peer, sent_at: float) -> SentRun:
    """The facts of a message that goes out now, to this gateway. sent_at: in seconds since 1970."""
    offset = peer.clock_offset
    return SentRun(
        run_id,
        session_key,
        digest_of(message),
        message,
        sent_at=sent_at,
        clock_ms=None if offset is None else (sent_at + offset) * 1000,
        complete=sending.complete,
        method=sending.method,
        system_prompt=sending.system_prompt,
        model=sending.model,
        thinking=sending.thinking,
    )


def restarted(sent: SentRun, peer: Peer) -> bool | None:
    """Whether another gateway process than the one that got the message has this connection; None: not known.

    Boot ids tell where both sides have one. Else the process was born between the challenge and the hello, less its
    uptime: the hello was made somewhere between the two, and may have been long on its way.
    """
    if sent.boot_id and peer.boot_id:
        return sent.boot_id != peer.boot_id
    if peer.uptime is None:
        return None
    if sent.sent_at < peer.challenged_at - peer.uptime:
        return True
    return False if sent.sent_at > peer.greeted_at - peer.uptime else None
