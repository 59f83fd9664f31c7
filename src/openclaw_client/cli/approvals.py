"""`approvals`: what agents ask to be allowed."""

from __future__ import annotations

import argparse

from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import APPROVALS, add_watch, list_approvals, show

HELP = """\
list what agents wait to be allowed, or watch it
As far as this device may see it: what it asked for itself, with --scopes
read,admin everything."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_watch(parser)


def run(options: Options) -> int:
    return show(options, "approvals", APPROVALS, list_approvals, lambda client: client.approvals())
