"""`deny`: refuse what an agent asks for."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import APPROVALS, find_approval, tell_outcome

HELP = """\
refuse what an agent asks to be allowed
Its run goes on without. `approvals` tells the ids. Code 1 where somebody else was quicker, or it is over."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ident", metavar="ID", help="what to refuse")


def run(options: Options) -> int:
    assert options.ident is not None
    with connected(options, scopes=APPROVALS) as client:
        outcome = client.deny(find_approval(client, options.ident) or options.ident)
    return tell_outcome(options, outcome, "denied")
