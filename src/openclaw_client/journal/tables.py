"""The rows of a journal: what each call reads and writes, within a transaction that its caller has begun.

Knows SQL. Does not know threads, transactions or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from openclaw_client.journal.ages import (
    KEPT_DEAD,
    KEPT_DONE,
    KEPT_KEYS,
    KEPT_TEXTS,
    MAX_DEAD,
    MAX_PLACES,
    MAX_UNTAKEN,
    MAX_WAITING,
)
from openclaw_client.journal.delivery import Verdict, pause_after
from openclaw_client.journal.protocol import Kept, KeptMessage, KeptPlace, PendingRun, RunChange
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.proactive import ProactiveMessage

if TYPE_CHECKING:
    import sqlite3

PRUNED_AT_ONCE: Final = 1_000
"""Rows that are pruned within one transaction: some 20 ms in a large file, in which nothing else is written."""

_OPEN: Final = "state IN ('queued', 'sent', 'answered')"
_WAITING: Final = "state IN ('waiting', 'dealt')"
_TAKEN: Final = "state IN ('taken', 'bare')"
_OVER: Final = "state IN ('done', 'dead')"
_RUN_COLUMNS: Final = (
    "user, key, session, digest, message, prompt, params, files, state, sent_at, clock_ms, boot_id, protocol, "
    "session_id, acked, answered_run, ended, text"
)
_MESSAGE_COLUMNS: Final = "user, payload, state, tries, next_at"
_BARE: Final = "state = 'bare', message = '', prompt = NULL, text = NULL"

_BEGIN: Final = f"""
INSERT INTO run ({_RUN_COLUMNS}, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)
ON CONFLICT (user, key) DO """
_NEW: Final = f"{_BEGIN} NOTHING"
# What is known of the key stays where it is in the line; all else is the newest sending's.
_AGAIN: Final = f"""{_BEGIN} UPDATE SET
    session = excluded.session, digest = excluded.digest, message = excluded.message, prompt = excluded.prompt,
    params = excluded.params, files = excluded.files, state = excluded.state, sent_at = excluded.sent_at,
    clock_ms = excluded.clock_ms, boot_id = excluded.boot_id, protocol = excluded.protocol,
    session_id = excluded.session_id, acked = excluded.acked, answered_run = excluded.answered_run,
    ended = NULL, text = NULL, changed = excluded.changed
"""
_CHANGE: Final = f"""
UPDATE run SET
    acked = acked OR :acked, answered_run = COALESCE(:answered, answered_run),
    session_id = COALESCE(:session_id, session_id), ended = COALESCE(:ended, ended),
    text = CASE WHEN :ended IS NULL THEN text ELSE :text END,
    state = CASE WHEN :taken THEN 'taken' WHEN :ended IS NOT NULL THEN 'answered'
        WHEN :acked AND state = 'queued' THEN 'sent' ELSE state END,
    changed = :now
