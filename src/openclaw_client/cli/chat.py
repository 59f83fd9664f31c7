"""`chat`: one message, or a conversation."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.converse import converse, describe_change
from openclaw_client.cli.dialog import Dialog, answerable
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.input import is_conversation, read_message_and_stdin
from openclaw_client.cli.interactive import chat_interactively
from openclaw_client.cli.look import choose_look
from openclaw_client.cli.options import Options
from openclaw_client.cli.received import by_id
from openclaw_client.cli.view import JsonRunView, RunView
from openclaw_client.client.options import StateChange
from openclaw_client.errors import UsageError

HELP = """\
send a message, or hold a conversation
Without a MESSAGE: a conversation at a terminal, else the message is read
from stdin. What is piped in beside a MESSAGE follows it. Ctrl-C aborts the run, a second one leaves without waiting."""

AWAY_TIMEOUT = 120.0
"""Seconds that a gateway may stay away in mid-run. The releases of 2026 take up to half a minute to restart; a script
must not wait for ever for one that does not. In a conversation the person decides, with Ctrl-C."""

LATER = "what becomes of it comes later; `openclaw-client history` shows it"
"""On releases up to 2026.5.12, whose runs end before the command is allowed."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", nargs="?", metavar="MESSAGE", help='what to say; "-" reads it from stdin')
    parser.add_argument("--system-prompt", metavar="TEXT", help="what the model is told for these messages alone")
    parser.add_argument("--model", metavar="NAME", help="the model for these messages alone; needs --scopes …,admin")
    parser.add_argument("--thinking", metavar="LEVEL", help="how much the model thinks about these messages")


def run(options: Options) -> int:
    if is_conversation(options.message):
        if options.json:
            raise UsageError(message="--json needs a message", remedy="Give one, or pipe it in")
        return chat_interactively(options)
    message = read_message_and_stdin(options.message)
    kinds = answerable(options)
    with connected(options, sessions=[options.session_key], answers=kinds) as client:
        look = choose_look()
        view = JsonRunView() if options.json else look.run_view()
        dialog = Dialog(client, look) if kinds else None
        client.on_state_change(lambda change: _note(view, change))
        timeouts = {"timeout": options.timeout, "away_timeout": AWAY_TIMEOUT}
        key, wishes = options.session_key, options.wishes
        reply = converse(client, key, message, view, way=by_id, dialog=dialog, wishes=wishes, **timeouts)
        if dialog is not None and reply.pending_approval is not None:
            # The release does not let its runs wait: what is allowed now is another run's.
            dialog.ask_pending()
            if dialog.has_allowed:
                look.note(LATER)
    return ExitCode.ABORTED if reply.state == "aborted" else ExitCode.OK


def _note(view: RunView, change: StateChange) -> None:
    text = describe_change(change)
    if text:
        view.note(text)
