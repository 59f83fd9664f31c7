"""`chat`: one message, or a conversation."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.converse import converse, describe_change
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.input import is_conversation, read_message_and_stdin
from openclaw_client.cli.interactive import chat_interactively
from openclaw_client.cli.look import choose_run_view
from openclaw_client.cli.options import Options
from openclaw_client.cli.view import RunView
from openclaw_client.client.options import StateChange
from openclaw_client.errors import UsageError

HELP = """\
send a message, or hold a conversation
Without a MESSAGE: a conversation at a terminal, else the message is read
from stdin. What is piped in beside a MESSAGE follows it. Ctrl-C aborts the run, a second one leaves without waiting."""

AWAY_TIMEOUT = 120.0
"""Seconds that a gateway may stay away in mid-run. The releases of 2026 take up to half a minute to restart; a script
must not wait for ever for one that does not. In a conversation the person decides, with Ctrl-C."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", nargs="?", metavar="MESSAGE", help='what to say; "-" reads it from stdin')


def run(options: Options) -> int:
    if is_conversation(options.message):
        if options.json:
            raise UsageError(message="--json needs a message", remedy="Give one, or pipe it in")
        return chat_interactively(options)
    message = read_message_and_stdin(options.message)
    with connected(options, sessions=[options.session_key]) as client:
        view = choose_run_view(options)
        client.on_state_change(lambda change: _note(view, change))
        reply = converse(client, options.session_key, message, view, timeout=options.timeout, away_timeout=AWAY_TIMEOUT)
    return ExitCode.ABORTED if reply.state == "aborted" else ExitCode.OK


def _note(view: RunView, change: StateChange) -> None:
    text = describe_change(change)
    if text:
        view.note(text)
