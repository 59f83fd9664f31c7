"""`call`: any method of the gateway."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.input import read_object
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import encode, json_line, write

HELP = """\
call any method of the gateway
Methods that need more than reading and writing want --scopes."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="such as sessions.list")
    parser.add_argument(
        "params", nargs="?", metavar="JSON", help='the parameters as a JSON object; "-" reads it from stdin'
    )


def run(options: Options) -> int:
    params = read_object(options.params, "parameters", '{"limit": 5}')
    with connected(options) as client:
        payload = client.request(options.method, params)
    if options.json:
        json_line("response", {"method": options.method, "payload": payload})
    else:
        write(encode(payload, indent=2) + "\n")
    return ExitCode.OK
