"""`journal`: what a journal's file holds, messages once more to their handlers, and what is too old out of it."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.cli.report import complain
from openclaw_client.cli.sessions import age
from openclaw_client.errors.peer_text import one_line

if TYPE_CHECKING:
    from openclaw_client.journal.protocol import PendingRun
    from openclaw_client.journal.reader import DeadMessage
    from openclaw_client.journal.sqlite import SqliteJournal

_T = TypeVar("_T")

HELP = "look into a journal, give its dead messages once more"

NO_USER = "-"
"""Stands for the user of a client that was given none."""
LEAST = 20
"""Characters of a text that are shown however narrow the terminal is."""
LOOKED_AT = 1_000
"""Characters of a text of which its beginning is made: the others are behind every terminal's edge."""


class Show:
    """`journal show`."""

    HELP = """\
show the runs that are pending, or the dead messages
Also beside a process that has the journal. Nothing is changed."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        _add_path(parser)
        parser.add_argument("--dead", action="store_true", help="the messages that were given up, with their ids")

    def run(self, options: Options) -> int:
        from openclaw_client.journal.reader import read_contents, read_dead

        width, now = shutil.get_terminal_size().columns, time.time()
        contents = read_contents(options.path)
        if options.dead:
            for message in read_dead(options.path):
                _tell("dead", _dead_fields(message), dead_line(message, now, width), options)
        else:
            for run in contents.runs:
                _tell("pending", _run_fields(run), run_line(run, now, width), options)
        runs, waiting, dead = len(contents.runs), contents.waiting, contents.dead
        line = f"runs pending: {runs}, messages waiting: {waiting}, dead: {dead}"
        _tell("journal", {"pending": runs, "waiting": waiting, "dead": dead}, line, options)
        return ExitCode.OK


class Replay:
    """`journal replay`."""

    HELP = """\
let a message that is over wait once more
As if it had never been delivered, behind those that wait. No other process may
have the journal."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        _add_path(parser)
        parser.add_argument("ident", metavar="ID", help="the message, as `journal show --dead` tells it")
        parser.add_argument("--user", metavar="USER", help="whose; else everybody's of this id")

    def run(self, options: Options) -> int:
        ident = options.ident or ""
        count = _held(options.path, lambda journal: journal.replay(ident, user=options.user))
        line = f"messages that wait once more: {count}"
        _tell("replayed", {"id": ident, "user": options.user, "count": count}, line, options)
        if count:
            return ExitCode.OK
        complain(f"there is no message {ident} that is over; `openclaw-client journal show --dead` tells the ids")
        return ExitCode.FAILED


class Prune:
    """`journal prune`."""

    HELP = """\
drop what is older than a journal keeps it
No other process may have the journal."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        _add_path(parser)

    def run(self, options: Options) -> int:
        gone = _held(options.path, lambda journal: journal.prune(time.time()))
        _tell("pruned", {"count": gone}, f"runs and messages that are gone: {gone}", options)
        return ExitCode.OK


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the journal's file")


def _held(path: str, work: Callable[[SqliteJournal], Awaitable[_T]]) -> _T:
    """The journal, for this process alone."""
    from openclaw_client.journal.reader import read_contents
    from openclaw_client.journal.sqlite import SqliteJournal

    # Before: else a wrong path would be made one of a journal.
    read_contents(path)

    async def use() -> _T:
        # Whoever has it may have it for days.
        journal = SqliteJournal(path, wait=0.0)
        try:
            return await work(journal)
        finally:
            await journal.close()

    return asyncio.run(use())


def run_line(run: PendingRun, now: float, width: int) -> str:
    """A run in one line: its state, how long ago it was sent or queued, whose it is, its session, its id, and the
    beginning of the message."""
    facts = (f"{run.state:<8}", f"{age(run.sent_at, now):>4}", run.user or NO_USER, run.session_key, run.run_id)
    return _line(facts, run.message, width)


def dead_line(message: DeadMessage, now: float, width: int) -> str:
    """A dead message in one line: its deliveries, how long ago it was given up, whose it is, its session, its id, and
    the beginning of what was said."""
    kept = message.kept
    facts = (f"{kept.deliveries}x", f"{age(message.died_at, now):>4}", kept.user or NO_USER)
    return _line((*facts, kept.message.session_key, kept.message.id), kept.message.text, width)


def _line(facts: tuple[str, ...], text: str, width: int) -> str:
    """Ids stay whole, for the next command needs them; of the text there is what the rest of the line takes."""
    # The padding of a column is no space of a text's.
    shown = "  ".join(fact if fact.isascii() and fact.isprintable() else one_line(fact) for fact in facts)
    words, room = one_line(text[:LOOKED_AT]), max(LEAST, width - len(shown) - 2)
    if len(words) > room or len(text) > LOOKED_AT:
        words = words[: room - 1] + "…"
    return f"{shown}  {words}".rstrip()


def _run_fields(run: PendingRun) -> dict[str, object]:
    fields = {"user": run.user, "run_id": run.run_id, "session_key": run.session_key, "state": run.state}
    return {**fields, "sent_at": run.sent_at, "message": run.message, "end": run.end, "text": run.text}


def _dead_fields(message: DeadMessage) -> dict[str, object]:
    kept, said = message.kept, message.kept.message
    fields = {"user": kept.user, "id": said.id, "session_key": said.session_key, "run_id": said.run_id}
    more = {"kind": said.kind, "deliveries": kept.deliveries, "died_at": message.died_at, "text": said.text}
    return {**fields, **more}


def _tell(kind: str, fields: Mapping[str, object], line: str, options: Options) -> None:
    if options.json:
        json_line(kind, fields)
    else:
        write(line + "\n")
