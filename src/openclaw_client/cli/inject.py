"""`inject`: put a message into a session, without a run."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.input import read_message
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line, write

HELP = """\
add a message that no agent answers
The session must exist. Needs the scope operator.admin, and asks for it by itself."""

SCOPES = ("operator.read", "operator.write", "operator.approvals", "operator.admin")
"""Admin beside what the other commands ask for: fewer would be approved anew with the next one of those."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", metavar="MESSAGE", help='the text; "-" reads it from stdin')
    parser.add_argument("--label", help="what the gateway writes before the text, at most 100 characters")


def run(options: Options) -> int:
    message = read_message(options.message)
    with connected(options, sessions=[options.session_key], scopes=SCOPES) as client:
        result = client.chat_inject(session_key=options.session_key, message=message, label=options.label)
    if options.json:
        json_line("inject", fields_of(result))
    else:
        write(f"{result.message_id}\n")
    return ExitCode.OK
