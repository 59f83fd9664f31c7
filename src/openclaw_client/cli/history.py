"""`history`: the latest messages of a session."""

from __future__ import annotations

import argparse

from openclaw_client import HistoryPage
from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.look import choose_look
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line
from openclaw_client.cli.view import Look

HELP = """\
show the latest messages of a session, oldest first"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many messages, up to 1000")


def run(options: Options) -> int:
    with connected(options, sessions=[options.session_key]) as client:
        page = client.chat_history(session_key=options.session_key, limit=options.limit)
    if options.json:
        _print_json(page)
    else:
        show_page(page, choose_look())
    return ExitCode.OK


def show_page(page: HistoryPage, look: Look) -> None:
    """The messages that have text, and the run that is under way."""
    for message in page.messages:
        text = message.text or (f"({message.error_message})" if message.error_message else "")
        if text:
            look.message(message.role or "unknown", text)
    if page.in_flight_run is not None:
        look.message("assistant (still writing)", page.in_flight_run.text)


def _print_json(page: HistoryPage) -> None:
    for message in page.messages:
        fields = {"role": message.role, "text": message.text, "id": message.id, "run_id": message.run_id}
        json_line("message", {**fields, "raw": message})
    whole = {name: value for name, value in fields_of(page).items() if name != "raw"}
    json_line("history", {**whole, "messages": len(page.messages)})
