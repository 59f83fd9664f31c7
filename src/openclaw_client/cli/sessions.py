"""`sessions`: the list of sessions, and what becomes of it."""

from __future__ import annotations

import argparse
import shutil
import time

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line, write
from openclaw_client.errors import ProtocolViolation
from openclaw_client.errors.peer_text import one_line
from openclaw_client.sync.client import GatewayClient
from openclaw_client.wire.session_info import SessionInfo, session_info, session_rows
from openclaw_client.wire.sessions import SessionKey

HELP = """\
list the sessions of the gateway, the one that was used last first
With --watch: also what becomes of them, until Ctrl-C (not on 2026.2.17)."""

SHOWN = 20
"""Sessions where nobody says how many: what a screen takes."""
LOOKED_THROUGH = 1_000
"""Sessions, the latest, among which one is found that is named: as many as are watched."""
_AGES = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, metavar="N", help=f"at most so many sessions, {SHOWN} unless told")
    parser.add_argument("--watch", action="store_true", help="tell what becomes of them, until Ctrl-C")


def run(options: Options) -> int:
    limit = SHOWN if options.limit is None else options.limit
    sessions = None if options.session is None else [options.session]
    with connected(options, sessions=sessions) as client:
        try:
            if options.watch:
                _watch(client, limit, options)
            else:
                _list(client, limit, options)
        except KeyboardInterrupt:
            return ExitCode.OK
    return ExitCode.OK


def _list(client: GatewayClient, limit: int, options: Options) -> None:
    # One that is named may be far behind the latest.
    asked = limit if options.session is None else LOOKED_THROUGH
    page = session_rows(client.request("sessions.list", {"limit": asked}))
    if page is None:
        raise ProtocolViolation(message="sessions.list: the gateway's answer holds no list of sessions")
    found = [session_info(row) for row in page.rows if _is_meant(row["key"], options.session)]
    for session in found:
        _show(session, options)
    if options.json:
        json_line("sessions", {"count": len(found)})
    elif not found:
        write("there are no sessions\n")


def _is_meant(key: str, session: str | None) -> bool:
    """Whether a session is the one that was asked for, if one was."""
    return session is None or SessionKey.canonical(key) == SessionKey.canonical(session)


def _watch(client: GatewayClient, limit: int, options: Options) -> None:
    with client.watch_sessions(limit) as changes:
        for number, change in enumerate(changes):
            by_key = {session.key: session for session in change.sessions}
            for key in by_key if not number else change.changed:
                session = by_key.get(key)
                if session is not None:
                    _show(session, options)
                elif options.json:
                    json_line("session_gone", {"key": key})
                else:
                    write(f"- {one_line(key)} is gone\n")
            if not number and options.json:
                json_line("sessions", {"count": len(by_key)})


def _show(session: SessionInfo, options: Options) -> None:
    if options.json:
        json_line("session", fields_of(session))
    else:
        write(described(session, time.time(), shutil.get_terminal_size().columns) + "\n")


def described(session: SessionInfo, now: float, width: int) -> str:
    """A session in one line: whether a run goes on, its state, how long ago something became of it, its key, its title
    and its model."""
    key, title, model = one_line(session.key), session.title or "", one_line(session.model or "")
    state = "running" if session.active else session.status or ""
    line = f"{'*' if session.active else ' '} {one_line(state):<8} {age(session.updated_at, now):>4}  {key}"
    for part in (title, model):
        if part:
            line += f"  {part}"
    return line if len(line) <= width else line[: width - 1] + "…"


def age(at: float | None, now: float) -> str:
    """How long ago something was: `5m`."""
    if at is None:
        return ""
    seconds = max(int(now - at), 0)
    size, unit = next((one for one in _AGES if seconds >= one[0]), _AGES[-1])
    return f"{seconds // size}{unit}"
