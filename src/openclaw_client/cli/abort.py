"""`abort`: stop what is running."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line, write

HELP = """\
stop a run, or all runs of the session
That nothing was running is no error."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", dest="run_id", metavar="RUN_ID", help="this run only")


def run(options: Options) -> int:
    with connected(options, sessions=[options.session_key]) as client:
        result = client.chat_abort(session_key=options.session_key, run_id=options.run_id)
    if options.json:
        json_line("abort", fields_of(result))
    elif result.aborted:
        write("stopped" + "".join(f" {run_id}" for run_id in result.run_ids) + "\n")
    else:
        write("nothing was running\n")
    return ExitCode.OK
