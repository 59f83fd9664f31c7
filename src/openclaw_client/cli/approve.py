"""`approve`: allow what an agent asks for."""

from __future__ import annotations

import argparse

from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import APPROVALS, find_approval, give
from openclaw_client.runs.answering import AnswerOutcome
from openclaw_client.sync.client import GatewayClient

HELP = """\
allow what an agent asks for, once
`approvals` tells the ids. Code 1 where somebody else was quicker, or it is over."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ident", metavar="ID", help="what to allow")
    parser.add_argument("--always", action="store_true", help="from now on, where that is allowed")


def run(options: Options) -> int:
    def approve(client: GatewayClient, ident: str) -> AnswerOutcome:
        return client.approve(find_approval(client, ident), always=options.always)

    return give(options, APPROVALS, approve, "allowed from now on" if options.always else "allowed once")
