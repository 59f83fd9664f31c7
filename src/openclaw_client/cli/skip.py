"""`skip`: leave a question without an answer."""

from __future__ import annotations

import argparse

from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import QUESTIONS, give

HELP = """\
leave a question of an agent without an answer
Its run goes on without. `questions` tells the ids. Code 1 where somebody else was quicker, or it is over."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ident", metavar="ID", help="the question")


def run(options: Options) -> int:
    return give(options, QUESTIONS, lambda client, ident: client.skip(ident), "skipped")
