"""`approve`: allow what an agent asks for."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import APPROVALS, find_approval, tell_outcome

HELP = """\
allow what an agent asks for, once
`approvals` tells the ids. Code 1 where somebody else was quicker, or it is over."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ident", metavar="ID", help="what to allow")
    parser.add_argument("--always", action="store_true", help="from now on, where that is allowed")


def run(options: Options) -> int:
    assert options.ident is not None
    with connected(options, scopes=APPROVALS) as client:
        approval = find_approval(client, options.ident) or options.ident
        outcome = client.approve(approval, always=options.always)
    return tell_outcome(options, outcome, "allowed from now on" if options.always else "allowed once")
