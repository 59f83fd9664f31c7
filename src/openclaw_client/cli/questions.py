"""`questions`: what agents want to know."""

from __future__ import annotations

import argparse

from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import QUESTIONS, add_watch, list_questions, show

HELP = """\
list what agents want to know, or watch it
Needs the scope operator.questions, and asks for it by itself."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_watch(parser)


def run(options: Options) -> int:
    return show(options, "questions", QUESTIONS, list_questions, lambda client: client.questions())
