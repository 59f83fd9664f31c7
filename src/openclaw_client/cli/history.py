"""`history`: the latest messages of a session."""

from __future__ import annotations

import argparse

from openclaw_client.cli.blocks import mark
from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.look import choose_look
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line
from openclaw_client.cli.view import Look
from openclaw_client.sync.client import GatewayClient

HELP = """\
show the latest messages of a session, oldest first"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many messages, up to 1000")


def run(options: Options) -> int:
    with connected(options, sessions=[options.session_key]) as client:
        if options.json:
            _print_json(client, options)
        else:
            show_history(client, options.session_key, options.limit, choose_look())
    return ExitCode.OK


def show_history(client: GatewayClient, session_key: str, limit: int | None, look: Look) -> None:
    """The messages that hold something for a reader, and the run that is under way."""
    page = client.chat_history(session_key=session_key, limit=limit)
    for message in page.messages:
        text, beside = message.text, mark(message.content)
        if not (text or beside) and message.error_message:
            text = f"({message.error_message})"
        if text or beside:
            look.message(message.role or "unknown", text, beside)
    if page.in_flight_run is not None:
        look.message("assistant (still writing)", page.in_flight_run.text)
    if not page.messages and page.in_flight_run is None:
        look.note("nothing has been said in this session")


def _print_json(client: GatewayClient, options: Options) -> None:
    page = client.chat_history(session_key=options.session_key, limit=options.limit)
    for message in page.messages:
        fields = {"role": message.role, "text": message.text, "id": message.id, "run_id": message.run_id}
        json_line("message", {**fields, "raw": message})
    whole = {name: value for name, value in fields_of(page).items() if name != "raw"}
    json_line("history", {**whole, "messages": len(page.messages)})
