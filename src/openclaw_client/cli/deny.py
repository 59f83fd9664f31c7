"""`deny`: refuse what an agent asks for."""

from __future__ import annotations

import argparse

from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import APPROVALS, find_approval, give

HELP = """\
refuse what an agent asks to be allowed
Its run goes on without. `approvals` tells the ids. Code 1 where somebody else was quicker, or it is over."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ident", metavar="ID", help="what to refuse")


def run(options: Options) -> int:
    return give(options, APPROVALS, lambda client, ident: client.deny(find_approval(client, ident)), "denied")