WHERE user = :user AND key = :key AND {_OPEN}
"""


class _Params(msgspec.Struct, array_like=True):
    """What goes with a message, beside its texts."""

    method: str
    model: str | None
    thinking: str | None
    complete: bool


_params = msgspec.json.Decoder(_Params)
_files = msgspec.json.Decoder(tuple[str, ...])
_message = msgspec.json.Decoder(ProactiveMessage)
_encode = msgspec.json.Encoder().encode


def encode_message(message: ProactiveMessage) -> bytes:
    """A message as it stands in the file."""
    return _encode(message)


# Runs.


def begin(
    db: sqlite3.Connection, user: str, run: SentRun, state: str, files: tuple[str, ...], again: bool, now: float
) -> PendingRun | None:
    """Write a run down; or, unless it is to be written anew, what is known under its key."""
    params = _Params(run.method, run.model, run.thinking, run.complete)
    texts = (run.message, run.system_prompt, _encode(params).decode(), _encode(files).decode(), state)
    peer = (run.sent_at, run.clock_ms, run.boot_id, run.protocol, run.session_id)
    known_since = (run.acknowledged, run.answered_run, now)
    values = (user, run.run_id, run.session_key, run.digest, *texts, *peer, *known_since)
    done = db.execute(_AGAIN if again else _NEW, values).rowcount
    return None if done else _one_run(db, user, run.run_id)


def undo(db: sqlite3.Connection, user: str, run_id: str) -> None:
    """A run that was begun, and of which nothing went out."""
    db.execute("DELETE FROM run WHERE user = ? AND key = ?", (user, run_id))


def change(db: sqlite3.Connection, user: str, what: RunChange, now: float) -> int:
    """Write down what became known of a run; how many replies are given up for it."""
    if what.unsent:
        db.execute(f"DELETE FROM run WHERE user = ? AND key = ? AND {_OPEN}", (user, what.run_id))
        return 0
    values = {
        "acked": what.acknowledged,
        "answered": what.answered_run or None,
        "session_id": what.session_id or None,
        "ended": what.end,
        "text": what.text,
        "taken": what.taken,
        "now": now,
        "user": user,
        "key": what.run_id,
    }
    db.execute(_CHANGE, values)
    return _trim_untaken(db, user, now) if what.end is not None and not what.taken else 0


def pending(db: sqlite3.Connection, user: str | None) -> tuple[PendingRun, ...]:
    """The open runs, oldest first."""
    whose = "" if user is None else "user = ? AND "
    rows = db.execute(
        f"SELECT {_RUN_COLUMNS} FROM run WHERE {whose}{_OPEN} ORDER BY sent_at, seq",
        () if user is None else (user,),
    )
    return tuple(map(_run_of, rows))


def forget(db: sqlite3.Connection, user: str, run_id: str, now: float) -> bool:
    """Take a run off the list."""
    unsent = db.execute("DELETE FROM run WHERE user = ? AND key = ? AND state = 'queued'", (user, run_id))
    if unsent.rowcount:
        return True
    where = f"user = ? AND key = ? AND {_OPEN}"
    done = db.execute(f"UPDATE run SET {_BARE}, changed = ? WHERE {where}", (now, user, run_id))
    return done.rowcount > 0


def _one_run(db: sqlite3.Connection, user: str, run_id: str) -> PendingRun | None:
    row = db.execute(f"SELECT {_RUN_COLUMNS} FROM run WHERE user = ? AND key = ?", (user, run_id)).fetchone()
    return None if row is None else _run_of(row)


def _run_of(row: Sequence[Any]) -> PendingRun:
    user, key, session, digest, message, prompt, params, files, state = row[:9]
    sent_at, clock_ms, boot_id, protocol, session_id, acked, answered_run, ended, text = row[9:]
    given = _params.decode(params)
    sent = SentRun(
        key,
        session,
        digest,
        message,
        sent_at=sent_at,
        clock_ms=clock_ms,
        protocol=protocol,
        boot_id=boot_id,
        session_id=session_id,
        acknowledged=bool(acked),
        answered_run=answered_run,
        complete=given.complete,
        method=given.method,
        system_prompt=prompt,
        model=given.model,
        thinking=given.thinking,
    )
    return PendingRun(user, sent, "taken" if state == "bare" else state, _files.decode(files), ended, text)


def _trim_untaken(db: sqlite3.Connection, user: str, now: float) -> int:
    where = f"user = ? AND state = 'answered' AND {_OPEN}"
    (count,) = db.execute(f"SELECT count(*) FROM run WHERE {where}", (user,)).fetchone()
    surplus = max(0, int(count) - MAX_UNTAKEN)
    if surplus:
        oldest = f"SELECT seq FROM run WHERE {where} ORDER BY sent_at, seq LIMIT ?"
        db.execute(f"UPDATE run SET {_BARE}, changed = ? WHERE seq IN ({oldest})", (now, user, surplus))
    return surplus


# Places.


def put_place(db: sqlite3.Connection, user: str, place: KeptPlace) -> None:
    """Write down how far a session is known; the latest written has the highest number."""
    db.execute(
        "REPLACE INTO place (user, session, since_ms, row_id, session_id, ids, sent, said) VALUES (?,?,?,?,?,?,?,?)",
        (
            user,
            place.session_key,
            place.since_ms,
            place.row_id,
            place.session_id,
            place.ids,
            place.sent,
            place.said,
        ),
    )
    surplus = "SELECT seq FROM place WHERE user = ? ORDER BY seq DESC LIMIT -1 OFFSET ?"
    db.execute(f"DELETE FROM place WHERE seq IN ({surplus})", (user, MAX_PLACES))


def open_user(db: sqlite3.Connection, user: str) -> Kept:
    """The open runs and the places of a user."""
    rows = db.execute(
        "SELECT session, since_ms, row_id, session_id, ids, sent, said FROM place WHERE user = ? ORDER BY seq", (user,)
    )
    return Kept(pending(db, user), tuple(KeptPlace(*row) for row in rows))


# Messages.


def receive(
    db: sqlite3.Connection,
    user: str,
    messages: Sequence[tuple[ProactiveMessage, bytes]],
    place: KeptPlace | None,
    now: float,
) -> tuple[tuple[ProactiveMessage, ...], int]:
    """Write messages down; those that are new, and how many older ones are given up for them."""
    new = []
    for message, payload in messages:
        own = db.execute(
            "SELECT 1 FROM run WHERE user = ? AND key = ? UNION ALL "
            "SELECT 1 FROM run WHERE user = ? AND answered_run = ? LIMIT 1",
            (user, message.run_id, user, message.run_id),
        ).fetchone()
        if (
            own is None
            and db.execute(
                "INSERT OR IGNORE INTO inbox (user, id, payload, tries, next_at, state, changed) "
                "VALUES (?, ?, ?, 0, 0, 'waiting', ?)",
                (user, message.id, payload, now),
            ).rowcount
        ):
            new.append(message)
    if place is not None:
        put_place(db, user, place)
    return tuple(new), _trim_waiting(db, user, now) if new else 0


def next_message(db: sqlite3.Connection, user: str) -> KeptMessage | None:
    """The first message of a user that is not over."""
    row = db.execute(
        f"SELECT {_MESSAGE_COLUMNS} FROM inbox WHERE user = ? AND {_WAITING} ORDER BY seq LIMIT 1",
        (user,),
    ).fetchone()
    return None if row is None else _message_of(row)


def deliver(db: sqlite3.Connection, user: str, ident: str) -> int:
    """Count a delivery; which one it is, 0 where no such message waits."""
    where = f"user = ? AND id = ? AND {_WAITING}"
    if not db.execute(f"UPDATE inbox SET state = 'dealt', tries = tries + 1 WHERE {where}", (user, ident)).rowcount:
        return 0
    (tries,) = db.execute("SELECT tries FROM inbox WHERE user = ? AND id = ?", (user, ident)).fetchone()
    return int(tries)


def settle(db: sqlite3.Connection, user: str, ident: str, verdict: Verdict, now: float) -> None:
    """Write down what became of a delivery."""
    where = f"user = ? AND id = ? AND {_WAITING}"
    row = db.execute(f"SELECT tries FROM inbox WHERE {where}", (user, ident)).fetchone()
    if row is None:
        return
    if verdict == "later":
        values = ("waiting", now + pause_after(row[0]), now, user, ident)
        db.execute("UPDATE inbox SET state = ?, next_at = ?, changed = ? WHERE user = ? AND id = ?", values)
        return
    db.execute("UPDATE inbox SET state = ?, changed = ? WHERE user = ? AND id = ?", (verdict, now, user, ident))
    if verdict == "dead":
        _trim_dead(db, user)


def dead(db: sqlite3.Connection) -> tuple[KeptMessage, ...]:
    """The messages that were given up, in the order in which they came."""
    rows = db.execute(f"SELECT {_MESSAGE_COLUMNS} FROM inbox INDEXED BY inbox_dead WHERE state = 'dead' ORDER BY seq")
    return tuple(map(_message_of, rows))


def dead_since(db: sqlite3.Connection) -> tuple[tuple[KeptMessage, float], ...]:
    """The same, each with the time at which it was given up."""
    rows = db.execute(
        f"SELECT {_MESSAGE_COLUMNS}, changed FROM inbox INDEXED BY inbox_dead WHERE state = 'dead' ORDER BY seq"
    )
    return tuple((_message_of(row[:-1]), row[-1]) for row in rows)


def counts(db: sqlite3.Connection) -> tuple[int, int]:
    """How many messages are not over, and how many were given up."""
    waiting, dead_ones = (f"(SELECT count(*) FROM inbox WHERE {where})" for where in (_WAITING, "state = 'dead'"))
    row = db.execute(f"SELECT {waiting}, {dead_ones}").fetchone()
    return row[0], row[1]


def replay(db: sqlite3.Connection, ident: str, user: str | None, now: float) -> int:
    """Put messages that are over behind those that wait."""
    whose, values = ("", ()) if user is None else (" AND user = ?", (user,))
    rows = db.execute(
        f"SELECT seq, user, payload FROM inbox WHERE id = ? AND {_OVER}{whose} ORDER BY seq",
        (ident, *values),
    ).fetchall()
    for seq, owner, payload in rows:
        db.execute("DELETE FROM inbox WHERE seq = ?", (seq,))
        db.execute(
            "INSERT INTO inbox (user, id, payload, tries, next_at, state, changed) "
            "VALUES (?, ?, ?, 0, 0, 'waiting', ?)",
            (owner, ident, payload, now),
        )
    return len(rows)


def _message_of(row: Sequence[Any]) -> KeptMessage:
    user, payload, state, tries, next_at = row
    return KeptMessage(user, _message.decode(payload), state, tries, next_at)


def _trim_waiting(db: sqlite3.Connection, user: str, now: float) -> int:
    # What is with its handlers is none of these: it may just be done.
    where = f"user = ? AND state = 'waiting' AND {_WAITING}"
    (count,) = db.execute(f"SELECT count(*) FROM inbox WHERE {where}", (user,)).fetchone()
    surplus = max(0, int(count) - MAX_WAITING)
    if surplus:
        oldest = f"SELECT seq FROM inbox WHERE {where} ORDER BY seq LIMIT ?"
        db.execute(
            f"UPDATE inbox SET state = 'dead', changed = ? WHERE seq IN ({oldest})",
            (now, user, surplus),
        )
        _trim_dead(db, user)
    return surplus


def _trim_dead(db: sqlite3.Connection, user: str) -> None:
    surplus = "SELECT seq FROM inbox WHERE user = ? AND state = 'dead' ORDER BY seq DESC LIMIT -1 OFFSET ?"
    db.execute(f"DELETE FROM inbox WHERE seq IN ({surplus})", (user, MAX_DEAD))


# All users.


def users(db: sqlite3.Connection) -> tuple[str, ...]:
    """Those who have an open run, or a message that waits."""
    rows = db.execute(f"SELECT user FROM run WHERE {_OPEN} UNION SELECT user FROM inbox WHERE {_WAITING}")
    return tuple(sorted(row[0] for row in rows))


def prune(db: sqlite3.Connection, now: float) -> tuple[int, int]:
    """Drop what is too old, so many rows of each kind at most; how many are gone, and how many rows were touched."""
    gone = 0
    # The first condition is the index's, which is not used without it.
    for table, over, state, age in (
        ("run", _TAKEN, "bare", KEPT_KEYS),
        ("inbox", _OVER, "done", KEPT_DONE),
        ("inbox", _OVER, "dead", KEPT_DEAD),
    ):
        old = f"SELECT seq FROM {table} WHERE {over} AND state = '{state}' AND changed <= ? LIMIT ?"
        gone += db.execute(f"DELETE FROM {table} WHERE seq IN ({old})", (now - age, PRUNED_AT_ONCE)).rowcount
    old = f"SELECT seq FROM run WHERE {_TAKEN} AND state = 'taken' AND changed <= ? LIMIT ?"
    bared = db.execute(f"UPDATE run SET {_BARE} WHERE seq IN ({old})", (now - KEPT_TEXTS, PRUNED_AT_ONCE))
    return gone, gone + bared.rowcount
