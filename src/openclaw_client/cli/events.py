"""`events`: what the gateway tells, as it comes."""

from __future__ import annotations

import argparse

from openclaw_client.cli.blocks import event_in_short, event_mark
from openclaw_client.cli.connect import connected
from openclaw_client.cli.converse import describe_change
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import encode, json_line, write
from openclaw_client.cli.report import complain
from openclaw_client.client.events import GatewayEvent
from openclaw_client.client.options import StateChange

HELP = """\
print the events of the gateway as they come
Until Ctrl-C. Without names: all of them. With --session: of that session only."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as chat, agent, presence")


def run(options: Options) -> int:
    sessions = None if options.session is None else [options.session]
    with connected(options, sessions=sessions) as client, client.events(*options.names) as events:
        client.on_state_change(_tell)
        try:
            # What comes from here on is not missed: a script may wait for this before it causes events.
            if options.json:
                json_line("listening", {"names": options.names, "session": options.session})
            else:
                complain("listening; Ctrl-C ends this")
            for event in events:
                if options.json:
                    json_line("event", {"name": event.name, "seq": event.seq, "payload": event.payload})
                else:
                    write(_line(event) + "\n")
        except KeyboardInterrupt:
            return ExitCode.OK
    return ExitCode.OK


def _line(event: GatewayEvent) -> str:
    number = "-" if event.seq is None else event.seq
    parts = (event.name, str(number), encode(event_in_short(event.payload)), event_mark(event.payload))
    return " ".join(part for part in parts if part)


def _tell(change: StateChange) -> None:
    text = describe_change(change)
    if text:
        complain(text)
